//! The containers whose volumes, links or network are wanted are there.
//!
//! Source: classicswarm 3cc018dc, `scheduler/filter/dependency.go`; `cluster/container.go`
//! (`Containers.Get`).
//!
//! A container is found by the first of these that finds any: its id or the first 12 characters of it;
//! its Swarm id, likewise; one of its names, alone or after the engine's id or name; the beginning of an
//! id of either kind. Names and beginnings must be those of one container alone.

use super::Rejection;
use crate::swarm::model::{Container, Network, Node, Request};

pub(super) fn check<'t>(request: &'t Request, node: &Node) -> Result<(), Rejection<'t>> {
    match names(request).find(|name| !has(node, name)) {
        Some(missing) => Err(Rejection::Missing(missing)),
        None => Ok(()),
    }
}

fn names(request: &Request) -> impl Iterator<Item = &str> {
    let until_colon = |it: &'_ String| -> usize { it.find(':').unwrap_or(it.len()) };
    let network = match &request.network {
        Network::Container(name) => Some(name.as_str()),
        Network::Bridge | Network::Host => None,
    };
    let asked = request.volumes_from.iter().chain(&request.links);
    asked.map(move |it| &it[..until_colon(it)]).chain(network)
}

fn has(node: &Node, wanted: &str) -> bool {
    if wanted.is_empty() {
        return false;
    }
    let containers = node.containers();
    let is_id = |id: &str| id == wanted || short(id) == wanted;
    if containers.iter().any(|it| is_id(&it.id) || is_id(it.swarm_id())) {
        return true;
    }
    match containers.iter().filter(|it| is_name(it, node, wanted)).count() {
        0 => {}
        found => return found == 1,
    }
    let begins = |id: &str| usize::from(id.starts_with(wanted));
    containers.iter().map(|it| begins(&it.id) + begins(it.swarm_id())).sum::<usize>() == 1
}

fn is_name(container: &Container, node: &Node, wanted: &str) -> bool {
    container.names.iter().any(|name| {
        let name = name.as_str();
        let is_after = |engine: &str| wanted.strip_prefix(engine) == Some(name);
        name == wanted
            || name.strip_prefix('/') == Some(wanted)
            || is_after(&node.id)
            || is_after(&node.name)
    })
}

/// The first 12 characters, without `sha256:` and the like.
fn short(id: &str) -> &str {
    let id = id.split_once(':').map_or(id, |(_, it)| it);
    id.get(..12).unwrap_or(id)
}

pub(super) fn conditions(request: &Request) -> Vec<String> {
    let volumes = request.volumes_from.iter().map(|it| format!("--volumes-from={it}"));
    let links = request.links.iter().map(|it| format!("--link={it}"));
    let network = match &request.network {
        Network::Container(name) => Some(format!("--net=container:{name}")),
        Network::Bridge | Network::Host => None,
    };
    volumes.chain(links).chain(network).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::model::SWARM_ID;
    use std::sync::Arc;

    #[track_caller]
    fn check_finds(wanted: &str, want: bool) {
        let mut node = Node { id: "E1".to_owned(), name: "host".to_owned(), ..Node::default() };
        for (id, swarm_id, names) in [
            ("0123456789abcdef", "swarm-aaaaaaaaaa", "/web /db/alias"),
            ("0199999999999999", "swarm-bbbbbbbbbb", "/db"),
            ("77", "", "/twin"),
            ("78", "", "/twin"),
        ] {
            let labels = [(SWARM_ID.to_owned(), swarm_id.to_owned())].into();
            node.add(Container {
                id: id.to_owned(),
                names: names.split(' ').map(str::to_owned).collect(),
                request: Arc::new(Request { labels, ..Request::default() }),
                ..Container::default()
            });
        }
        assert_eq!(has(&node, wanted), want, "{wanted}");
    }

    #[test]
    fn a_container_is_found_by_id_name_or_beginning() {
        for wanted in [
            "0123456789abcdef",
            "0123456789ab",
            "swarm-aaaaaaaaaa",
            "swarm-aaaaaa",
            "web",
            "/web",
            "db/alias",
            "E1/web",
            "host/db",
            "012",
            "swarm-b",
        ] {
            check_finds(wanted, true);
        }
    }

    #[test]
    fn a_name_that_is_not_of_one_alone_finds_nothing() {
        for wanted in ["", "01", "7", "twin", "swarm", "E2/web", "host/", "webs"] {
            check_finds(wanted, false);
        }
    }

    #[test]
    fn all_that_is_wanted_must_be_there() {
        let mut node = Node::default();
        for id in ["c0", "c1"] {
            node.add(Container { id: id.to_owned(), ..Container::default() });
        }
        let list = |it: &str| it.split_whitespace().map(str::to_owned).collect();
        for (volumes, links, network, want) in [
            ("c0 c1:ro", "c1:alias", "container:c0", "ok"),
            ("c2:ro", "", "", "container c2 is not there"),
            ("c0", "c3:c0", "", "container c3 is not there"),
            ("", "", "container:c4", "container c4 is not there"),
            ("", "", "c4", "ok"),
        ] {
            let request = Request {
                volumes_from: list(volumes),
                links: list(links),
                network: Network::read(network),
                ..Request::default()
            };
            let got = check(&request, &node).map_or_else(|it| it.to_string(), |()| "ok".to_owned());
            assert_eq!(got, want);
        }
    }
}
