//! Images that are there already. Source: v1.35, `plugins/imagelocality`.

use super::{Choice, Column, MAX, Normalise};
use crate::kubernetes::node::Node;
use crate::kubernetes::profile::Release;
use std::borrow::Cow;

/// Less than that is not worth it, in bytes: 23 MiB.
const BYTES_MIN: i64 = 23 << 20;
/// More than that per container counts for nothing, in bytes: 1000 MiB.
const BYTES_MAX_PER_CONTAINER: i64 = 1000 << 20;

/// The size of the images that the pod needs and the node has, each times the share of all nodes that have
/// it: an image that few nodes have draws less, so that not all pods go there. Init containers count, except
/// in v1.23.
pub fn column(choice: Choice<'_>) -> Column {
    let spec = choice.pod.spec();
    let init = spec.init_containers.iter().map(|it| &it.container);
    let init = init.filter(|_| choice.profile.release > Release::V1_23);
    let containers: Vec<_> = init.chain(&spec.containers).collect();
    let nodes_all = choice.cluster.len() as f64;
    let images: Vec<(Cow<'_, str>, f64)> = containers
        .iter()
        .map(|it| full_name(&it.image))
        .map(|name| {
            let spread = choice.cluster.nodes_with_image(&name) as f64 / nodes_all;
            (name, spread)
        })
        .collect();
    let value = |node: &Node| {
        let has = |(name, spread): &(Cow<'_, str>, f64)| {
            let bytes = *node.images.get(name.as_ref())?;
            Some((bytes as f64 * spread) as i64)
        };
        score(images.iter().filter_map(has).sum(), containers.len() as i64)
    };
    Column { values: choice.nodes().map(value).collect(), normalise: Normalise::Not }
}

fn score(bytes: i64, containers: i64) -> i64 {
    let bytes_max = BYTES_MAX_PER_CONTAINER * containers;
    let bytes = if bytes < BYTES_MIN { BYTES_MIN } else { bytes.min(bytes_max) };
    MAX * (bytes - BYTES_MIN) / (bytes_max - BYTES_MIN)
}

/// With `:latest` if there is no tag after the last slash.
pub fn full_name(image: &str) -> Cow<'_, str> {
    if image.rfind(':') <= image.rfind('/') {
        Cow::Owned(format!("{image}:latest"))
    } else {
        Cow::Borrowed(image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (image, full) in [
            ("a", "a:latest"),
            ("a:1", "a:1"),
            ("r:5000/a", "r:5000/a:latest"),
            ("r:5000/a:1", "r:5000/a:1"),
            ("", ":latest"),
        ] {
            assert_eq!(full_name(image), full);
        }
    }

    #[test]
    fn sizes() {
        const MIB: i64 = 1 << 20;
        for (bytes, containers, found) in [
            (0, 1, 0),
            (23 * MIB, 1, 0),
            (512 * MIB, 1, 50),
            (2000 * MIB, 1, 100),
            (2000 * MIB, 2, 100),
            (0, 0, 0),
        ] {
            assert_eq!(score(bytes, containers), found, "{bytes} {containers}");
        }
    }
}
