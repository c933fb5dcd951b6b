//! Why a decision fell as it did. Off, it costs nothing: `()` records nothing.

use crate::swarm::Failure;
use crate::swarm::expression::Soft;
use crate::swarm::filters::{Filter, Rejection};
use crate::swarm::strategy::{NoRoom, Weight};

/// Is told of every step of a decision.
pub trait Recorder {
    /// A pass over all nodes begins; the second one, if there is one, is the one that counts.
    fn begins(&mut self, _soft: Soft, _nodes: usize) {}

    /// A filter cannot read its expressions, so it fails for all nodes.
    fn unreadable(&mut self, _filter: Filter) {}

    /// A filter sorts out a node.
    fn rejected(&mut self, _node: usize, _filter: Filter, _why: Rejection<'_>) {}

    /// The strategy leaves out a node.
    fn no_room(&mut self, _node: usize, _why: NoRoom) {}

    /// The strategy weighs a node.
    fn weighed(&mut self, _node: usize, _weight: Weight) {}

    /// The strategy `random` leaves a node as good as any.
    fn unweighed(&mut self, _node: usize) {}

    /// The pass is over; `best` are the equally good nodes.
    fn ends(&mut self, _result: Result<(), Failure>, _best: &[usize]) {}
}

impl Recorder for () {}

/// A whole decision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Explanation {
    /// One pass, or two.
    pub passes: Vec<Pass>,
}

/// One pass over all nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// Whether soft expressions counted.
    pub soft: Soft,
    /// What became of each node, by row.
    pub nodes: Vec<Verdict>,
    /// The filter that could not read its expressions.
    pub unreadable: Option<Filter>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// The equally good nodes.
    pub best: Vec<usize>,
}

/// What became of a node in a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The pass ended before anything was said of it.
    Open,
    /// A filter sorted it out.
    Rejected {
        /// Which.
        filter: Filter,
        /// In words.
        why: String,
    },
    /// It has too little.
    NoRoom(NoRoom),
    /// It was ranked.
    Weighed(Weight),
    /// As good as any other.
    Unweighed,
}

impl Explanation {
    fn pass(&mut self) -> &mut Pass {
        self.passes.last_mut().expect("a pass begins before anything happens in it")
    }
}

impl Recorder for Explanation {
    fn begins(&mut self, soft: Soft, nodes: usize) {
        self.passes.push(Pass {
            soft,
            nodes: vec![Verdict::Open; nodes],
            unreadable: None,
            failure: None,
            best: Vec::new(),
        });
    }

    fn unreadable(&mut self, filter: Filter) {
        self.pass().unreadable = Some(filter);
    }

    fn rejected(&mut self, node: usize, filter: Filter, why: Rejection<'_>) {
        self.pass().nodes[node] = Verdict::Rejected { filter, why: why.to_string() };
    }

    fn no_room(&mut self, node: usize, why: NoRoom) {
        self.pass().nodes[node] = Verdict::NoRoom(why);
    }

    fn weighed(&mut self, node: usize, weight: Weight) {
        self.pass().nodes[node] = Verdict::Weighed(weight);
    }

    fn unweighed(&mut self, node: usize) {
        self.pass().nodes[node] = Verdict::Unweighed;
    }

    fn ends(&mut self, result: Result<(), Failure>, best: &[usize]) {
        let pass = self.pass();
        pass.failure = result.err();
        pass.best = best.to_vec();
    }
}
