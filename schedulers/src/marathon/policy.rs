//! The policy `marathon`: one Marathon, alone on a Mesos master, that runs all tasks.
//!
//! The master is that of [`mesos::policy`](crate::mesos::policy), with one framework. A group and a
//! definition are an app; a task without a group is of an app of its definition. The policy's constraints
//! hold for every app. Offers are looked at one by one, and [`take`] says what is launched from each.
//!
//! As in Marathon: an offer of which nothing was used is declined for `refuse`, of one that was used the
//! rest comes back in the next run (`TaskLauncherImpl.acceptOffer`); new tasks make it call for offers, no
//! more often than every `revive`; at most 100 launches in 30 s, those that run by then not counted.
//!
//! Differs: jobs are apps, too, where Marathon would leave them to another framework; how long a failing app
//! waits is said by the service (see [`Backoff`](cluster::service::Backoff)), not by Marathon's own delays; when
//! a service shrinks, the manager says what stops; GPUs are for all apps unless `gpus` says otherwise.

use super::attribute::Attribute;
use super::constraint::Constraint;
use super::offer::{self, Offered, Rules, take};
use super::pace::{LAUNCH_TOKENS, LAUNCH_TOKENS_EVERY, LAUNCHES_PER_OFFER};
use super::site::Site;
use crate::card::{Card, Parameter};
use crate::mesos::allocator::{Offer, Options};
use crate::mesos::policy::{
    App, Frameworks, INTERVAL, Line, Mesos, Roles, Setup, Wants, Way, interval, place,
};
use crate::mesos::resources::Resources;
use crate::policy::{Arguments, Plan, PolicyError};
use cluster::chance::Chance;
use cluster::explain::Rejection;
use cluster::ids::{NodeId, TaskId};
use cluster::nodes::{NO_ZONE, Nodes};
use cluster::scheduler::Desk;
use cluster::shape::Shape;
use cluster::state::State;
use cluster::units::{Instant, Span};
use std::fmt;
use std::sync::Arc;

/// The page of this strategy.
pub const CARD: Card = Card {
    name: "marathon",
    summary: "Marathon on Apache Mesos: the first offer that fits is used, apps in random order, at most \
              five launches from an offer; constraints for all apps",
    source: "Marathon 90619da7, OfferMatcherManagerActor, Constraints; Mesos c1b42f79",
    differs: "jobs are apps, too; constraints are the policy's and hold for all apps; GPUs are for all apps, where \
              Marathon's own default is `restricted`; ports and GPU shares are the ledger's word",
    cost: "a look at every agent for each run, and of those at the waiting apps; with constraints also at the \
           instances of each app",
    parameters: &[
        Parameter {
            name: "constraint",
            values: "up to 16 of constraint(FIELD,UNIQUE), CLUSTER[,VALUE], GROUP_BY,NUMBER, LIKE,PATTERN, \
                     UNLIKE,PATTERN, MAX_PER,NUMBER, IS,VALUE in the place of UNIQUE",
            default: "none",
            summary: "what every instance of an app must meet; FIELD is hostname, @zone or an attribute",
        },
        Parameter {
            name: "gpus",
            values: "unrestricted|restricted",
            default: "unrestricted",
            summary: "`restricted` keeps agents with GPUs left for apps that need some (gpu_scheduling_behavior)",
        },
        INTERVAL,
        Parameter {
            name: "refuse",
            values: "0s to 8760h",
            default: "120s",
            summary: "for how long offers of no use are declined (decline_offer_duration)",
        },
        Parameter {
            name: "revive",
            values: "0s to 1h",
            default: "5s",
            summary: "the least time between two calls for declined offers (min_revive_offers_interval)",
        },
    ],
    example: "marathon:constraint(@zone,GROUP_BY,3)",
};

/// Reads the arguments of a policy.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    let wishes = arguments.list("constraint", 16, Wish::read)?;
    let words = [("unrestricted", false), ("restricted", true)];
    let restricts_gpus = arguments.word("gpus", &words)?;
    let allocation_interval = interval(arguments)?;
    let refuse = arguments.span("refuse", Span::ZERO..=crate::mesos::filter::REFUSAL_MAX)?;
    let revive_every = arguments.span("revive", Span::ZERO..=Span::from_secs(3600))?;
    let constraints = wishes.into_iter().filter_map(|it| it.0).collect();
    let way = Way::Marathon(Marathon { constraints, restricts_gpus, refuse, revive_every });
    let options = Options { allocation_interval, ..Options::default() };
    let (frameworks, roles, rules) = (Frameworks::One, Roles::One, Vec::new());
    let setup = Arc::new(Setup { card: &CARD, options, frameworks, roles, rules, way });
    Ok(Plan::new(move |seed| Box::new(Mesos::new(Arc::clone(&setup), seed))))
}

/// A constraint as an argument, or `none`.
struct Wish(Option<Constraint>);

impl Wish {
    fn read(text: &str) -> Option<Self> {
        if text == "none" {
            return Some(Self(None));
        }
        let (name, rest) = text.split_once('(')?;
        let mut parts = rest.strip_suffix(')')?.splitn(3, ',').map(str::trim);
        let (field, operator) = (parts.next().filter(|it| !it.is_empty())?, parts.next()?);
        let value = parts.next().unwrap_or_default();
        // Nothing would ever meet it.
        if name.trim_end() != "constraint" || (operator == "GROUP_BY" && value.parse() == Ok(0)) {
            return None;
        }
        Constraint::read(field, operator, value).ok().map(|it| Self(Some(it)))
    }
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Constraint { field, operator }) = &self.0 else { return f.write_str("none") };
        let operator = operator.to_string();
        write!(f, "constraint({},{})", field.name(), operator.replacen(':', ",", 1))
    }
}

/// How this Marathon is set up.
#[derive(Debug, Clone)]
pub(crate) struct Marathon {
    pub(crate) constraints: Vec<Constraint>,
    pub(crate) restricts_gpus: bool,
    /// For how long offers of no use are declined.
    pub(crate) refuse: Span,
    pub(crate) revive_every: Span,
}

impl Marathon {
    /// Forgets launches of an earlier stretch, and those that have come up or to nothing.
    pub(crate) fn count_launches(
        &self,
        (stretch, launched): &mut (u64, Vec<(TaskId, u32)>),
        now: Instant,
        state: &State,
    ) {
        let current = now.0 / LAUNCH_TOKENS_EVERY.0;
        if *stretch != current {
            *stretch = current;
            launched.clear();
        }
        launched.retain(|(id, attempt)| {
            let task = state.task(*id).filter(|it| it.attempts == *attempt);
            task.and_then(|it| it.placement()).is_some_and(|it| it.started.is_none())
        });
    }

    pub(crate) fn tokens_left(&self, launched: usize) -> u32 {
        LAUNCH_TOKENS.saturating_sub(launched as u32)
    }

    /// When there are all launch tokens again.
    pub(crate) fn next_tokens(&self, now: Instant) -> Instant {
        Instant((now.0 / LAUNCH_TOKENS_EVERY.0 + 1) * LAUNCH_TOKENS_EVERY.0)
    }

    /// Whether there may be offers with room that cannot be used.
    pub(crate) fn is_choosy(&self, shape: &Shape) -> bool {
        !self.constraints.is_empty() || (self.restricts_gpus && shape.gpu_count == 0)
    }

    fn rules(&self, tokens: u32) -> Rules {
        Rules { home_region: None, restricts_gpus: self.restricts_gpus, tokens }
    }

    /// Whether an instance could be launched now from one of the agents that are offered.
    pub(crate) fn may_launch(
        &self,
        line: &Line,
        sites: &[Site],
        state: &State,
        is_offered: impl Fn(NodeId) -> bool,
        available: impl Fn(NodeId) -> Resources,
    ) -> bool {
        let app = self.app(line, sites, state);
        let rules = self.rules(1);
        state.nodes().ids().any(|it| {
            let offered = || Offered { site: &sites[it.row()], resources: available(it) };
            is_offered(it) && offer::rejections(&app, &offered(), &rules).next().is_none()
        })
    }

    /// Why the first of these tasks is not launched from an offer, in Marathon's words.
    pub(crate) fn rejected(
        &self,
        line: &Line,
        site: &Site,
        resources: Resources,
        sites: &[Site],
        state: &State,
    ) -> Vec<Rejection> {
        let app = self.app(line, sites, state);
        let offered = Offered { site, resources };
        let rules = self.rules(1);
        let say = |it: offer::Rejection<'_>| match it {
            offer::Rejection::Constraint { at, why } => {
                Rejection::new(self.constraints[at].to_string(), why.to_string())
            }
            other => Rejection::new("offer", other.to_string()),
        };
        offer::rejections(&app, &offered, &rules).map(say).collect()
    }

    /// The app of these tasks.
    fn app<'a>(&'a self, line: &Line, sites: &'a [Site], state: &State) -> offer::App<'a> {
        let missing = line.tasks.len() as u32;
        let App { shape, of } = line.app;
        let shape = state.shape(shape);
        let (mut placed, mut target) = (Vec::new(), missing);
        if !self.constraints.is_empty()
            && let Some((group, definition)) = of
        {
            let is_one = |it: &&TaskId| {
                let task = state.task(**it);
                task.is_some_and(|it| it.group == group && it.definition == definition)
            };
            let mut count_on = |node: NodeId| {
                let count = state.tasks_on(node).iter().filter(is_one).count();
                placed.extend(std::iter::repeat_n(&sites[node.row()], count));
            };
            match group {
                Some(it) => {
                    let nodes = state.group(it).map_or(&[][..], |it| it.on_nodes());
                    nodes.iter().for_each(|it| count_on(it.0));
                }
                None => state.nodes().ids().for_each(count_on),
            }
            let service = group.and_then(|it| state.service(it));
            target = service.map_or(missing + placed.len() as u32, |it| it.spec.desired);
        }
        offer::App {
            needs: line.needs.clone(),
            fixed_ports: Vec::new(),
            any_ports: 0,
            role: None,
            takes_unreserved: true,
            comes_first: false,
            constraints: &self.constraints,
            placed,
            target,
            // A host port is had once.
            missing: if shape.ports.is_empty() { missing } else { missing.min(1) },
        }
    }

    /// What the apps of these lines, in this order, launch from an offer. Those that come first are mostly enough:
    /// then the others are not asked.
    fn take_first(
        &self,
        rows: &[usize],
        wants: &Wants,
        offered: &Offered<'_>,
        tokens: u32,
        sites: &[Site],
        state: &State,
    ) -> offer::Taken {
        let rules = self.rules(tokens);
        let take = |rows: &[usize]| {
            let app = |it: &usize| self.app(&wants.lines[*it], sites, state);
            let mut apps: Vec<_> = rows.iter().map(app).collect();
            take(offered, &mut apps, &rules, |_| {}, &mut ())
        };
        let most = LAUNCHES_PER_OFFER.min(tokens) as usize;
        if rows.len() > 2 * most {
            let taken = take(&rows[..2 * most]);
            let has_turns = taken.launches.is_sorted_by(|a, b| a.app < b.app);
            if taken.launches.len() == most && has_turns {
                return taken;
            }
        }
        take(rows)
    }

    /// Launches tasks from an offer; says which.
    pub(crate) fn launch(
        &self,
        wants: &mut Wants,
        offer: &Offer,
        tokens: u32,
        sites: &[Site],
        chance: &mut Chance,
        desk: &mut Desk<'_>,
    ) -> Vec<TaskId> {
        let node = NodeId(offer.agent.0);
        let state = desk.state();
        let mut rows: Vec<usize> =
            (0..wants.lines.len()).filter(|it| wants.lines[*it].is_allowed(node, desk)).collect();
        if rows.is_empty() {
            return Vec::new();
        }
        chance.shuffle(&mut rows);
        let offered = Offered { site: &sites[node.row()], resources: offer.resources.clone() };
        let taken = self.take_first(&rows, wants, &offered, tokens, sites, state);
        let mut placed = Vec::new();
        for launch in taken.launches {
            let line = &mut wants.lines[rows[launch.app]];
            let (_, id) = line.tasks[0];
            if line.is_allowed(node, desk) {
                place(id, node, desk);
                line.tasks.pop_front();
                placed.push(id);
            }
        }
        wants.lines.retain(|it| !it.tasks.is_empty());
        placed
    }
}

/// Describes the nodes that joined since.
pub(crate) fn add_sites(sites: &mut Vec<Site>, nodes: &Nodes) {
    for node in nodes.ids().skip(sites.len()) {
        let mut site = Site { hostname: nodes.name(node).to_owned(), ..Site::default() };
        for name in nodes.attribute_names().iter() {
            let attribute = nodes.attribute(name).expect("the name of an attribute");
            if let Some(value) = nodes.value(node, attribute) {
                let text = nodes.value_text(attribute, value);
                let number = text.parse().ok().filter(|it: &f64| it.is_finite());
                let value = number.map_or_else(|| Attribute::text(text), Attribute::scalar);
                site.attributes.insert(name.to_owned(), value);
            }
        }
        let zone = nodes.zone_names().text(u32::from(nodes.zones()[node.row()].0));
        site.zone = (zone != NO_ZONE).then(|| zone.to_owned());
        sites.push(site);
    }
}

#[cfg(test)]
mod tests {
    use super::super::pace::{DECLINE, REVIVE_EVERY};
    use super::*;
    use crate::check::{World, check_in_time as check};
    use crate::mesos::quantity::{Kind, Quantities};
    use crate::policy::Policy;
    use proptest::prelude::*;

    #[test]
    fn five_from_an_offer_and_the_rest_in_the_next_run() {
        check(
            "marathon",
            "100/100",
            "1/1:1 1/1:1 1/1:1 1/1:1 1/1:1 1/1:1 1/1:1",
            "n0 0s, n0 0s, n0 0s, n0 0s, n0 0s, n0 1s, n0 1s",
        );
    }

    #[test]
    fn calls_for_offers_are_some_time_apart() {
        check("marathon", "4/8", "1/1:1 @1.5 1/1:1 @9.5 1/1:1", "n0 0s, n0 3.5s, n0 0.5s");
        check("marathon:revive=0s", "4/8", "1/1:1 @1.5 1/1:1", "n0 0s, n0 0s");
    }

    #[test]
    fn what_was_of_no_use_is_declined_for_long() {
        // One of two large tasks waits; the small agent was declined before the small task came.
        let (nodes, script) = ("1/8 4/8", "4/1:1 4/1:1 @1.5 1/1:2");
        check("marathon", nodes, script, "n1 0s, -, n0 3.5s");
        check("marathon:refuse=0s", nodes, script, "n1 0s, -, n0 0.5s");
        check("marathon:revive=20s", nodes, script, "n1 0s, -, n0 18.5s");
        check("marathon:refuse=3s,revive=20s", nodes, script, "n1 0s, -, n0 1.5s");
    }

    #[test]
    fn constraints_hold_for_every_app() {
        for (constraint, nodes, want) in [
            ("constraint(hostname,UNIQUE)", "1/9 9/9", "n1 0s, -, n1 0s"),
            ("constraint(hostname,MAX_PER,1)", "1/9 9/9", "n1 0s, -, n1 0s"),
            ("constraint(hostname,LIKE,node-1)", "9/9 9/9", "n1 0s, n1 0s, n1 0s"),
            ("constraint(hostname,UNLIKE,.*-1)", "9/9 9/9", "n0 0s, n0 0s, n0 0s"),
            ("constraint(rack,LIKE,a.)", "9/9,rack=a 9/9,rack=ab", "n1 0s, n1 0s, n1 0s"),
            ("constraint(rack,IS,7)", "9/9,rack=7.5 9/9,rack=7.0", "n1 0s, n1 0s, n1 0s"),
            ("constraint(rack,CLUSTER,b)", "9/9,rack=a 9/9,rack=b", "n1 0s, n1 0s, n1 0s"),
            ("constraint(rack,UNIQUE)", "9/9 9/9,rack=b", "n1 0s, -, n1 0s"),
            ("constraint(@zone,IS,b)", "9/9@a 9/9@b", "n1 0s, n1 0s, n1 0s"),
            (
                "constraint(hostname,UNIQUE),constraint(@zone,IS,b)",
                "9/9@a 9/9@b",
                "n1 0s, -, n1 0s",
            ),
        ] {
            check(&format!("marathon:{constraint}"), nodes, "2/1:1 2/1:1 2/2:1", want);
        }
    }

    #[test]
    fn instances_of_an_app_go_together_or_apart() {
        let tasks = "1/1:1 @7 1/1:1 @14 1/1:1 @21 1/1:1";
        let policy: &str = "marathon:constraint(@zone,GROUP_BY,2)";
        check(policy, "9/9@a 9/9@b", tasks, "n0 0s, n1 0s, n1 0s, n0 0s");
        check(
            "marathon:constraint(@zone,CLUSTER)",
            "9/9@a 9/9@b",
            tasks,
            "n0 0s, n0 0s, n0 0s, n0 0s",
        );
    }

    #[test]
    fn a_place_that_is_free_again_is_taken() {
        let script = "1/1:1 1/1:1 @30.5 x0";
        check("marathon:constraint(hostname,UNIQUE)", "9/9", script, "n0 0s, n0 31s");
    }

    #[test]
    fn agents_with_gpus_may_be_kept() {
        check("marathon", "4/8+1", "1/1:1", "n0 0s");
        check("marathon:gpus=restricted", "4/8+2 1/8", "1/1:1 1/1:1 1/1+1:1", "n1 0s, -, n0 0s");
    }

    #[test]
    fn launches_are_counted_until_they_run() {
        let marathon = Marathon {
            constraints: vec![],
            restricts_gpus: false,
            refuse: DECLINE,
            revive_every: REVIVE_EVERY,
        };
        let many = vec![(TaskId(1), 1); 100];
        assert_eq!(marathon.tokens_left(many.len()), 0);
        assert_eq!(marathon.tokens_left(0), LAUNCH_TOKENS);
        let mut launched = (0, many);
        // Nobody knows the task: it came to nothing.
        marathon.count_launches(&mut launched, Instant::from_secs(29), &State::default());
        assert_eq!(launched, (0, vec![]));
        assert_eq!(marathon.next_tokens(Instant::from_secs(29)), Instant::from_secs(30));
        assert_eq!(marathon.next_tokens(Instant::from_secs(30)), Instant::from_secs(60));
        // A hundred at once on 30 nodes, none of which is ever said to run.
        let tasks = vec!["1/1:1"; 101].join(" ");
        let want = vec!["0s"; 100].join(" ") + " 10s";
        let nodes = vec!["9/9"; 30].join(" ");
        crate::check::check_waits("marathon", &nodes, &format!("@10 {tasks}"), &want);
    }

    proptest! {
        /// Asking only those that come first decides as asking all.
        #[test]
        fn the_first_are_enough(
            apps in prop::collection::vec((1..6u64, 1..4u32), 0..30),
            free in 0..30u64,
            tokens in 0..8u32,
        ) {
            let marathon = Marathon {
                constraints: vec![],
                restricts_gpus: false,
                refuse: DECLINE,
                revive_every: REVIVE_EVERY,
            };
            let wants = Wants::of_apps(&apps);
            let policy: Policy = "marathon".parse().unwrap();
            let mut world = World::new(Default::default(), policy.build(1));
            world.submit(Default::default(), None);
            let state = world.manager.state();
            let sites = [Site::default()];
            let resources = Resources::unreserved(Quantities::new([(Kind::CPUS, free)]));
            let offered = Offered { site: &sites[0], resources };
            let rows: Vec<usize> = (0..apps.len()).rev().collect();
            let got = marathon.take_first(&rows, &wants, &offered, tokens, &sites, state);
            let mut all: Vec<_> =
                rows.iter().map(|it| marathon.app(&wants.lines[*it], &sites, state)).collect();
            let want = take(&offered, &mut all, &marathon.rules(tokens), |_| {}, &mut ());
            prop_assert_eq!(got, want);
        }
    }

    #[test]
    fn defaults_are_marathons() {
        let [.., refuse, revive] = CARD.parameters else { panic!("five parameters") };
        assert_eq!((refuse.default, revive.default), ("120s", "5s"));
        assert_eq!((DECLINE, REVIVE_EVERY), (Span::from_secs(120), Span::from_secs(5)));
    }

    #[test]
    fn constraints_are_read_and_written() {
        for (text, want) in [
            ("marathon:none", "marathon"),
            ("marathon:constraint( rack , UNIQUE )", "marathon:constraint(rack,UNIQUE)"),
            ("marathon:constraint(hostname,UNIQUE)", "marathon:constraint(@hostname,UNIQUE)"),
            (
                "marathon:constraint(a,LIKE,[x:y],z{1,2}),refuse=5s",
                "marathon:constraint(a,LIKE,[x:y],z{1,2}),refuse=5s",
            ),
        ] {
            assert_eq!(text.parse::<Policy>().unwrap().to_string(), want);
        }
        for text in [
            "marathon:constraint(rack)",
            "marathon:constraint(rack,unique)",
            "marathon:constraint(,UNIQUE)",
            "marathon:constraint(rack,MAX_PER,few)",
            "marathon:constraint(rack,LIKE,[)",
            "marathon:constraint(rack,GROUP_BY,0)",
            "marathon:unique(rack)",
            "marathon:gpus=all",
        ] {
            assert!(text.parse::<Policy>().is_err(), "{text}");
        }
    }
}
