//! Host ports: which task of ours has them, and which somebody else was found to hold.

use super::Key;
use cluster::demand::Port;
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
    use cluster::demand::Protocol;
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
