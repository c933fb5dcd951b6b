//! Host ports: which task of ours has them, and which somebody else was found to hold.

use super::Key;
use cluster::demand::{Port, Protocol};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Which of our tasks has which fixed port.
#[derive(Debug, Default)]
pub(super) struct Claims(BTreeMap<Port, Key>);

impl Claims {
    /// Takes all of them, or none if one is another task's.
    pub(super) fn take(&mut self, ports: &[Port], who: Key) -> bool {
        let free = ports.iter().all(|it| self.0.get(it).is_none_or(|it| *it == who));
        if free {
            self.0.extend(ports.iter().map(|it| (*it, who)));
        }
        free
    }

    /// Gives back all that it has.
    pub(super) fn release(&mut self, who: Key) {
        self.0.retain(|_, it| *it != who);
    }
}

/// Of the fixed ports of a task whose start failed for one, those that Docker's words are about; all,
/// where the words are not understood.
pub(super) fn taken(words: &str, fixed: &[Port]) -> Vec<Port> {
    let found = read(words).map(|(number, protocol)| {
        let same = |it: &Port| it.number == number && protocol.is_none_or(|p| it.protocol == p);
        fixed.iter().copied().filter(same).collect::<Vec<_>>()
    });
    found.filter(|it| !it.is_empty()).unwrap_or_else(|| fixed.to_vec())
}

/// The host port that Docker could not have, and its protocol where that is said.
fn read(words: &str) -> Option<(u16, Option<Protocol>)> {
    let protocol = |it: &str| match it {
        it if it.starts_with("tcp") => Some(Protocol::Tcp),
        it if it.starts_with("udp") => Some(Protocol::Udp),
        _ => None,
    };
    let number = |address: &str| address.rsplit_once(':')?.1.parse().ok();
    // Another container has it; nothing is said of the protocol.
    if let Some((_, rest)) = words.split_once("Bind for ") {
        return Some((number(rest.split_once(" failed")?.0)?, None));
    }
    // A process has it.
    if let Some((_, rest)) = words.split_once("listen ") {
        let (kind, rest) = rest.split_once(' ')?;
        return Some((number(rest.split_once(": bind")?.0)?, protocol(kind)));
    }
    // Newer Dockers say both alike; some put the container's address behind: `for A:8080:B:80/tcp`.
    let (_, rest) = words.split_once("bind host port ")?;
    let (both, kind) = rest.split_once(": address")?.0.rsplit_once('/')?;
    let both = match both.strip_prefix("for ") {
        Some(it) => it.rsplit_once(':')?.0.rsplit_once(':')?.0,
        None => both,
    };
    Some((number(both)?, protocol(kind)))
}

/// Ports that could not be had, kept from tasks for a while that doubles with each failure.
#[derive(Debug, Default)]
pub(super) struct Held(BTreeMap<Port, (Instant, Duration)>);

impl Held {
    /// They could not be had at `now`.
    pub(super) fn hold(&mut self, ports: &[Port], now: Instant, first: Duration, most: Duration) {
        // What went well for a long time begins anew.
        self.0.retain(|_, it| now < it.0 + most);
        for &port in ports {
            let span = self.0.get(&port).map_or(first, |it| (it.1 * 2).min(most));
            self.0.insert(port, (now + span, span));
        }
    }

    /// Whether none was ever kept back, as far as is remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those kept back at `now`, sorted.
    pub(super) fn at(&self, now: Instant) -> Vec<Port> {
        self.0.iter().filter(|it| now < it.1.0).map(|it| *it.0).collect()
    }

    /// When the next one is given back.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        self.0.values().map(|it| it.0).filter(|it| *it > now).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster::ids::TaskId;

    const WEB: Port = Port { protocol: Protocol::Tcp, number: 80 };

    #[test]
    fn a_port_is_one_tasks_until_it_gives_it_back() {
        let (a, b) = ((TaskId(1), 1), (TaskId(2), 1));
        let mut claims = Claims::default();
        assert!(claims.take(&[WEB], a) && claims.take(&[WEB], a));
        assert!(!claims.take(&[WEB], b));
        claims.release(b);
        assert!(!claims.take(&[WEB], b));
        claims.release(a);
        assert!(claims.take(&[WEB], b));
    }

    #[test]
    fn only_the_port_that_is_taken_is_held() {
        let port = |protocol, number| Port { protocol, number };
        let [web, dns, other] =
            [port(Protocol::Tcp, 8080), port(Protocol::Udp, 8080), port(Protocol::Tcp, 80)];
        let all = [other, web, dns];
        let endpoint = "driver failed programming external connectivity on endpoint w (ab:80)";
        for (words, want) in [
            ("Bind for 0.0.0.0:8080 failed: port is already allocated", &[web, dns][..]),
            ("Bind for :::8080 failed: port is already allocated", &[web, dns]),
            (
                "Error starting userland proxy: listen tcp4 0.0.0.0:8080: bind: address already in use",
                &[web],
            ),
            ("listen udp 0.0.0.0:8080: bind: address already in use", &[dns]),
            ("listen tcp6 [::]:80: bind: address already in use", &[other]),
            ("failed to bind host port 0.0.0.0:8080/tcp: address already in use", &[web]),
            (
                "failed to bind host port for 0.0.0.0:8080:172.17.0.2:80/udp: address already in use",
                &[dns],
            ),
            ("Bind for 0.0.0.0:9999 failed: port is already allocated", &all),
            ("Bind for nothing", &all),
            ("another task of this host did not give back its port", &all),
            ("listen tcp", &all),
            ("", &all),
        ] {
            assert_eq!(taken(&format!("container a: {endpoint}: {words}"), &all), want, "{words}");
        }
    }

    #[test]
    fn holding_doubles_up_to_the_most() {
        let secs = Duration::from_secs;
        let mut now = Instant::now();
        let mut held = Held::default();
        for want in [60, 120, 240, 300, 300] {
            held.hold(&[WEB], now, secs(60), secs(300));
            assert_eq!(held.next(now), Some(now + secs(want)));
            assert_eq!(held.at(now + secs(want - 1)), [WEB]);
            now += secs(want);
            assert_eq!(held.at(now), []);
        }
    }
}
