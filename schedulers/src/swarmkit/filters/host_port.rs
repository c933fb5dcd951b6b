//! The ports to be published on the host itself are free there, each with its protocol.
//!
//! Source: swarmkit 3e72cb64, `manager/scheduler/filter.go` (`HostPortFilter`).

use crate::swarmkit::model::{Node, Spec};

pub(super) fn concerns(spec: &Spec) -> bool {
    spec.host_ports.iter().any(|it| it.port != 0)
}

pub(super) fn passes(spec: &Spec, node: &Node) -> bool {
    !spec.host_ports.iter().any(|it| it.port != 0 && node.host_ports.contains(it))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarmkit::model::{HostPort, Protocol};

    #[test]
    fn port_and_protocol_clash_together() {
        let (tcp, udp) = (Protocol::Tcp, Protocol::Udp);
        let ports = |list: &[(Protocol, u16)]| {
            list.iter().map(|&(protocol, port)| HostPort { protocol, port }).collect::<Vec<_>>()
        };
        let mut node = Node::default();
        node.add(&Spec { host_ports: ports(&[(tcp, 80), (udp, 53)]), ..Spec::default() }, false);
        for (asked, is_asked, want) in [
            (ports(&[(tcp, 80)]), true, false),
            (ports(&[(udp, 80)]), true, true),
            (ports(&[(tcp, 81), (udp, 53)]), true, false),
            (ports(&[(tcp, 0)]), false, true),
            (ports(&[]), false, true),
        ] {
            let spec = Spec { host_ports: asked, ..Spec::default() };
            assert_eq!((concerns(&spec), passes(&spec, &node)), (is_asked, want), "{spec:?}");
        }
    }
}
