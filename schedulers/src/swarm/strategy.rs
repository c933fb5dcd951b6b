//! Strategies: which of the nodes that the filters left are best.
//!
//! Source: classicswarm 3cc018dc, `scheduler/strategy/weighted_node.go` (`weighNodes`, `Less`),
//! `spread.go`, `binpack.go`, `random.go`.
//! Differs in keeping all nodes that are equally good, where the real one sorts and takes the first.

use crate::swarm::explain::Recorder;
use crate::swarm::model::{Load, Loaded, Request};

/// The strategy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strategy {
    /// The emptiest node.
    #[default]
    Spread,
    /// The fullest.
    Binpack,
    /// Any; nothing is checked.
    Random,
}

impl Strategy {
    /// As in the option `--strategy`; the last is an old word for `binpack`.
    pub const WORDS: &[(&str, Self)] = &[
        ("spread", Self::Spread),
        ("binpack", Self::Binpack),
        ("random", Self::Random),
        ("binpacking", Self::Binpack),
    ];

    /// Cuts `rows` down to those that are equally good and best; to none if none has room.
    pub fn keep_best(
        self,
        request: &Request,
        nodes: &[impl Loaded],
        rows: &mut Vec<usize>,
        recorder: &mut impl Recorder,
    ) {
        if self == Self::Random {
            rows.iter().for_each(|&row| recorder.unweighed(row));
            return;
        }
        let mut best = None;
        let mut kept = 0;
        for at in 0..rows.len() {
            let row = rows[at];
            let weight = match self.weigh(request, &nodes[row].load()) {
                Ok(weight) => weight,
                Err(why) => {
                    recorder.no_room(row, why);
                    continue;
                }
            };
            recorder.weighed(row, weight);
            let key = self.key(weight);
            if best.is_none_or(|best| key < best) {
                best = Some(key);
                kept = 0;
            }
            if best == Some(key) {
                rows[kept] = row;
                kept += 1;
            }
        }
        rows.truncate(kept);
    }

    /// Weighs a node. What is not requested weighs 100 and is not checked, however full the node is.
    ///
    /// # Errors
    ///
    /// If it has no room.
    pub fn weigh(self, request: &Request, node: &Load) -> Result<Weight, NoRoom> {
        Weight::of(request, node, if self == Self::Binpack { 10 } else { -10 })
    }

    /// What is best comes first.
    pub fn key(self, weight: Weight) -> (i64, i64) {
        let sign = if self == Self::Binpack { -1 } else { 1 };
        (sign * weight.sum(), sign * weight.containers as i64)
    }
}

/// What a node is ranked by: first the sum, then the containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weight {
    /// CPUs requested on the node with the new container, in percent cut to whole numbers; 100 if it
    /// asks for none.
    pub cpu_percent: i64,
    /// The same of memory.
    pub memory_percent: i64,
    /// Of the node, 0 to 100.
    pub health: i64,
    /// -10 to spread, 10 to pack.
    pub health_factor: i64,
    /// How many there are, in any state.
    pub containers: usize,
}

/// What a node has too little of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// The whole node is smaller than the request.
    TooSmall,
    /// With the new container it would be filled to more than 100 percent, in percent cut to whole
    /// numbers: so 100.99 percent still passes.
    Full {
        /// As [`Weight::cpu_percent`].
        cpu_percent: i64,
        /// As [`Weight::memory_percent`].
        memory_percent: i64,
    },
}

impl Weight {
    fn of(request: &Request, node: &Load, health_factor: i64) -> Result<Self, NoRoom> {
        let (memory, cpus) = (request.memory_bytes, request.cpus);
        if node.total_memory_bytes < memory || node.total_cpus < cpus {
            return Err(NoRoom::TooSmall);
        }
        let percent = |asked: i64, used: i64, total: i64| {
            if asked > 0 { (used + asked) * 100 / total } else { 100 }
        };
        let cpu_percent = percent(cpus, node.used_cpus, node.total_cpus);
        let memory_percent = percent(memory, node.used_memory_bytes, node.total_memory_bytes);
        if cpu_percent > 100 || memory_percent > 100 {
            return Err(NoRoom::Full { cpu_percent, memory_percent });
        }
        let Load { health, containers, .. } = *node;
        Ok(Self { cpu_percent, memory_percent, health, health_factor, containers })
    }

    /// The three terms together. Health outweighs the others: two failures of three cost 660, CPU and
    /// memory range over 200.
    pub fn sum(self) -> i64 {
        self.cpu_percent + self.memory_percent + self.health_factor * self.health
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::model::Node;
    use crate::swarm::tests::node;

    /// Nodes as in [`node`], a request as `cpus/bytes`.
    #[track_caller]
    fn check(strategy: Strategy, nodes: &str, request: &str, want: &[usize]) {
        let nodes: Vec<Node> = nodes.split_whitespace().map(node).collect();
        let (cpus, memory) = request.split_once('/').unwrap();
        let request = Request {
            cpus: cpus.parse().unwrap(),
            memory_bytes: memory.parse().unwrap(),
            ..Request::default()
        };
        let mut rows = (0..nodes.len()).collect();
        strategy.keep_best(&request, &nodes, &mut rows, &mut ());
        assert_eq!(rows, want);
    }

    #[test]
    fn spread_takes_the_emptiest_and_binpack_the_fullest() {
        let nodes = "10/1000:1/0 10/1000:2/0 10/1000:2/0 10/1000:10/0";
        check(Strategy::Spread, nodes, "1/0", &[0]);
        check(Strategy::Binpack, nodes, "1/0", &[1, 2]);
        check(Strategy::Random, nodes, "1/0", &[0, 1, 2, 3]);
    }

    #[test]
    fn on_equal_weight_containers_decide_each_way() {
        let nodes = "10/1000 10/1000:0/0 10/1000:0/0,0/0";
        check(Strategy::Spread, nodes, "0/0", &[0]);
        check(Strategy::Binpack, nodes, "0/0", &[2]);
        check(Strategy::Binpack, nodes, "1/10", &[2]);
    }

    #[test]
    fn percentages_are_cut() {
        check(Strategy::Spread, "1/1000:0/995", "0/14", &[0]);
        check(Strategy::Spread, "1/1000:0/995", "0/15", &[]);
        check(Strategy::Binpack, "8/3000:0/10 8/3000:0/19", "0/10", &[0, 1]);
    }

    #[test]
    fn only_what_is_requested_is_checked() {
        check(Strategy::Spread, "2/1000:0/5000 1/9999", "1/0", &[0]);
        check(Strategy::Spread, "0/1000:0/1000", "0/10", &[]);
        check(Strategy::Spread, "1/10", "2/0", &[]);
        check(Strategy::Random, "1/10", "2/0", &[0]);
    }

    #[test]
    fn health_outweighs_load() {
        let nodes = "10/1000!34 10/1000:8/800";
        check(Strategy::Spread, nodes, "1/100", &[1]);
        check(Strategy::Binpack, "10/1000!67:9/900 10/1000", "1/100", &[1]);
    }

    #[test]
    fn nobody_is_left_when_nobody_has_room() {
        check(Strategy::Spread, "", "0/0", &[]);
        check(Strategy::Binpack, "4/100:4/0 4/100:0/100", "1/1", &[]);
    }
}
