//! Plain forms of strategies from papers and products.

use super::plain::{Admits, Arguments, Score, free, held, largest, left, offered};
use crate::fixed;
use cluster::chance::{Chance, Purpose};
use cluster::demand::Resource;
use cluster::ids::{NodeId, TaskId};
use cluster::nodes::NodeStatus;
use cluster::scheduler::Ask;
use cluster::state::{State, Task};
use cluster::units::{Instant, Span};

/// The plain form of a policy's score, `None` if there is none.
pub(super) fn score(name: &str, arguments: &Arguments<'_>) -> Option<Score> {
    Some(match name {
        "harmonic" => harmonic(arguments.number("classes", 6)),
        "failure-spread" => failure_spread(arguments),
        "tetris" => Box::new(|_, ask, node, state| {
            let aligned = Resource::ALL.map(|it| {
                let offered = offered(state, it, node);
                share(asked(ask, it), offered) * share(free(state, it, node), offered)
            });
            vec![-aligned.into_iter().sum::<i128>()]
        }),
        "least-stranded" => least_stranded(arguments),
        "static-stability" => Box::new(|_, ask, node, state| {
            let zone = |it: NodeId| state.nodes().zones()[it.row()];
            let same = || state.nodes().ids().filter(|&it| zone(it) == zone(node));
            let full = Resource::ALL.into_iter().filter(|it| asked(ask, *it) > 0).map(|resource| {
                let held: i128 = same().map(|it| held(state, resource, it)).sum();
                let ready = same().filter(|it| is_ready(state, *it));
                let offered: i128 = ready.map(|it| offered(state, resource, it)).sum();
                ((held + asked(ask, resource)).min(offered) << 80) / offered
            });
            let replicas = same().map(|it| replicas(ask, it, state)).sum();
            vec![replicas, full.max().unwrap_or(0), left("l1", ask, node, state)]
        }),
        "e-pvm" => e_pvm(arguments.after("base").or(arguments.main().first().copied())),
        "move-to-front" => Box::new(|this, _, node, state| {
            if state.tasks_on(node).is_empty() {
                return vec![1];
            }
            let last = this.placed.iter().rposition(|it| *it == node);
            vec![0, -last.map_or(0, |it| it as i128 + 1)]
        }),
        "nilas" => nilas(arguments),
        "nomad-binpack" | "nomad-spread" if arguments.main() == ["all"] => {
            nomad(name == "nomad-spread")
        }
        _ => return None,
    })
}

/// With 32 binary digits, rounded down; zero of nothing.
fn share(part: i128, whole: i128) -> i128 {
    (part << 32).checked_div(whole).unwrap_or(0)
}

fn asked(ask: Ask<'_>, resource: Resource) -> i128 {
    i128::from(ask.shape.totals()[resource.row()])
}

fn is_ready(state: &State, node: NodeId) -> bool {
    state.nodes().status(node) == NodeStatus::Ready
}

/// Tasks of the same group on a node.
fn replicas(ask: Ask<'_>, node: NodeId, state: &State) -> i128 {
    let same = |it: &&TaskId| state.task(**it).unwrap().group == ask.task.group;
    if ask.task.group.is_none() {
        return 0;
    }
    state.tasks_on(node).iter().filter(same).count() as i128
}

fn harmonic(classes: i128) -> Score {
    Box::new(move |_, ask, node, state| {
        let class = |amounts: [u64; 4]| {
            let times = Resource::ALL.into_iter().filter_map(|it| {
                largest(state, it)
                    .checked_div(i128::from(amounts[it.row()]))
                    .filter(|_| largest(state, it) > 0)
            });
            times.min().unwrap_or(classes).clamp(1, classes)
        };
        let there = state.tasks_on(node).iter();
        let there = there.map(|it| class(state.shape(state.task(*it).unwrap().shape).totals()));
        vec![match there.min() {
            Some(there) if there == class(ask.shape.totals()) => 0,
            None => 1,
            Some(_) => 2,
        }]
    })
}

fn failure_spread(arguments: &Arguments<'_>) -> Score {
    let mut domains: Vec<String> = arguments.main().into_iter().map(str::to_owned).collect();
    if domains.is_empty() {
        domains = ["zone", "rack", "node"].map(str::to_owned).to_vec();
    }
    let spare = arguments.number("spare", 1);
    let then = arguments.after("then").unwrap_or("pack").to_owned();
    Box::new(move |_, ask, node, state| {
        let nodes = state.nodes();
        let value = |it: NodeId, name: &str| nodes.value(it, nodes.attribute(name)?);
        let share_all = |other: NodeId, domains: &[String]| {
            let same =
                |it: &String| value(node, it).is_some() && value(node, it) == value(other, it);
            other == node || domains.iter().all(same)
        };
        let mut score: Vec<i128> = (1..=domains.len())
            .map(|depth| {
                let there = nodes.ids().filter(|it| share_all(*it, &domains[..depth]));
                let others: i128 = there.map(|it| replicas(ask, it, state)).sum();
                (others + 1 - spare).max(0)
            })
            .collect();
        let left = left("l1", ask, node, state);
        score.push(match then.as_str() {
            "pack" => left,
            "spread" => -left,
            _ => 0,
        });
        score
    })
}

fn least_stranded(arguments: &Arguments<'_>) -> Score {
    let mut counted: Vec<Resource> =
        arguments.main().into_iter().filter_map(Resource::from_name).collect();
    if counted.is_empty() {
        counted = vec![Resource::Cpu, Resource::Memory];
    }
    let is_growth = arguments.after("of") == Some("growth");
    Box::new(move |_, ask, node, state| {
        // What is stranded where so much is taken of what is free, and what is left at all.
        let stranded = |taken: &dyn Fn(Resource) -> i128| {
            let shares: Vec<i128> = counted
                .iter()
                .filter(|it| offered(state, **it, node) > 0)
                .map(|&it| share(free(state, it, node) - taken(it), offered(state, it, node)))
                .collect();
            let smallest = shares.iter().min().copied().unwrap_or(0);
            (shares.iter().map(|it| it - smallest).sum::<i128>(), shares.iter().sum::<i128>())
        };
        let (before, _) = stranded(&|_| 0);
        let (after, left) = stranded(&|it| asked(ask, it));
        vec![if is_growth { after - before } else { after }, left]
    })
}

/// The rule of static stability.
pub(super) fn stays_stable(is_even: bool) -> Admits {
    Box::new(move |ask, node, state| {
        let nodes = state.nodes();
        let zone = |it: NodeId| nodes.zones()[it.row()];
        let mut zones: Vec<_> = nodes.ids().filter(|it| is_ready(state, *it)).map(zone).collect();
        zones.sort_unstable();
        zones.dedup();
        if zones.len() <= 1 {
            return true;
        }
        let count = zones.len() as i128;
        Resource::ALL.into_iter().filter(|it| asked(ask, *it) > 0).all(|resource| {
            let offers = |is_meant: &dyn Fn(NodeId) -> bool| -> i128 {
                let meant = nodes.ids().filter(|it| is_meant(*it) && is_ready(state, *it));
                meant.map(|it| offered(state, resource, it)).sum()
            };
            let holds = |is_meant: &dyn Fn(NodeId) -> bool| -> i128 {
                nodes.ids().filter(|it| is_meant(*it)).map(|it| held(state, resource, it)).sum()
            };
            if is_even {
                let here = |it: NodeId| zone(it) == zone(node);
                (holds(&here) + asked(ask, resource)) * count <= offers(&here) * (count - 1)
            } else {
                let held = holds(&|_| true) + asked(ask, resource);
                zones.iter().all(|lost| held <= offers(&|it| zone(it) != *lost))
            }
        })
    })
}

fn e_pvm(base: Option<&str>) -> Score {
    let base = base.filter(|it| *it != "nodes").map(|it| it.parse::<u64>().unwrap());
    Box::new(move |_, ask, node, state| {
        let nodes = state.nodes();
        let there = nodes.ids().filter(|it| nodes.status(*it) != NodeStatus::Lost).count() as u64;
        let digits = i128::from(fixed::log2(base.unwrap_or(there.max(2))));
        let price =
            |used, offered| fixed::exp2(((digits * share(used, offered)) >> 32) as u64) as i128;
        let rise = |it: Resource| {
            let (used, offered) =
                (offered(state, it, node) - free(state, it, node), offered(state, it, node));
            price(used + asked(ask, it), offered) - price(used, offered)
        };
        vec![Resource::ALL.into_iter().map(rise).sum()]
    })
}

fn nilas(arguments: &Arguments<'_>) -> Score {
    let norm = arguments.main().first().copied().unwrap_or("l1").to_owned();
    let step = 60_000_000 * arguments.number("step", 30);
    let off = arguments.number("off", 1) as u64;
    let predicted = move |seed: u64, id: TaskId, Span(estimate): Span| {
        let mut chance = Chance::new(seed, Purpose::Scheduler, id.0 + 1);
        // Off by 2^(drawn - log2(off)).
        let drawn = match off {
            1 => 0,
            _ => chance.below(2 * fixed::log2(off) + 1),
        };
        let error = fixed::exp2(drawn) >> 20;
        let length = (u128::from(estimate) * error / u128::from(off)) >> (fixed::DIGITS - 20);
        (length as i128).max(1)
    };
    // `None` is never.
    let exit = move |seed: u64, id: TaskId, task: &Task, now: Instant| {
        let since = i128::from(task.placement().map_or(now, |it| it.at).0);
        let mut length = predicted(seed, id, task.estimate?);
        while since + length <= i128::from(now.0) {
            length *= 2;
        }
        Some(since + length)
    };
    Box::new(move |this, ask, node, state| {
        let mut ends = state
            .tasks_on(node)
            .iter()
            .map(|it| exit(this.seed, *it, state.task(*it).unwrap(), ask.now));
        let stays_until = ends.try_fold(i128::from(ask.now.0), |last, it| Some(last.max(it?)));
        let level = match (exit(this.seed, ask.id, ask.task, ask.now), stays_until) {
            (_, None) => 0,
            (None, Some(_)) => i128::MAX,
            (Some(exit), Some(stays_until)) if exit <= stays_until => 0,
            (Some(exit), Some(stays_until)) => {
                (1..).find(|it| exit - stays_until <= step << (it - 1)).unwrap()
            }
        };
        vec![level, left(&norm, ask, node, state)]
    })
}

fn nomad(spreads: bool) -> Score {
    let one = 1 << fixed::DIGITS;
    let ten = i128::from(fixed::log2(10));
    Box::new(move |_, ask, node, state| {
        let power = |it: Resource| match offered(state, it, node) {
            0 => one,
            // All of it stays free.
            offered if free(state, it, node) - asked(ask, it) == offered => 10 * one,
            offered => {
                let stays_free = share(free(state, it, node) - asked(ask, it), offered);
                fixed::exp2(((ten * stays_free) >> 32) as u64) as i128
            }
        };
        let powers = power(Resource::Cpu) + power(Resource::Memory);
        let fit = if spreads { powers - 2 * one } else { 20 * one - powers };
        let fit = fit.clamp(0, 18 * one) / 18;
        let others = replicas(ask, node, state);
        if others == 0 {
            return vec![-fit];
        }
        let all: i128 = state.nodes().ids().map(|it| replicas(ask, it, state)).sum();
        let anti_affinity = (-(others + 1) * one).div_euclid(all + 1);
        vec![-(fit + anti_affinity).div_euclid(2)]
    })
}
