//! A network of our own that nobody else on this machine uses.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::Ipv4Addr;

/// A network of 254 addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Ends in zero.
    pub base: Ipv4Addr,
}

/// What is looked at, in words.
pub(super) const CANDIDATES: &str = "10.213.0.0/16 and 172.31.0.0/16";

impl Subnet {
    /// The address with that last number.
    pub fn address(self, last: u8) -> Ipv4Addr {
        let [a, b, c, _] = self.base.octets();
        Ipv4Addr::new(a, b, c, last)
    }

    /// The first candidate that overlaps nothing in `taken`. `start` spreads testbeds that are raised
    /// at one moment.
    pub(super) fn choose(taken: &[(Ipv4Addr, u8)], start: u8) -> Option<Self> {
        let networks = [(10, 213), (172, 31)];
        let candidates = networks.into_iter().flat_map(|(a, b)| {
            (0..=255_u8)
                .map(move |it| Self { base: Ipv4Addr::new(a, b, it.wrapping_add(start), 0) })
        });
        candidates.into_iter().find(|it| !taken.iter().any(|&other| overlap((it.base, 24), other)))
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/24", self.base)
    }
}

fn overlap((a, a_bits): (Ipv4Addr, u8), (b, b_bits): (Ipv4Addr, u8)) -> bool {
    let bits = u32::from(a_bits.min(b_bits));
    let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
    u32::from(a) & mask == u32::from(b) & mask
}

/// The networks in the output of `ip -4 -o addr` or `ip -4 route show table all`. The default route is
/// not one of them.
pub(super) fn parse_networks(text: &str) -> Vec<(Ipv4Addr, u8)> {
    let parse = |word: &str| {
        let (address, bits) = word.split_once('/').unwrap_or((word, "32"));
        Some((address.parse().ok()?, bits.parse().ok().filter(|it| (1..=32).contains(it))?))
    };
    text.split_ascii_whitespace().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(routes: &str, start: u8, want: &str) {
        let got = Subnet::choose(&parse_networks(routes), start);
        assert_eq!(got.map_or("none".to_owned(), |it| it.to_string()), want);
    }

    #[test]
    fn the_first_network_that_nobody_uses_is_taken() {
        let usual =
            "default via 192.0.2.1 dev eth0\n192.0.2.0/24 dev eth0 scope link src 192.0.2.2";
        check(usual, 0, "10.213.0.0/24");
        check("10.213.0.0/24 dev x\nlocal 10.213.1.9 dev y", 0, "10.213.2.0/24");
        check("10.213.7.0/30 dev x", 7, "10.213.8.0/24");
        check("10.0.0.0/8 via 192.0.2.1", 3, "172.31.3.0/24");
        check("10.0.0.0/8 via x\n172.16.0.0/12 via y", 0, "none");
    }
}
