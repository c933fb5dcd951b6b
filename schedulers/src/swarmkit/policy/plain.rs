//! The policy in its straight form: everything made anew for every task, every node sent through the profile.

use super::{Mirror, SwarmKit, is_limit_alone, replicas_max};
use crate::fitting::Rows;
use crate::rank::best_fit_devices;
use crate::swarmkit::failures::WINDOW_US;
use crate::swarmkit::group::schedule;
use crate::swarmkit::model::State as Known;
use cluster::company::Company;
use cluster::demand::Resource;
use cluster::event::Change;
use cluster::ids::{NodeId, TaskId};
use cluster::scheduler::{Desk, Scheduler};
use cluster::state::State;

pub(super) struct Plain(pub(super) SwarmKit);

impl Scheduler for Plain {
    fn decide(&mut self, desk: &mut Desk<'_>) {
        let Self(SwarmKit { chance, failures, fresh, .. }) = self;
        let now_us = desk.now().0;
        failures.retain(|it| now_us.saturating_sub(it.0) <= WINDOW_US);
        failures.extend(fresh.drain(..).map(|it| (now_us, it)));
        while let Some(task) = desk.head() {
            let mut mirror = Mirror::of(desk.state(), failures);
            let (room, is_kept) = mark(&mut mirror, task, desk);
            if room == 0 && is_kept {
                desk.hold_back(task);
                continue;
            }
            if room == 0 {
                desk.unfit(task);
                continue;
            }
            let batch = hold_batch(desk, task, room);
            let (state, asked) = (desk.state(), desk.ask(task).task);
            let spec = mirror.spec(asked.group, asked.definition, state);
            mirror.forgive();
            let mut order = |places: &mut [usize]| chance.shuffle(places);
            let placed =
                schedule(&mut mirror.nodes, &spec, batch.len(), now_us, &mut order, &mut ());
            for (&task, row) in batch.iter().zip(placed.nodes) {
                let node = NodeId(row as u32);
                let (ask, nodes) = (desk.ask(task), desk.state().nodes());
                if nodes.fits(ask.shape, node) {
                    let devices = best_fit_devices(ask, node, nodes);
                    desk.place(task, node, devices);
                }
            }
        }
    }

    fn observe(&mut self, changes: &[Change], state: &State) {
        self.0.observe(changes, state);
    }

    fn wants_every_instant(&self) -> bool {
        self.0.wants_every_instant()
    }

    fn memory(&self) -> Vec<u8> {
        self.0.memory()
    }
}

/// Tells the profile where the task may go; says for how many of its like there is room, and whether rules about
/// other tasks keep it out of a node.
fn mark(mirror: &mut Mirror, task: TaskId, desk: &Desk<'_>) -> (usize, bool) {
    let (ask, state) = (desk.ask(task), desk.state());
    let nodes = state.nodes();
    let company = Company::of(state, ask.task);
    let asked = &state.definition(ask.task.definition).constraints;
    let group = ask.task.group.filter(|_| is_limit_alone(asked));
    let replicas_max = group.and_then(|_| replicas_max(asked)).unwrap_or(u32::MAX);
    let (mut room, mut is_kept) = (0usize, false);
    for (row, node) in mirror.nodes.iter_mut().enumerate() {
        let id = NodeId(row as u32);
        let mut fits = nodes.fits(ask.shape, id);
        if fits && company.as_ref().is_some_and(|it| it.allows(id).is_err()) {
            (fits, is_kept) = (false, true);
        }
        node.state = if fits { Known::Ready } else { Known::Down };
        if fits {
            let times = Resource::SCALARS
                .into_iter()
                .filter_map(|it| nodes.free(it)[row].checked_div(ask.shape.amounts[it.row()]));
            let there = group.and_then(|it| state.group(it)).map_or(0, |it| it.on_node(id));
            let times = times.min().unwrap_or(u64::MAX) as usize;
            room = room.saturating_add(times.min((replicas_max - there) as usize));
        }
    }
    mirror.fits = Rows::of(nodes.len(), |row| mirror.nodes[row].state == Known::Ready);
    let is_bound = company.is_some();
    if room > 0 && is_bound && (group.is_none() || !state.keeping_apart().is_empty()) {
        room = 1;
    }
    (room, is_kept)
}

fn hold_batch(desk: &mut Desk<'_>, head: TaskId, room: usize) -> Vec<TaskId> {
    let ask = desk.ask(head);
    let (group, definition, shape) = (ask.task.group, ask.task.definition, ask.task.shape);
    let is_alone = group.is_none() || ask.shape.gpu_count > 0 || !ask.shape.ports.is_empty();
    desk.hold_back(head);
    let mut batch = vec![head];
    while !is_alone && batch.len() < room {
        let Some(next) = desk.head() else { break };
        let task = desk.ask(next).task;
        if (task.group, task.definition, task.shape) != (group, definition, shape) {
            break;
        }
        desk.hold_back(next);
        batch.push(next);
    }
    batch
}
