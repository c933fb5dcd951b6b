//! Ports of the node. Source: v1.35, `plugins/nodeports`.

use crate::kubernetes::explain::Rejection;
use crate::kubernetes::node::Used;
use crate::kubernetes::pod::Pod;

/// # Errors
///
/// If a port that the pod takes is taken.
pub fn check(pod: &Pod, used: &Used) -> Result<(), Rejection> {
    let taken = |port| used.ports.iter().any(|it| it.collides(port));
    if pod.spec().host_ports.iter().any(taken) { Err(Rejection::Ports) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::pod::{HostPort, PodId, PodShape, PodSpec};
    use std::sync::Arc;

    #[test]
    fn taken() {
        let port = |port| HostPort {
            protocol: "TCP".to_owned(),
            address: HostPort::ANY_ADDRESS.to_owned(),
            port,
        };
        let pod = |host_ports| {
            let spec = PodSpec { host_ports, ..PodSpec::default() };
            Pod::new(PodId(0), Arc::new(PodShape::new(spec)))
        };
        let mut used = Used::default();
        used.add(&pod(vec![port(80)]));
        assert_eq!(check(&pod(vec![port(81), port(80)]), &used), Err(Rejection::Ports));
        assert_eq!(check(&pod(vec![port(81)]), &used), Ok(()));
    }
}
