//! The policies in their straight form: everything made anew for every task, every node sent through the strategy.

use super::{Mirror, Soft, Swarm, keep_best};
use crate::rank::best_fit_devices;
use cluster::company::Company;
use cluster::ids::NodeId;
use cluster::scheduler::{Desk, Scheduler};

pub(super) struct Plain(pub(super) Swarm);

impl Scheduler for Plain {
    fn decide(&mut self, desk: &mut Desk<'_>) {
        let Self(Swarm { strategy, chance, overcommit_percent, seeks_images, .. }) = self;
        while let Some(task) = desk.head() {
            let (ask, state) = (desk.ask(task), desk.state());
            let nodes = state.nodes();
            let mut mirror = Mirror::of(state, *overcommit_percent);
            let mut rows: Vec<usize> =
                nodes.ids().filter(|&it| nodes.fits(ask.shape, it)).map(NodeId::row).collect();
            if rows.is_empty() {
                desk.unfit(task);
                continue;
            }
            if let Some(company) = Company::of(state, ask.task) {
                rows.retain(|row| company.allows(NodeId(*row as u32)).is_ok());
            }
            let request = mirror.request(ask.task.definition, state);
            let soft = Soft::of(ask, *seeks_images, state);
            keep_best(*strategy, soft.as_ref(), &request, &mirror.loads, &mut rows, &mut ());
            let row = match rows[..] {
                [] => {
                    desk.hold_back(task);
                    continue;
                }
                [only] => only,
                _ => rows[chance.below(rows.len() as u64) as usize],
            };
            let node = NodeId(row as u32);
            desk.place(task, node, best_fit_devices(ask, node, nodes));
        }
    }

    fn memory(&self) -> Vec<u8> {
        self.0.memory()
    }
}
