//! The allocator as a whole: scripts of what happens, with the offers that follow.

use super::allocator::{AgentId, Allocator, Joined, Offer, Options, Subscribed, Subscription};
use super::explain::{Note, RoleSkip, Skip};
use super::filter::Refusal;
use super::quantity::check::some;
use super::quantity::{Kind, Limits, Quantities};
use super::quota::{Quota, QuotaError};
use super::resources::{Ranges, Resources};
use cluster::units::{Instant, Span};
use proptest::prelude::*;

/// An allocator that is told things in words.
struct World {
    allocator: Allocator,
    now: Instant,
    notes: Vec<Note>,
}

impl World {
    fn new() -> Self {
        let allocator = Allocator::new(Options::default(), Instant::ZERO);
        Self { allocator, now: Instant::ZERO, notes: Vec::new() }
    }

    /// Does what the line says, makes the runs that follow, and says what was offered.
    fn tell(&mut self, line: &str) -> String {
        let it = &mut self.allocator;
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (name, more) = rest.split_once(' ').unwrap_or((rest, ""));
        let number = || AgentId(name.parse().unwrap());
        let mut offers = Vec::new();
        match word {
            "agent" | "remote" | "grow" => {
                let total = resources(more);
                let joined =
                    Joined { total: total.clone(), is_remote: word == "remote", used: vec![] };
                match word {
                    "grow" => it.update_agent(number(), total),
                    _ => it.add_agent(number(), joined),
                }
            }
            "busy" => {
                // `busy AGENT FRAMEWORK ROLE AMOUNTS`: an agent of which all is in use.
                let mut words = more.splitn(3, ' ');
                let framework = it.framework(words.next().unwrap());
                let role = words.next().unwrap().to_owned();
                let total = resources(words.next().unwrap());
                let used = vec![(framework, role, total.clone())];
                it.add_agent(number(), Joined { total, used, is_remote: false });
            }
            "lose" => it.remove_agent(number()),
            "off" => it.set_agent_active(number(), false),
            "on" => it.set_agent_active(number(), true),
            "framework" => {
                let mut info = Subscription::default();
                for word in more.split(' ') {
                    match word {
                        "+gpus" => info.uses_gpus = true,
                        "+revocable" => info.takes_revocable = true,
                        "+regions" => info.knows_regions = true,
                        "+any" => info.roles[0].min_allocatable = Some(vec![]),
                        "-0" => info.roles[0].excluded_agents = [AgentId(0)].into(),
                        role => info
                            .roles
                            .push(Subscribed { role: role.to_owned(), ..Subscribed::default() }),
                    }
                }
                let framework = it.framework(name);
                it.add_framework(framework, info);
            }
            "leave" => {
                let framework = it.framework(name);
                it.remove_framework(framework);
            }
            "sleep" | "wake" => {
                let framework = it.framework(name);
                it.set_framework_active(framework, word == "wake");
            }
            "suppress" | "revive" => {
                let framework = it.framework(name);
                let roles: Vec<_> =
                    more.split(' ').filter(|it| !it.is_empty()).map(|role| it.role(role)).collect();
                match word {
                    "suppress" => it.suppress(framework, &roles),
                    _ => it.revive(framework, &roles),
                }
            }
            "quota" => {
                let (guarantees, limits) = more.split_once('/').unwrap();
                let guarantees = some(guarantees);
                let limits = Limits::new(some(limits).iter());
                it.update_quota(name, Quota { guarantees, limits }).unwrap();
            }
            "weight" => it.update_weight(name, more.parse().unwrap()),
            "decline" => {
                // `decline FRAMEWORK ROLE AGENT AMOUNTS for SECONDS`
                let (what, secs) = more.split_once(" for ").unwrap();
                let mut words = what.splitn(3, ' ');
                let framework = it.framework(name);
                let role = it.role(words.next().unwrap());
                let agent = AgentId(words.next().unwrap().parse().unwrap());
                let given = resources(words.next().unwrap());
                let refusal = Refusal::from_secs(secs.parse().unwrap());
                it.recover(self.now, (framework, role, agent), &given, refusal);
            }
            "tick" => {
                self.now = self.now + Span::from_secs_f64(name.parse().unwrap());
                let runs = it.advance(self.now, |_| {}, &mut self.notes);
                offers.extend(runs.into_iter().flat_map(|it| it.1));
            }
            _ => panic!("{line}"),
        }
        if it.is_run_due() {
            self.notes.clear();
            offers.extend(it.run(|_| {}, &mut self.notes));
        }
        offers.iter().map(|it| self.show(it)).collect::<Vec<_>>().join(", ")
    }

    fn show(&self, offer: &Offer) -> String {
        let name = self.allocator.framework_name(offer.framework);
        let role = self.allocator.role_path(offer.role);
        format!("{name}@{role} {}: {}", offer.agent.0, text(&offer.resources))
    }
}

/// `2 1024`, then `+ROLE 1 512` reserved, `~1 512` revocable, `#100-200` ports.
fn resources(words: &str) -> Resources {
    let mut it = Resources::default();
    let mut parts = words.split(['+', '~', '#']);
    it.unreserved = some(parts.next().unwrap());
    let marks = words.chars().filter(|it| "+~#".contains(*it));
    for (mark, part) in marks.zip(parts) {
        match mark {
            '+' => {
                let (role, amounts) = part.split_once(' ').unwrap();
                it.reserved.insert(role.to_owned(), some(amounts));
            }
            '~' => it.revocable = some(part),
            _ => {
                let (first, last) = part.trim().split_once('-').unwrap();
                let range = (first.parse().unwrap(), last.parse().unwrap());
                it.ranges.insert(Kind::PORTS, Ranges::new([range]));
            }
        }
    }
    it
}

fn text(it: &Resources) -> String {
    let amounts = |it: &Quantities| {
        let last = it.iter().last().map_or(0, |it| it.0.0 + 1);
        let all = (0..last).map(|kind| (it.get(Kind(kind)) as f64 / 1000.0).to_string());
        all.collect::<Vec<_>>().join(" ")
    };
    let mut parts = vec![amounts(&it.unreserved)];
    parts.extend(it.reserved.iter().map(|(role, it)| format!("+{role} {}", amounts(it))));
    if !it.revocable.is_empty() {
        parts.push(format!("~{}", amounts(&it.revocable)));
    }
    for ranges in it.ranges.values() {
        parts.extend(ranges.iter().map(|(first, last)| format!("#{first}-{last}")));
    }
    parts.retain(|it| !it.is_empty());
    parts.join(" ")
}

#[track_caller]
fn check(steps: &[(&str, &str)]) -> World {
    let mut world = World::new();
    for (at, (line, want)) in steps.iter().enumerate() {
        assert_eq!(world.tell(line), *want, "{at}: {line}");
    }
    world
}

#[test]
fn the_first_in_order_takes_whole_agents() {
    check(&[
        ("agent 0 2 1024", ""),
        ("framework a x", "a@x 0: 2 1024"),
        ("framework b y", ""),
        ("agent 1 1 512", "b@y 1: 1 512"),
        ("agent 2 3 2048", "b@y 2: 3 2048"),
        ("weight x 100", ""),
        ("agent 3 1 512", "a@x 3: 1 512"),
        // Equal roles first, then equal frameworks: by how often, then by name.
        ("framework c y", ""),
        ("agent 4 1 1", "a@x 4: 1 1"),
        ("weight x 0.01", ""),
        ("agent 5 1 1", "c@y 5: 1 1"),
    ]);
}

#[test]
fn an_agent_is_shared_over_agents_not_within() {
    let mut world = World::new();
    for name in ["a", "b"] {
        world.tell(&format!("framework {name} {name}"));
    }
    for agent in 0..4 {
        world
            .allocator
            .add_agent(AgentId(agent), Joined { total: resources("2 64"), ..Joined::default() });
    }
    let offers = world.tell("tick 0");
    assert_eq!(offers, "a@a 0: 2 64, a@a 2: 2 64, b@b 1: 2 64, b@b 3: 2 64");
}

#[test]
fn what_is_offered_depends_on_the_order_of_agents_only() {
    let mut world = World::new();
    world.tell("framework a a");
    world.tell("framework b b");
    for agent in 0..2 {
        world
            .allocator
            .add_agent(AgentId(agent), Joined { total: resources("2 64"), ..Joined::default() });
    }
    let offers = world.allocator.run(|agents| agents.reverse(), &mut ());
    let offers: Vec<_> = offers.iter().map(|it| world.show(it)).collect();
    // Reversed before the first pass, and again before the second.
    assert_eq!(offers, ["a@a 0: 2 64", "b@b 1: 2 64"]);
}

#[test]
fn what_triggers_a_run_and_what_does_not() {
    check(&[
        ("agent 0 2 64", ""),
        ("framework a x", "a@x 0: 2 64"),
        ("decline a x 0 2 64 for 0", ""),
        ("weight x 2", ""),
        ("quota x / 4", ""),
        ("tick 0.5", ""),
        ("tick 0.5", "a@x 0: 2 64"),
        ("decline a x 0 2 64 for 0", ""),
        ("grow 0 2 64", ""),
        ("grow 0 3 64", "a@x 0: 3 64"),
        ("decline a x 0 3 64 for 100", ""),
        ("revive a", "a@x 0: 3 64"),
        ("decline a x 0 3 64 for 100", ""),
        ("suppress a", ""),
        ("tick 1", ""),
        ("revive a y", ""),
        ("revive a x", "a@x 0: 3 64"),
        ("decline a x 0 3 64 for 100", ""),
        ("sleep a", ""),
        ("tick 1", ""),
        ("wake a", "a@x 0: 3 64"),
        ("decline a x 0 3 64 for 0", ""),
        ("off 0", ""),
        ("tick 1", ""),
        ("on 0", ""),
        ("tick 1", "a@x 0: 3 64"),
    ]);
}

#[test]
fn declined_is_not_offered_for_a_while() {
    check(&[
        ("agent 0 2 64", ""),
        ("framework a x", "a@x 0: 2 64"),
        ("framework b x", ""),
        ("decline a x 0 1 64 for 2", ""),
        // The other framework is asked instead.
        ("tick 1", "b@x 0: 1 64"),
        ("decline b x 0 1 64 for 9", ""),
        ("tick 1", "a@x 0: 1 64"),
        ("decline a x 0 1 64 for -1", ""),
        ("tick 4", ""),
        // More than what was declined is offered again, to the one that had fewer offers.
        ("decline a x 0 1 for 0", ""),
        ("tick 1", "b@x 0: 2 64"),
    ]);
    check(&[
        ("agent 0 2 64", ""),
        ("framework a x", "a@x 0: 2 64"),
        ("decline a x 0 2 64 for 1", ""),
        ("tick 1", ""),
        // It is over after the batch run of that very time.
        ("framework b x -0", "a@x 0: 2 64"),
    ]);
}

#[test]
fn a_short_refusal_outlives_the_next_batch_run() {
    check(&[
        ("busy 0 a x 1 64", ""),
        ("framework a x", ""),
        ("framework b x", ""),
        ("agent 1 1 64", "b@x 1: 1 64"),
        ("decline b x 1 1 64 for 0.1", ""),
        ("tick 1", "a@x 1: 1 64"),
        ("decline a x 1 1 64 for 0", ""),
        ("tick 1", "b@x 1: 1 64"),
    ]);
}

#[test]
fn quota_is_kept_for_the_role() {
    check(&[
        ("framework a q", ""),
        ("framework b x", ""),
        ("quota q 2 128/2 128", ""),
        ("agent 0 1 64", "a@q 0: 1 64"),
        // The missing half is kept back from others, wherever it is; the rest is theirs.
        ("suppress a", ""),
        ("agent 1 1 64", ""),
        ("agent 2 4 64", "b@x 2: 4 64"),
        ("revive a", "a@q 1: 1 64"),
        ("agent 3 1 64", "b@x 3: 1 64"),
    ]);
}

#[test]
fn only_what_is_free_and_unreserved_is_headroom() {
    check(&[
        ("framework a x", ""),
        ("quota q 2/", ""),
        // Reserved to others, and revocable: no help for the guarantee of two.
        ("agent 0 1 64 +z 5 ~5", "a@x 0: 0 64"),
        // One more is missing nowhere now.
        ("agent 1 2 64", "a@x 1: 1 64"),
        // What is reserved to the role itself is consumed already.
        ("agent 2 1 64 +q 2", "a@x 2: 1 64"),
        ("tick 1", "a@x 0: 1, a@x 1: 1"),
    ]);
}

#[test]
fn what_a_run_gives_counts_in_the_same_run() {
    check(&[
        ("agent 0 2 64", ""),
        ("agent 1 2 64", ""),
        ("quota q 2/", ""),
        ("framework a x", "a@x 0: 2 64, a@x 1: 0 64"),
    ]);
    check(&[("quota q 2/2", ""), ("agent 0 5 64", ""), ("framework b q", "b@q 0: 2 64")]);
    check(&[
        ("framework a q", ""),
        ("framework b q", ""),
        ("quota q 2/", ""),
        ("quota r 3/", ""),
        // Once the first has what was missing, the second has no claim to what is kept for others.
        ("agent 0 5 64", "a@q 0: 2 64"),
    ]);
}

#[test]
fn guarantees_are_met_with_all_that_is_there() {
    check(&[
        ("framework a q", ""),
        ("framework b x", ""),
        ("quota q 1/", ""),
        // No limit, and nobody else lacks anything: all of it.
        ("agent 0 4 64 10 #1-9", "a@q 0: 4 64 10 #1-9"),
        // Satisfied: back to shares.
        ("agent 1 4 64", "b@x 1: 4 64"),
    ]);
    check(&[
        ("framework a q", ""),
        ("framework b r", ""),
        ("quota q 1 64/2", ""),
        ("quota r 3/", ""),
        // a: 1 and 64 guaranteed, limited to 2, and 3 of the 5 are kept for b: one more is free.
        ("agent 0 5 96", "a@q 0: 2 96, b@r 0: 3"),
    ]);
}

#[test]
fn limits_leave_the_rest() {
    check(&[
        ("framework a q", ""),
        ("quota q /3 100", ""),
        ("agent 0 2 80", "a@q 0: 2 80"),
        ("agent 1 2 80", "a@q 1: 1 20"),
        ("agent 2 2 80 5", ""),
        ("framework b x", "b@x 1: 1 60, b@x 2: 2 80 5"),
        ("decline a q 0 2 80 for 0", ""),
        ("decline b x 2 2 80 5 for 100", ""),
        ("tick 1", "a@q 0: 2 80"),
    ]);
}

#[test]
fn reservations_count_as_consumed() {
    check(&[
        ("framework a q", ""),
        ("framework b x", ""),
        ("quota q 2/2", ""),
        // Two are reserved: the guarantee is met, the limit is reached. Memory has none.
        ("agent 0 1 64 +q 2 64", "a@q 0: 0 64 +q 2 64, b@x 0: 1"),
    ])
    .allocator
    .update_quota("q/r", Quota::default())
    .map_or_else(|it| assert_eq!(it, QuotaError::Nested { role: "q/r".to_owned() }), |()| panic!());
}

#[test]
fn reservations_go_down_the_tree() {
    let agent = "agent 0 1 64 +eng 1 +eng/web 1 +ops 1";
    let alone = "a@eng/web 0: 1 64 +eng 1 +eng/web 1, c@ops 0: +ops 1";
    check(&[("framework a eng/web", ""), ("framework c ops", ""), (agent, alone)]);
    // The role itself stands before those below it if nothing else tells them apart.
    let both = "a@eng/web 0: +eng/web 1, b@eng 0: 1 64 +eng 1";
    check(&[("framework a eng/web", ""), ("framework b eng", ""), (agent, both)]);
}

#[test]
fn too_little_is_not_offered() {
    check(&[
        ("framework a x", ""),
        ("agent 0 0.009 31 1000", ""),
        ("agent 1 0.01", "a@x 1: 0.01"),
        ("agent 2 0 32", "a@x 2: 0 32"),
        ("framework b y +any", "b@y 0: 0.009 31 1000"),
    ]);
}

#[test]
fn frameworks_get_what_they_know() {
    check(&[
        ("framework a x", ""),
        ("agent 0 8 64 0 1", ""),
        ("remote 1 8 64", ""),
        ("agent 2 1 64 ~4 64", "a@x 2: 1 64"),
        ("framework b y +gpus", "b@y 0: 8 64 0 1"),
        ("framework c z +regions", "c@z 1: 8 64"),
        ("framework d z +revocable", "d@z 2: ~4 64"),
    ]);
}

#[test]
fn offer_constraints_rule_agents_out() {
    check(&[
        ("framework a x -0", ""),
        ("agent 0 1 64", ""),
        ("agent 1 1 64", "a@x 1: 1 64"),
        ("framework b x", "b@x 0: 1 64"),
    ]);
}

#[test]
fn what_leaves_is_forgotten() {
    let world = check(&[
        ("agent 0 1 64 +y 1", ""),
        ("framework a x", "a@x 0: 1 64"),
        ("framework b y", "b@y 0: +y 1"),
        ("leave a", ""),
        ("tick 1", "b@y 0: 1 64"),
        ("framework a x", ""),
        ("lose 0", ""),
        ("agent 0 1 64", "a@x 0: 1 64"),
        ("leave b", ""),
        ("leave a", ""),
    ]);
    assert!(world.allocator.role_sorter.all_allocated().is_empty());
    assert!(world.allocator.roles.iter().all(|it| it.members.is_none() && it.reserved.is_empty()));
}

#[test]
fn what_is_in_use_counts_once_its_framework_is_known() {
    check(&[
        ("busy 0 a x 4 64", ""),
        ("framework b y", ""),
        ("framework a x", ""),
        ("agent 1 1 64", "b@y 1: 1 64"),
        ("agent 2 2 64", "b@y 2: 2 64"),
        ("decline a x 0 4 64 for 0", ""),
        ("tick 1", "a@x 0: 4 64"),
    ]);
}

#[test]
fn runs_explain_themselves() {
    let mut world = check(&[("framework a q", ""), ("framework b x", ""), ("quota q 2/2", "")]);
    world.notes.clear();
    assert_eq!(world.tell("agent 0 5 64"), "a@q 0: 2 64, b@x 0: 3");
    let (a, b) = (world.allocator.framework("a"), world.allocator.framework("b"));
    let (q, x) = (world.allocator.role("q"), world.allocator.role("x"));
    let told = |it: &Note| world.notes.contains(it);
    assert!(told(&Note::Role { role: x, why: RoleSkip::NoGuarantee }));
    assert!(told(&Note::Offer {
        role: q,
        framework: a,
        resources: resources("2 64"),
        over_limit: some("3"),
        held_back: Quantities::NONE,
    }));
    assert!(told(&Note::Offer {
        role: x,
        framework: b,
        resources: resources("3"),
        over_limit: Quantities::NONE,
        held_back: Quantities::NONE,
    }));

    world.tell("decline b x 0 3 for 5");
    world.notes.clear();
    world.tell("tick 1");
    let why = Skip::Declined { until: Instant::from_secs(5) };
    assert!(world.notes.contains(&Note::Framework { role: x, framework: b, why }));
    assert!(world.notes.contains(&Note::Role { role: q, why: RoleSkip::Satisfied }));
    assert!(world.notes.iter().any(|it| matches!(it, Note::Framework { framework, why: Skip::CutBelowMinimum, .. } if *framework == a)));
    assert_eq!(why.to_string(), "declined, until 5 s");
}

proptest! {
    /// Whatever happens, nothing is lost or handed out twice, and limits hold.
    #[test]
    fn the_books_balance(steps in prop::collection::vec((0..9u8, 0..3u32, 0..4u32), 1..60), seed in any::<u64>()) {
        use cluster::chance::{Chance, Purpose};
        let mut chance = Chance::new(seed, Purpose::Scheduler, 0);
        let mut world = World::new();
        world.tell("quota a 3/4");
        for (what, which, much) in steps {
            let name = ["a", "b", "c"][which as usize];
            let agent = AgentId(much);
            let framework = world.allocator.framework(name);
            let is_known = world.allocator.frameworks[framework.0 as usize].is_known;
            let is_there = world.allocator.available(agent).is_some();
            match what {
                0 | 1 if !is_there => {
                    world.allocator.add_agent(agent, Joined {
                        total: resources(&format!("{} 64 +a 1 #1-9", which + 1)), ..Joined::default()
                    });
                }
                2 | 3 if !is_known => {
                    let role = ["a", "b", "a/c"][which as usize];
                    world.allocator.add_framework(framework, Subscription::to(role));
                }
                4 if is_there => world.allocator.remove_agent(agent),
                5 if is_known => world.allocator.remove_framework(framework),
                6 if is_there => {
                    let total = resources(&format!("{} 99 +a 1 #1-9", which + 1));
                    if let Some(it) = world.allocator.agents.get(agent) && it.held.is_empty() {
                        world.allocator.update_agent(agent, total);
                    }
                }
                7 | 8 => {
                    let holds = |(agent, it): (AgentId, &super::agents::Agent)| {
                        it.held.iter().next().map(|(key, held)| (key.0, key.1, agent, held.clone()))
                    };
                    let first = world.allocator.agents.iter().find_map(holds);
                    if let Some((framework, role, agent, held)) = first {
                        world.allocator.recover(world.now, (framework, role, agent), &held, Refusal::Default);
                    }
                }
                _ => {
                    world.now = world.now + Span::from_secs(1);
                    world.allocator.advance(world.now, |agents| chance.shuffle(agents), &mut ());
                }
            }
            // What was written and read back goes on in the same way.
            let bytes = postcard::to_stdvec(&world.allocator).unwrap();
            let mut copy: Allocator = postcard::from_bytes(&bytes).unwrap();
            let mut same_chance = chance.clone();
            let offers = world.allocator.run(|agents| chance.shuffle(agents), &mut ());
            prop_assert_eq!(offers, copy.run(|agents| same_chance.shuffle(agents), &mut ()));

            let mut held_by_all = Quantities::NONE;
            for (_, agent) in world.allocator.agents.iter() {
                let mut sum = agent.available.clone();
                for held in agent.held.values() {
                    sum.add(held);
                    held_by_all.add(&held.scalars());
                }
                prop_assert_eq!(&sum, &agent.total);
            }
            prop_assert_eq!(world.allocator.role_sorter.all_allocated(), &held_by_all);
            let a = world.allocator.role("a");
            let held: u64 = (world.allocator.agents.iter())
                .flat_map(|it| &it.1.held)
                .filter(|it| it.0.1 == a)
                .map(|it| it.1.unreserved.get(Kind::CPUS))
                .sum();
            prop_assert!(held <= 4000);
        }
    }
}
