//! No port asked for is taken.
//!
//! Source: classicswarm 3cc018dc, `scheduler/filter/port.go`.
//!
//! In the host's network exposed ports are compared, port and protocol, with those of other containers
//! there. Otherwise host ports are: two clash if they are equal and one of the addresses is empty or
//! `0.0.0.0`, or both are the same. Protocols are **not** compared. A port that Docker is to choose
//! clashes by what it chose, while the container runs.

use super::Rejection;
use crate::swarm::model::{Binding, Network, Node, Request};

pub(super) fn check<'t>(request: &'t Request, node: &Node) -> Result<(), Rejection<'t>> {
    if request.network == Network::Host {
        let is_exposed = |port: &&String| {
            node.containers().iter().any(|it| {
                it.request.network == Network::Host && it.request.exposed_ports.contains(port)
            })
        };
        let clash = request.exposed_ports.iter().find(is_exposed);
        return clash.map_or(Ok(()), |port| Err(Rejection::PortExposed(port)));
    }
    let is_taken = |asked: &Binding| {
        node.containers().iter().any(|it| {
            it.request.ports.iter().chain(&it.runtime_ports).any(|other| clash(asked, other))
        })
    };
    match request.ports.iter().find(|it| is_taken(it)) {
        Some(taken) => Err(Rejection::PortTaken(&taken.host_port)),
        None => Ok(()),
    }
}

fn clash(asked: &Binding, other: &Binding) -> bool {
    let is_everywhere = |it: &Binding| it.host_ip.is_empty() || it.host_ip == "0.0.0.0";
    !other.host_port.is_empty()
        && asked.host_port == other.host_port
        && (asked.host_ip == other.host_ip || is_everywhere(asked) || is_everywhere(other))
}

pub(super) fn conditions(request: &Request) -> Vec<String> {
    if request.network == Network::Host {
        return request.exposed_ports.iter().map(|it| format!("port {it} (Host mode)")).collect();
    }
    request.ports.iter().map(|it| format!("port {} (Bridge mode)", it.host_port)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::model::Container;
    use std::sync::Arc;

    /// `ip:host>port`, either side of `:` and `>` may be empty.
    fn binding(text: &str) -> Binding {
        let (host, port) = text.split_once('>').unwrap();
        let (ip, host) = host.rsplit_once(':').unwrap();
        Binding { port: port.to_owned(), host_ip: ip.to_owned(), host_port: host.to_owned() }
    }

    #[track_caller]
    fn check_bridge(asked: &str, requested: &str, actual: &str, want: bool) {
        let ports = |text: &str| text.split_whitespace().map(binding).collect();
        let request = Request { ports: ports(requested), ..Request::default() };
        let mut node = Node::default();
        node.add(Container {
            request: Arc::new(request),
            runtime_ports: ports(actual),
            ..Container::default()
        });
        let request = Request { ports: ports(asked), ..Request::default() };
        assert_eq!(check(&request, &node).is_ok(), want);
    }

    #[test]
    fn equal_host_ports_clash_whatever_the_protocol() {
        check_bridge(":80>80/tcp", ":80>80/tcp", "", false);
        check_bridge(":80>80/udp", ":80>80/tcp", "", false);
        check_bridge(":80>80/tcp", ":81>80/tcp", "", true);
        check_bridge(":81>80/tcp :80>81/tcp", ":80>80/tcp", "", false);
    }

    #[test]
    fn different_addresses_do_not_clash() {
        check_bridge("127.0.0.1:80>80/tcp", "10.0.0.1:80>80/tcp", "", true);
        check_bridge("127.0.0.1:80>80/tcp", "127.0.0.1:80>80/tcp", "", false);
        check_bridge("127.0.0.1:80>80/tcp", ":80>80/tcp", "", false);
        check_bridge("0.0.0.0:80>80/tcp", "127.0.0.1:80>80/tcp", "", false);
        check_bridge(":::80>80/tcp", "127.0.0.1:80>80/tcp", "", true);
    }

    #[test]
    fn chosen_ports_clash_by_what_was_chosen() {
        check_bridge(":>80/tcp", ":>80/tcp", ":32768>80/tcp", true);
        check_bridge(":32768>80/tcp", ":>80/tcp", ":32768>80/tcp", false);
        check_bridge(":32768>80/tcp", ":>80/tcp", "", true);
    }

    #[test]
    fn in_the_hosts_network_exposed_ports_clash() {
        let exposing = |network: &str, ports: &[&str]| Request {
            network: Network::read(network),
            exposed_ports: ports.iter().map(|&it| it.to_owned()).collect(),
            ..Request::default()
        };
        let mut node = Node::default();
        for request in [exposing("host", &["80/tcp"]), exposing("bridge", &["81/tcp"])] {
            node.add(Container { request: Arc::new(request), ..Container::default() });
        }
        for (request, want) in [
            (exposing("host", &["80/tcp"]), false),
            (exposing("host", &["79/tcp", "80/tcp"]), false),
            (exposing("host", &["80/udp"]), true),
            (exposing("host", &["81/tcp"]), true),
            (exposing("host", &[]), true),
            (exposing("none", &["80/tcp"]), true),
        ] {
            assert_eq!(check(&request, &node).is_ok(), want, "{request:?}");
        }
    }
}
