//! The task's fixed host ports must be free, and the instance not run out of them.
//!
//! Source: Developer Guide, "Service event messages": an instance has at most 100 reserved ports, the agent's
//! own among them; ports that the host chooses do not count. Ours counts TCP and UDP together.

use super::{Filter, Reason};

/// The most host ports with a fixed number that an instance may hold.
pub const PORTS_MAX: usize = 100;

pub(super) const FILTER: Filter = Filter {
    reason: Reason::Ports,
    is_for_start: true,
    rejects: |request, instance| {
        let (asked, held) = (&request.needs.ports, &instance.ports);
        asked.count() > 0 && (held.meets(asked) || held.count() + asked.count() > PORTS_MAX)
    },
};

#[cfg(test)]
mod tests {
    use crate::ecs::filter::check::check;
    use crate::ecs::instance::{Instance, Ports};
    use crate::ecs::place::Request;

    #[track_caller]
    fn ports(held: (&[u16], &[u16]), asked: (&[u16], &[u16]), want: &str) {
        let set = |(tcp, udp): (&[u16], &[u16])| Ports {
            tcp: tcp.iter().copied().collect(),
            udp: udp.iter().copied().collect(),
        };
        let (mut request, mut instance) = (Request::default(), Instance::default());
        request.needs.ports = set(asked);
        instance.ports = set(held);
        check(&request, &instance, want);
    }

    #[test]
    fn a_port_is_held_once() {
        ports((&[22, 80], &[53]), (&[443], &[54]), "");
        ports((&[22, 80], &[53]), (&[443, 80], &[]), "RESOURCE:PORTS");
        ports((&[22, 80], &[53]), (&[], &[53]), "RESOURCE:PORTS");
        // The protocols do not meet.
        ports((&[22, 80], &[53]), (&[53], &[80]), "");
    }

    #[test]
    fn a_hundred_are_enough() {
        let many: Vec<u16> = (1000..1099).collect();
        ports((&many, &[]), (&[], &[80]), "");
        ports((&many, &[1]), (&[], &[80]), "RESOURCE:PORTS");
        ports((&many, &[]), (&[80, 81], &[]), "RESOURCE:PORTS");
        // A task without fixed ports is not kept away by those of others.
        ports((&many, &[1, 2]), (&[], &[]), "");
    }
}
