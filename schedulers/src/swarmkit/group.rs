//! Places a group of equal tasks on the tree.
//!
//! Source: swarmkit 3e72cb64, `manager/scheduler/scheduler.go` (`scheduleTaskGroup`,
//! `scheduleNTasksOnSubtree`, `scheduleNTasksOnNodes`, `noSuitableNode`, `taskFitNode`).

use crate::swarmkit::explain::Recorder;
use crate::swarmkit::model::{Node, Spec};
use crate::swarmkit::order::Rank;
use crate::swarmkit::pipeline::{Counts, Pipeline};
use crate::swarmkit::tree::Tree;

/// What became of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Rows of the nodes, one a task, in the order in which they were given. May be fewer than the tasks.
    pub nodes: Vec<usize>,
    /// Why the others have none; shown, what they are told. `None` if all have one.
    pub refusal: Option<Counts>,
}

/// Places `tasks` tasks of one spec, and counts them on their nodes.
///
/// `order` is asked to put places in an order, once for all nodes and once for the branches in every round at
/// every inner branch; they come in row order, or as their first nodes did. Where the real scheduler
/// walks a Go map, any order is right: leave them as they are, or shuffle them with a stream of
/// one's own.
///
/// `now_us` is in microseconds, on the clock by which failures were recorded.
pub fn schedule(
    nodes: &mut [Node],
    spec: &Spec,
    tasks: usize,
    now_us: u64,
    order: &mut impl FnMut(&mut [usize]),
    recorder: &mut impl Recorder,
) -> Placed {
    if tasks == 0 {
        return Placed { nodes: Vec::new(), refusal: None };
    }
    let mut rows: Vec<usize> = (0..nodes.len()).collect();
    order(&mut rows);
    let mut ranks: Vec<Rank> = nodes.iter().map(|it| Rank::of(it, spec, now_us)).collect();
    let site = Ranked { nodes, ranks: &mut ranks, least: Rank::default() };
    schedule_ranked(site, rows, spec, tasks, order, recorder)
}

/// Nodes with what [`Rank::of`] says of them, both by row.
pub struct Ranked<'a> {
    /// The nodes.
    pub nodes: &'a mut [Node],
    /// Of those that are walked over; kept right when tasks are placed.
    pub ranks: &'a mut [Rank],
    /// None of those is better.
    pub least: Rank,
}

/// As [`schedule`], of a caller who keeps the ranks and has put the nodes in order himself.
///
/// Without labels to spread over, the caller may leave nodes out of `walk` that would not pass; and for one task
/// also those of which he knows better ones that pass. Then only [`Placed::refusal`] may be another; so it may be if
/// there are none better than the [least](Ranked::least) rank, where the walk ends as soon as enough of those are found.
pub fn schedule_ranked(
    site: Ranked<'_>,
    walk: impl IntoIterator<Item = usize>,
    spec: &Spec,
    tasks: usize,
    order: &mut impl FnMut(&mut [usize]),
    recorder: &mut impl Recorder,
) -> Placed {
    let mut pipeline = Pipeline::new(spec);
    let Ranked { nodes, ranks, least } = site;
    let tree = Tree::build(nodes, ranks, walk, least, spec, tasks, &mut pipeline);
    let placed = Vec::with_capacity(tasks);
    let mut group =
        Group { nodes, ranks, spec, order, recorder, pipeline, tree, left: tasks, placed };
    group.on_branch(0, tasks as i64);
    let refusal = (group.left > 0).then(|| group.pipeline.counts());
    Placed { nodes: group.placed, refusal }
}

/// Whether a task of a global service may run on the node that it was made for; if so it is counted there.
///
/// # Errors
///
/// The filter that it fails; [`Counts::explanation`] is what the task is told.
pub fn confirm(node: &mut Node, spec: &Spec) -> Result<(), Counts> {
    let mut pipeline = Pipeline::new(spec);
    if pipeline.process(node) {
        node.add(spec, true);
        Ok(())
    } else {
        Err(pipeline.counts())
    }
}

struct Group<'a, O, R> {
    nodes: &'a mut [Node],
    ranks: &'a mut [Rank],
    spec: &'a Spec,
    order: &'a mut O,
    recorder: &'a mut R,
    pipeline: Pipeline<'a>,
    tree: Tree,
    /// Tasks not placed.
    left: usize,
    placed: Vec<usize>,
}

impl<O: FnMut(&mut [usize]), R: Recorder> Group<'_, O, R> {
    /// Places `asked` tasks below a branch, if it can; says how many. It may be more: a branch whose
    /// branches differ much asks them for more than it was asked for.
    fn on_branch(&mut self, at: usize, asked: i64) -> i64 {
        let mut branches = self.tree.branches[at].next.clone();
        if branches.is_empty() {
            return self.on_leaf(at, asked);
        }
        // Branches in the order of the round; those without room are marked by their place in the tree.
        let all = branches.len() as i64;
        let mut without_room = Vec::new();
        let mut usable_tasks = self.tree.branches[at].tasks as i64;
        let mut done = 0;
        let mut is_changing = true;
        while done != asked && (without_room.len() as i64) < all && is_changing {
            is_changing = false;
            let usable = all - without_room.len() as i64;
            let want = (usable_tasks + asked - done) / usable;
            let mut rest = (usable_tasks + asked - done) % usable;
            branches.copy_from_slice(&self.tree.branches[at].next);
            (self.order)(&mut branches);
            for &branch in &branches {
                let tasks = self.tree.branches[branch].tasks as i64;
                let is_short = tasks < want || (tasks == want && rest > 0);
                if without_room.contains(&branch) || !is_short {
                    continue;
                }
                is_changing = true;
                let share = want - tasks + i64::from(rest > 0);
                let got = self.on_branch(branch, share);
                self.recorder.shared(&self.tree, branch, share, got);
                if got < share {
                    without_room.push(branch);
                    usable_tasks -= tasks;
                } else if rest > 0 {
                    rest -= 1;
                }
                done += got;
            }
        }
        done
    }

    fn on_leaf(&mut self, leaf: usize, asked: i64) -> i64 {
        let Self { tree, pipeline, .. } = self;
        let rows = tree.ordered(leaf, self.nodes, self.ranks, pipeline).to_vec();
        self.recorder.visited(leaf, &rows);
        if rows.is_empty() { 0 } else { self.on_nodes(&rows, asked) }
    }

    /// Walks nodes that stand best first. The first sweep stays on a node until the next one is strictly
    /// better, and never goes back; once past the last node, each gets one task in turn.
    fn on_nodes(&mut self, rows: &[usize], asked: i64) -> i64 {
        let count = rows.len();
        let mut is_full = vec![false; count];
        let mut at = 0;
        let mut done = 0;
        while self.left > 0 {
            let row = rows[at % count];
            self.nodes[row].add(self.spec, true);
            self.ranks[row].of_service += 1;
            self.ranks[row].tasks += 1;
            self.placed.push(row);
            self.left -= 1;
            done += 1;
            if done == asked {
                break;
            }
            if at + 1 >= count || self.ranks[rows[at + 1]] < self.ranks[row] {
                at += 1;
            }
            let begin = at;
            while is_full[at % count] || !self.pipeline.process(&self.nodes[rows[at % count]]) {
                is_full[at % count] = true;
                at += 1;
                if at - begin == count {
                    return done;
                }
            }
        }
        done
    }
}
