//! The node has the drivers for volumes, networks and logs.
//!
//! Source: swarmkit 3e72cb64, `manager/scheduler/filter.go` (`PluginFilter`). A node that reports no log
//! driver at all has an old engine, and is not asked for one; the log driver `none` is never missed.

use crate::swarmkit::model::{Node, Plugins, Spec};

pub(super) fn concerns(spec: &Spec) -> bool {
    let Plugins { volume, network, log } = &spec.plugins;
    !(volume.is_empty() && network.is_empty() && log.is_empty())
}

pub(super) fn passes(spec: &Spec, node: &Node) -> bool {
    let (needed, Some(there)) = (&spec.plugins, &node.plugins) else { return true };
    let is_log_there =
        |it: &String| it == "none" || it.is_empty() || there.log.is_empty() || has(&there.log, it);
    needed.volume.iter().all(|it| it == "local" || it.is_empty() || has(&there.volume, it))
        && needed.network.iter().all(|it| it.is_empty() || has(&there.network, it))
        && needed.log.iter().all(is_log_there)
}

fn has(there: &[String], name: &str) -> bool {
    there
        .iter()
        .any(|it| it.strip_prefix(name).is_some_and(|tag| tag.is_empty() || tag == ":latest"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kinds separated by `;`, names by spaces.
    fn plugins(text: &str) -> Plugins {
        let mut kinds =
            text.split(';').map(|it| it.split_whitespace().map(str::to_owned).collect());
        let mut next = || kinds.next().unwrap();
        Plugins { volume: next(), network: next(), log: next() }
    }

    #[test]
    fn every_driver_must_be_there() {
        for (needed, there, want) in [
            ("nfs;;", "nfs;;", true),
            ("nfs;;", "nfs:latest;;", true),
            ("nfs;;", "nfs:v1;;", false),
            ("nfs;;", "nfs2;;", false),
            ("nfs;;", ";nfs;nfs", false),
            ("local;;", ";;", true),
            (";overlay;", ";bridge overlay;", true),
            (";overlay weave;", ";overlay;", false),
            (";;syslog", ";;", true),
            (";;syslog", ";;json-file", false),
            (";;syslog", ";;syslog", true),
            (";;none", ";;json-file", true),
        ] {
            let spec = Spec { plugins: plugins(needed), ..Spec::default() };
            let node = Node { plugins: Some(plugins(there)), ..Node::default() };
            assert!(concerns(&spec));
            assert_eq!(passes(&spec, &node), want, "{needed} of {there}");
            assert!(passes(&spec, &Node::default()));
        }
        assert!(!concerns(&Spec::default()));
    }
}
