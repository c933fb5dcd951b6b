//! Explanations: they say what is decided then, of every node once, and leave no trace.

use super::*;
use cluster::company::Company;
use cluster::explain::{Explanation, Outcome, Verdict};
use cluster::refusal::Objections;
use cluster::state::Phase;

/// What an explanation says must hold together, whatever the strategy.
fn check_explanation(
    policy: &Policy,
    state: &State,
    explanation: &Explanation,
) -> Result<(), TestCaseError> {
    let Explanation { task, tied, nodes: said, order, outcome, .. } = explanation;
    let rows: Vec<NodeId> = said.iter().map(|it| it.node.id).collect();
    prop_assert_eq!(rows, state.nodes().ids().collect::<Vec<_>>(), "{}: each node once", policy);
    let asked = state.task(*task).expect("it was explained, so it is there");
    let shape = state.shape(asked.shape);
    let (ask, company) =
        (Ask { id: *task, task: asked, shape, now: explanation.at }, Company::of(state, asked));
    let objections = Objections::new(state, ask);
    let fits = |it| {
        state.nodes().fits(shape, it) && company.as_ref().is_none_or(|at| at.allows(it).is_ok())
    };
    let by_test: Vec<NodeId> =
        state.nodes().ids().filter(|&it| objections.to(it).is_empty()).collect();
    let by_ledger: Vec<NodeId> = state.nodes().ids().filter(|&it| fits(it)).collect();
    prop_assert_eq!(by_test, by_ledger);
    let mut best = None;
    for it in said {
        prop_assert_eq!(&it.node.name, state.nodes().name(it.node.id));
        match &it.verdict {
            Verdict::Rejected(by) => {
                prop_assert!(!by.is_empty(), "{}: rejected by nobody", policy);
                for rejection in by {
                    prop_assert!(!rejection.filter.is_empty() && !rejection.reason.is_empty());
                    for short in &rejection.short {
                        prop_assert_eq!(short.free + short.short, short.wanted, "{}", policy);
                    }
                }
            }
            Verdict::NotLookedAt(why) => prop_assert!(!why.is_empty(), "{}", policy),
            Verdict::Scored { terms, key } => {
                prop_assert!(state.nodes().fits(shape, it.node.id), "{}", policy);
                prop_assert!(key.is_empty() || key.len() == order.len(), "{}: {:?}", policy, it);
                prop_assert!(terms.iter().all(|it| !it.name.is_empty()));
                // Branches of SwarmKit's tree are told apart before the nodes in them.
                let is_flat = policy.card().name != "swarmkit";
                if is_flat && tied.iter().any(|tied| tied.id == it.node.id) {
                    let first = best.get_or_insert_with(|| key.clone());
                    prop_assert_eq!(&*first, key, "{}: equally good", policy);
                }
            }
        }
    }
    for tied in tied {
        let is_scored = matches!(said[tied.id.row()].verdict, Verdict::Scored { .. });
        prop_assert!(is_scored, "{}: {:?} is no candidate", policy, tied);
    }
    match outcome {
        Outcome::Placed { node, devices } => {
            prop_assert!(tied.contains(node), "{}: {:?} of {:?}", policy, node, tied);
            prop_assert_eq!(devices.len(), usize::from(shape.gpu_count), "{}", policy);
        }
        Outcome::MakesRoom { node, devices, victims } => {
            prop_assert!(tied.is_empty(), "{}", policy);
            prop_assert_eq!(devices.len(), usize::from(shape.gpu_count), "{}", policy);
            prop_assert!(!victims.is_empty(), "{}", policy);
            for victim in victims.iter().map(|it| state.task(*it).expect("it runs")) {
                prop_assert_eq!(victim.placement().map(|it| it.node), Some(node.id), "{}", policy);
                prop_assert!(victim.priority < asked.priority, "{}", policy);
            }
        }
        Outcome::FitsNowhere | Outcome::HeldBack => prop_assert!(tied.is_empty(), "{}", policy),
        Outcome::Unsaid => return Err(TestCaseError::fail(format!("{policy} says nothing"))),
    }
    Ok(())
}

fn check_story(policy: &Policy, story: &Story, rules: Rules) -> Result<(), TestCaseError> {
    let mut life = Life::new(story, rules, policy.build(story.seed));
    let mut plain = Life::new(story, rules, policy.build(story.seed));
    loop {
        let mut said = Vec::new();
        let goes_on = life.step_with(|manager, now| {
            // Some of those that wait, the first and the last among them.
            let waiting: Vec<TaskId> = manager
                .live_tasks()
                .into_iter()
                .filter(|&it| manager.state().task(it).is_some_and(|it| it.phase == Phase::Pending))
                .collect();
            for &task in waiting.iter().take(1).chain(waiting.last()) {
                let before = manager.snapshot();
                let scheduler = policy.build(u64::MAX);
                said.push(manager.explain_decision(now, task, scheduler).unwrap());
                let now_said = manager.explain_nodes(now, task).unwrap();
                assert_eq!(manager.snapshot(), before, "{policy} remembers that it was asked");
                check_explanation(policy, manager.state(), &now_said).unwrap();
            }
        });
        prop_assert_eq!(plain.step(), goes_on);
        prop_assert_eq!(life.manager.fingerprint(), plain.manager.fingerprint(), "{}", policy);
        if !goes_on {
            return Ok(());
        }
        let started = |task: TaskId| {
            life.actions.iter().find_map(|it| match *it {
                Action::Start { task: started, node, devices, .. } if started == task => {
                    Some((node, devices.iter().collect::<Vec<_>>()))
                }
                _ => None,
            })
        };
        for explanation in said.into_iter().flatten() {
            let said = match &explanation.outcome {
                Outcome::Placed { node, devices } | Outcome::MakesRoom { node, devices, .. } => {
                    Some((node.id, devices.clone()))
                }
                _ => None,
            };
            let first = life.actions.iter().find_map(|it| match it {
                Action::Start { task, .. } => Some(*task),
                _ => None,
            });
            let evicted = |before: Option<TaskId>| -> Vec<(TaskId, NodeId)> {
                let starts = |it: &&Action| matches!(it, Action::Start { task, .. } if Some(*task) == before);
                let until = life.decided().iter().take_while(|it| !starts(it));
                until
                    .filter_map(|it| match *it {
                        Action::Stop { task, node, reason: StopReason::Evicted, .. } => {
                            Some((task, node))
                        }
                        _ => None,
                    })
                    .collect()
            };
            // Who makes room is not asked in the order of the queue.
            if !evicted(None).is_empty() && first != Some(explanation.task) {
                continue;
            }
            if first == Some(explanation.task) {
                let victims = match &explanation.outcome {
                    Outcome::MakesRoom { node, victims, .. } => {
                        victims.iter().map(|it| (*it, node.id)).collect()
                    }
                    _ => Vec::new(),
                };
                prop_assert_eq!(victims, evicted(first), "{}: {:?}", policy, explanation);
            }
            // Tasks that are placed together are not asked about together.
            if policy.card().name == "swarmkit" && first != Some(explanation.task) {
                continue;
            }
            prop_assert_eq!(said, started(explanation.task), "{}: {:?}", policy, explanation);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn what_is_explained_is_what_is_decided(story in story()) {
        for policy in policies() {
            let policy: Policy = policy.parse().unwrap();
            check_story(&policy, &story, Rules::default())?;
        }
    }
}
