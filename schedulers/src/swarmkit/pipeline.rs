//! The pipeline: all filters that concern a task, and how many nodes failed each.
//!
//! Source: swarmkit 3e72cb64, `manager/scheduler/pipeline.go`.
//!
//! A node that passes sets all counts back to nothing. So the explanation of a task that found no place
//! speaks of the nodes looked at since the last one that would have done.

use crate::swarmkit::filters::Filter;
use crate::swarmkit::model::{Node, Spec};
use std::fmt;

/// How many nodes failed each filter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts([u32; Filter::ALL.len()]);

impl Counts {
    /// How many failed it.
    pub fn of(&self, filter: Filter) -> u32 {
        self.0[filter.row()]
    }

    /// What a task of a global service is told, to the letter: most failures first, then in the order of
    /// the filters. Empty if nothing failed.
    pub fn explanation(&self) -> String {
        let mut failed: Vec<Filter> =
            Filter::ALL.into_iter().filter(|&it| self.of(it) > 0).collect();
        failed.sort_by_key(|&it| std::cmp::Reverse(self.of(it)));
        failed.iter().map(|&it| it.explain(self.of(it))).collect::<Vec<_>>().join("; ")
    }
}

/// What a task that found no place is told, to the letter.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let explanation = self.explanation();
        if explanation.is_empty() {
            f.write_str("no suitable node")
        } else {
            write!(f, "no suitable node ({explanation})")
        }
    }
}

/// The filters that concern a task, and the counts.
#[derive(Debug, Clone)]
pub struct Pipeline<'s> {
    spec: &'s Spec,
    enabled: [bool; Filter::ALL.len()],
    counts: Counts,
}

impl<'s> Pipeline<'s> {
    /// For tasks of this spec; nothing is counted yet.
    pub fn new(spec: &'s Spec) -> Self {
        let enabled = Filter::ALL.map(|it| it.concerns(spec));
        Self { spec, enabled, counts: Counts::default() }
    }

    /// The first filter that the node fails. Counts nothing.
    pub fn first_failed(&self, node: &Node) -> Option<Filter> {
        let is_failed = |it: &Filter| self.enabled[it.row()] && !it.passes(self.spec, node);
        Filter::ALL.into_iter().find(is_failed)
    }

    /// Whether the node passes, which is counted.
    pub fn process(&mut self, node: &Node) -> bool {
        match self.first_failed(node) {
            Some(filter) => {
                self.counts.0[filter.row()] += 1;
                false
            }
            None => {
                self.counts = Counts::default();
                true
            }
        }
    }

    /// The counts now.
    pub fn counts(&self) -> Counts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarmkit::constraint::read;
    use crate::swarmkit::model::{Platform, State};

    /// Nodes by what is wrong with them: `d`own, `c`onstraint, `p`latform, or nothing (`-`).
    #[track_caller]
    fn check(nodes: &str, want: &str) {
        let spec = Spec {
            constraints: read(["node.id != c"]).unwrap(),
            platforms: vec![Platform::default()],
            ..Spec::default()
        };
        let mut pipeline = Pipeline::new(&spec);
        for it in nodes.chars() {
            let node = Node {
                id: it.to_string(),
                state: if it == 'd' { State::Down } else { State::Ready },
                platform: (it != 'p').then(Platform::default),
                ..Node::default()
            };
            assert_eq!(pipeline.process(&node), it == '-');
        }
        assert_eq!(pipeline.counts().to_string(), want);
    }

    #[test]
    fn most_failures_are_named_first() {
        check("", "no suitable node");
        check("d", "no suitable node (1 node not available for new tasks)");
        check(
            "pdppc",
            "no suitable node (unsupported platform on 3 nodes; 1 node not available for new tasks; \
             scheduling constraints not satisfied on 1 node)",
        );
    }

    #[test]
    fn a_node_that_passes_sets_the_counts_back() {
        check("ddc-", "no suitable node");
        check("ddc-dd", "no suitable node (2 nodes not available for new tasks)");
    }
}
