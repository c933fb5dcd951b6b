//! Docker Swarm classic (standalone): the decisions of `docker/swarm`, before SwarmKit.
//!
//! Source: classicswarm 3cc018dc (2020-06, its last commit): `scheduler/scheduler.go`,
//! `scheduler/filter/*.go`, `scheduler/strategy/*.go`, `scheduler/node/node.go`, `cluster/engine.go`.
//!
//! A tour. [`model`] is what a decision looks at: engines with the containers on them, and what a new
//! container asks for ([`model::Request`], whose [`expression`]s are parsed once). [`filters`] sort
//! nodes out, one file each; a [`strategy`] ranks the rest. [`Scheduler::decide`] joins them and gives
//! **all** equally good nodes: the real system draws among them by the order of a Go map. [`engine`]
//! holds the rules by which an engine becomes a node: over-commit, CPU shares, health.
//! [`policy`] makes policies for simulations and live clusters of the strategies.
//!
//! A decision is made once, or twice. The first time soft expressions (`==~`) count like hard ones; if
//! anything at all fails then, be it only that the strategy finds no room, everything is done again
//! without any soft expression.
//!
//! Differs: the second time is left out where there is no soft expression, since it could only end as the
//! first. Two retries by the caller of the scheduler (an image that is only on other nodes, a wrong
//! operating system) are not part of a decision and not here.

pub mod engine;
pub mod explain;
pub mod expression;
pub mod filters;
mod index;
pub mod model;
mod pattern;
pub mod policy;
#[cfg(test)]
pub(crate) mod stories;
pub mod strategy;

use explain::Recorder;
use expression::Soft;
use filters::Filter;
use model::{Node, Request};
use strategy::Strategy;

/// The configured scheduler: `swarm manage --strategy … --filter …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduler {
    /// How nodes are ranked.
    pub strategy: Strategy,
    /// Applied in this order.
    pub filters: Vec<Filter>,
}

impl Default for Scheduler {
    /// As when no option is given: spread, all filters.
    fn default() -> Self {
        Self { strategy: Strategy::Spread, filters: Filter::ALL.to_vec() }
    }
}

/// Why a container cannot be created. See [`Scheduler::text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The filter at this place of [`Scheduler::filters`] left no node, or could not read the request.
    Filtered {
        /// Place in the list.
        at: usize,
    },
    /// No filter objected, and there is no node.
    NoNodes,
    /// The strategy found no room.
    NoResources,
}

impl Scheduler {
    /// The nodes that are equally good for a container, as rows of `nodes`, in row order; never empty.
    /// `best` is where they are written, so that its memory is used again.
    ///
    /// With at most twelve nodes ranked the real system takes the first of these in the order in which
    /// its map of engines happened to be walked; with more, its unstable sort takes any.
    ///
    /// # Errors
    ///
    /// If no node is left, with the reason of the second, hard pass, as the real system reports.
    pub fn decide(
        &self,
        request: &Request,
        nodes: &[Node],
        best: &mut Vec<usize>,
        recorder: &mut impl Recorder,
    ) -> Result<(), Failure> {
        match self.pass(request, nodes, Soft::Kept, best, recorder) {
            Err(_) if request.has_soft() => {
                self.pass(request, nodes, Soft::Dropped, best, recorder)
            }
            result => result,
        }
    }

    fn pass(
        &self,
        request: &Request,
        nodes: &[Node],
        soft: Soft,
        best: &mut Vec<usize>,
        recorder: &mut impl Recorder,
    ) -> Result<(), Failure> {
        recorder.begins(soft, nodes.len());
        let result = self.filter(request, nodes, soft, best, recorder).and_then(|()| {
            if best.is_empty() {
                return Err(Failure::NoNodes);
            }
            self.strategy.keep_best(request, nodes, best, recorder);
            if best.is_empty() { Err(Failure::NoResources) } else { Ok(()) }
        });
        recorder.ends(result, best);
        result
    }

    /// The filters alone: writes the rows that pass them all to `left`.
    ///
    /// # Errors
    ///
    /// [`Failure::Filtered`] at the first filter that leaves none.
    pub fn filter(
        &self,
        request: &Request,
        nodes: &[Node],
        soft: Soft,
        left: &mut Vec<usize>,
        recorder: &mut impl Recorder,
    ) -> Result<(), Failure> {
        left.clear();
        left.extend(0..nodes.len());
        for (at, filter) in self.filters.iter().enumerate() {
            if !filter.keep(request, nodes, soft, left, recorder) {
                left.clear();
                return Err(Failure::Filtered { at });
            }
        }
        Ok(())
    }

    /// What the client is told, to the letter, of a failure of this scheduler.
    pub fn text(&self, failure: Failure, request: &Request) -> String {
        match failure {
            Failure::Filtered { at } if self.filters[at] == Filter::Health => {
                "No healthy node available in the cluster".to_owned()
            }
            Failure::Filtered { at } => {
                let mut text =
                    "Unable to find a node that satisfies the following conditions ".to_owned();
                for filter in &self.filters[..=at] {
                    let conditions = filter.conditions(request);
                    if !conditions.is_empty() {
                        text.push_str(&format!("\n[{}]", conditions.join(" ")));
                    }
                }
                text
            }
            Failure::NoNodes => "No nodes available in the cluster".to_owned(),
            Failure::NoResources => "no resources available to schedule container".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
