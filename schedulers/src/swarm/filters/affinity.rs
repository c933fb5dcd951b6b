//! Containers, images, or labels of containers that are there, or not.
//!
//! Source: classicswarm 3cc018dc, `scheduler/filter/affinity.go`; `cluster/image.go`
//! (`ParseRepositoryTag`).
//!
//! `container` is compared with the id and the first name of each container, `image` with the id, tags
//! and repositories of each image, any other key with that label of each container, empty if it has
//! none. Where there is nothing to compare, `==` is false and `!=` true.

use crate::swarm::expression::Expression;
use crate::swarm::model::Node;

pub(super) fn passes(expression: &Expression, node: &Node) -> bool {
    match expression.key.as_str() {
        // A container without any name is passed over, id and all.
        "container" => expression.matches(node.containers().iter().flat_map(|it| {
            let name = it.names.first().map(|name| name.strip_prefix('/').unwrap_or(name));
            name.into_iter().flat_map(|name| [it.id.as_str(), name])
        })),
        "image" => expression.matches(node.images.iter().flat_map(|it| {
            let tags = it.repo_tags.iter().map(String::as_str);
            [it.id.as_str()].into_iter().chain(tags.clone()).chain(tags.map(repository))
        })),
        label => expression.matches(
            node.containers()
                .iter()
                .map(|it| it.request.labels.get(label).map_or("", String::as_str)),
        ),
    }
}

/// `registry:5000/name` of `registry:5000/name:tag` or `registry:5000/name@digest`.
fn repository(tag: &str) -> &str {
    if let Some((name, _)) = tag.split_once('@') {
        return name;
    }
    match tag.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => tag,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::model::{Container, Image, Request};
    use std::sync::Arc;

    #[track_caller]
    fn check(expression: &str, want: bool) {
        let image = Image {
            id: "sha256:aa".to_owned(),
            repo_tags: vec!["r:5000/web:v1".to_owned(), "db:v2".to_owned()],
        };
        let mut node = Node { images: vec![image], ..Node::default() };
        for (id, names, tier) in [("i1", vec!["/one", "/two"], Some("front")), ("i2", vec![], None)]
        {
            let labels = tier.map(|it| ("tier".to_owned(), it.to_owned())).into_iter().collect();
            node.add(Container {
                id: id.to_owned(),
                names: names.into_iter().map(str::to_owned).collect(),
                request: Arc::new(Request { labels, ..Request::default() }),
                ..Container::default()
            });
        }
        assert_eq!(passes(&Expression::read(expression).unwrap(), &node), want, "{expression}");
    }

    #[test]
    fn containers_are_compared_by_id_and_first_name() {
        check("container==i1", true);
        check("container==one", true);
        check("container==two", false);
        check("container!=two", true);
        check("container==i2", false);
        check("container!=o*", false);
    }

    #[test]
    fn images_are_compared_by_id_tag_and_repository() {
        check("image==sha256:aa", true);
        check("image==r:5000/web", true);
        check("image==r:5000/web:v1", true);
        check("image==r", false);
        check("image==web", false);
        check("image!=db", false);
    }

    #[test]
    fn other_keys_are_labels_of_containers_and_missing_ones_are_empty() {
        check("tier==front", true);
        check("tier==*", true);
        check("zone==*", true);
        check("zone!=front", true);
        check("tier!=front", false);
        check("Tier==front", false);
    }

    #[test]
    fn without_containers_only_not_equal_passes() {
        for (expression, want) in [("tier==*", false), ("tier!=*", true), ("container!=a", true)] {
            let expression = Expression::read(expression).unwrap();
            assert_eq!(passes(&expression, &Node::default()), want, "{expression}");
        }
    }

    #[test]
    fn repositories_are_cut_off_their_tags() {
        for (tag, want) in [("a:b", "a"), ("r:5/a", "r:5/a"), ("r:5/a@sha:b", "r:5/a"), ("a", "a")]
        {
            assert_eq!(repository(tag), want);
        }
    }
}
