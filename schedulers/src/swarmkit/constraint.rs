//! Constraints on nodes, `key == value` or `key != value`.
//!
//! Source: swarmkit 3e72cb64, `manager/constraint/constraint.go` (`Parse`, `Match`, `NodeMatches`);
//! addresses: Go's `net.ParseIP`, `net.ParseCIDR`, `IPNet.Contains`.
//!
//! * `==` is looked for before `!=`; white space around key and value is dropped.
//! * Keys, whose letters may be large or small: `node.id`, `node.hostname`, `node.ip`, `node.role`,
//!   `node.platform.os`, `node.platform.arch`, `node.labels.NAME`, `engine.labels.NAME`; the names
//!   of labels are taken as they are. Any other key is met by no node, whatever the operator.
//! * Values are compared whole, large or small letters alike. There are no patterns. What a node lacks
//!   is empty text.
//! * `node.ip` is an address or a network in CIDR form; any other value is met by no node.

use crate::swarm::expression::{Operator, is_in_values, is_key};
use crate::swarmkit::model::{Node, Role, label};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    key: Key,
    operator: Operator,
    value: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Id,
    Hostname,
    Address(IpAddr),
    Network { base: IpAddr, bits: u32 },
    Role,
    Os,
    Arch,
    NodeLabel(String),
    EngineLabel(String),
    Unmet,
}

/// Why a constraint cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// The key is none.
    #[error("key '{0}' is invalid")]
    Key(String),
    /// The value is none.
    #[error("value '{0}' is invalid")]
    Value(String),
    /// Neither operator is there.
    #[error("constraint expected one operator from ==, !=")]
    Operator,
}

/// Reads a list. The scheduler takes a list that cannot be read for none.
///
/// # Errors
///
/// The first that is not in the right form.
pub fn read<T: AsRef<str>>(
    texts: impl IntoIterator<Item = T>,
) -> Result<Vec<Constraint>, SyntaxError> {
    texts.into_iter().map(|it| Constraint::read(it.as_ref())).collect()
}

/// An address as Go reads it: one of v6 that stands for one of v4 is that.
pub fn read_address(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|it| it.to_canonical())
}

impl Constraint {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// If it is not in the right form.
    pub fn read(text: &str) -> Result<Self, SyntaxError> {
        let (key, operator, value) = match (text.split_once("=="), text.split_once("!=")) {
            (Some((key, value)), _) => (key, Operator::Equal, value),
            (None, Some((key, value))) => (key, Operator::NotEqual, value),
            (None, None) => return Err(SyntaxError::Operator),
        };
        let (key, value) = (key.trim(), value.trim());
        if !is_key(key) {
            return Err(SyntaxError::Key(key.to_owned()));
        }
        if value.is_empty() || !value.chars().all(is_in_values) {
            return Err(SyntaxError::Value(value.to_owned()));
        }
        Ok(Self { key: Key::of(key, value), operator, value: value.to_owned() })
    }

    /// Whether a node meets it.
    pub fn is_met_by(&self, node: &Node) -> bool {
        let platform = node.platform.as_ref();
        let found = match &self.key {
            Key::Id => self.is_value(&node.id),
            Key::Hostname => self.is_value(&node.hostname),
            Key::Address(address) => node.address == Some(*address),
            Key::Network { base, bits } => {
                node.address.is_some_and(|it| masked(it, *bits) == Some(*base))
            }
            Key::Role => self.is_value(match node.role {
                Role::Worker => "WORKER",
                Role::Manager => "MANAGER",
            }),
            Key::Os => self.is_value(platform.map_or("", |it| &it.os)),
            Key::Arch => self.is_value(platform.map_or("", |it| &it.arch)),
            Key::NodeLabel(name) => self.is_value(node.labels.get(name).map_or("", |it| it)),
            Key::EngineLabel(name) => {
                self.is_value(node.engine_labels.get(name).map_or("", |it| it))
            }
            Key::Unmet => return false,
        };
        found == (self.operator == Operator::Equal)
    }

    fn is_value(&self, text: &str) -> bool {
        self.value.eq_ignore_ascii_case(text)
            || self.value.chars().map(folded).eq(text.chars().map(folded))
    }
}

/// Letters that differ only in being large or small become one.
fn folded(it: char) -> char {
    let upper = only(it.to_uppercase()).unwrap_or(it);
    only(upper.to_lowercase()).unwrap_or(upper)
}

/// The item, if there is just one: case by way of several letters is no matter to Go.
fn only(mut chars: impl ExactSizeIterator<Item = char>) -> Option<char> {
    if chars.len() == 1 { chars.next() } else { None }
}

impl Key {
    fn of(key: &str, value: &str) -> Self {
        let is = |name: &str| key.eq_ignore_ascii_case(name);
        if is("node.id") {
            Self::Id
        } else if is("node.hostname") {
            Self::Hostname
        } else if is("node.ip") {
            read_address(value).map(Self::Address).or_else(|| network(value)).unwrap_or(Self::Unmet)
        } else if is("node.role") {
            Self::Role
        } else if is("node.platform.os") {
            Self::Os
        } else if is("node.platform.arch") {
            Self::Arch
        } else if let Some(name) = label(key, "node.labels.") {
            Self::NodeLabel(name)
        } else if let Some(name) = label(key, "engine.labels.") {
            Self::EngineLabel(name)
        } else {
            Self::Unmet
        }
    }
}

fn network(text: &str) -> Option<Key> {
    let (address, bits) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    if !bits.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let bits: u32 = bits.parse().ok()?;
    let base = masked(address, bits)?;
    // A network of v6 within the addresses that stand for those of v4 is one of v4.
    match (address, base.to_canonical()) {
        (IpAddr::V6(_), base @ IpAddr::V4(_)) => Some(Key::Network { base, bits: bits - 96 }),
        _ => Some(Key::Network { base, bits }),
    }
}

/// The first bits of an address; `None` if it has fewer.
fn masked(address: IpAddr, bits: u32) -> Option<IpAddr> {
    match address {
        IpAddr::V4(it) => {
            let off = 32u32.checked_sub(bits)?;
            let mask = u32::MAX.checked_shl(off).unwrap_or(0);
            Some(Ipv4Addr::from_bits(it.to_bits() & mask).into())
        }
        IpAddr::V6(it) => {
            let off = 128u32.checked_sub(bits)?;
            let mask = u128::MAX.checked_shl(off).unwrap_or(0);
            Some(Ipv6Addr::from_bits(it.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarmkit::model::Platform;

    #[test]
    fn is_read_with_white_space_around() {
        for (text, want) in [
            ("node.id==a", Ok(())),
            ("  node.id  !=  a b ", Ok(())),
            ("node.labels.x == a*(b)?[c]\\^$|+/-_:.", Ok(())),
            ("no.such.key == a", Ok(())),
            ("node.id", Err("constraint expected one operator from ==, !=")),
            ("node.id = a", Err("constraint expected one operator from ==, !=")),
            ("n == a", Err("key 'n' is invalid")),
            ("1node == a", Err("key '1node' is invalid")),
            ("node id == a", Err("key 'node id' is invalid")),
            ("node.id !== a", Err("key 'node.id !' is invalid")),
            ("node.id ==", Err("value '' is invalid")),
            ("node.id == ~a", Err("value '~a' is invalid")),
            ("node.id == a==b", Err("value 'a==b' is invalid")),
        ] {
            let got = Constraint::read(text).map(|_| ()).map_err(|it| it.to_string());
            assert_eq!(got, want.map_err(str::to_owned), "{text}");
        }
        assert!(read(["node.id == a", "node.id"]).is_err());
    }

    #[track_caller]
    fn check(constraint: &str, node: &Node, want: bool) {
        let constraint = Constraint::read(constraint).unwrap();
        assert_eq!(constraint.is_met_by(node), want, "{constraint:?}");
    }

    #[test]
    fn values_are_compared_whole_in_large_or_small() {
        let one = |key: &str, value: &str| [(key.to_owned(), value.to_owned())].into();
        let node = Node {
            id: "Id1".to_owned(),
            hostname: "host-1".to_owned(),
            role: Role::Manager,
            labels: one("Zone", "a"),
            engine_labels: one("os", "Größe"),
            platform: Some(Platform { os: "linux".to_owned(), arch: "x86_64".to_owned() }),
            ..Node::default()
        };
        check("node.id == iD1", &node, true);
        check("node.id == id", &node, false);
        check("node.id == id*", &node, false);
        check("NODE.hostname != HOST-1", &node, false);
        check("node.role == manager", &node, true);
        check("node.role != worker", &node, true);
        check("node.platform.os == Linux", &node, true);
        check("node.platform.arch == amd64", &node, false);
        check("node.labels.Zone == A", &node, true);
        check("node.labels.zone == a", &node, false);
        check("node.labels.zone != a", &node, true);
        check("ENGINE.Labels.os != a", &node, true);
        check("node.labels. == a", &node, false);
        check("node.labels. != a", &node, false);
        check("no.such != a", &node, false);
    }

    #[test]
    fn what_is_missing_is_empty() {
        let node = Node::default();
        for key in ["node.hostname", "node.platform.os", "engine.labels.x", "node.labels.x"] {
            check(&format!("{key} != a"), &node, true);
            check(&format!("{key} == a"), &node, false);
        }
    }

    #[test]
    fn letters_outside_ascii_are_folded_too() {
        let of = |text: &str| text.chars().map(folded).collect::<String>();
        assert_eq!(of("ÀΣς\u{212A}"), "àσσk");
    }

    #[test]
    fn addresses_and_networks() {
        let v4 = Node { address: read_address("186.17.9.41"), ..Node::default() };
        let v6 = Node { address: read_address("2001:db8::2"), ..Node::default() };
        let none = Node { address: read_address("host.example"), ..Node::default() };
        for (value, in_v4, in_v6) in [
            ("186.17.9.41", true, false),
            ("::ffff:186.17.9.41", true, false),
            ("186.17.9.0/24", true, false),
            ("186.17.8.41/24", false, false),
            ("0.0.0.0/0", true, false),
            ("186.17.9.41/32", true, false),
            ("186.17.9.41/032", true, false),
            ("::ffff:186.17.9.0/120", true, false),
            ("2001:db8::2", false, true),
            ("2001:db8::/64", false, true),
            ("2001:db9::/64", false, false),
            ("2001:db8::3/127", false, true),
            ("::/0", false, true),
        ] {
            for (node, is_in) in [(&v4, in_v4), (&v6, in_v6), (&none, false)] {
                check(&format!("node.ip == {value}"), node, is_in);
                check(&format!("node.ip != {value}"), node, !is_in);
            }
        }
        for malformed in
            ["186.17.9.41/33", "266.17.9.41", "186.17.9", "1.2.3.4/+8", "1.2.3.4/", "x"]
        {
            check(&format!("node.ip == {malformed}"), &v4, false);
            check(&format!("node.ip != {malformed}"), &v4, false);
        }
    }
}
