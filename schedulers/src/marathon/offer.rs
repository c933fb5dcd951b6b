//! The decision over one offer: which apps launch instances from it.
//!
//! Source: Marathon 90619da7, `ResourceMatcher.scala`, `OfferMatcherManagerActor.scala`; `docs/fault-domain-awareness.md`,
//! `--gpu_scheduling_behavior`.
//!
//! All apps that want instances are asked, in random order, those with reservations of their own on the agent
//! first. One that launches goes to the back of the queue, one that cannot leaves it. It ends when nobody is left, or
//! at five instances, or when launches are used up.
//!
//! Differs: no volumes, and no time-out after 3 s. What an instance takes comes from reserved resources first, and of
//! ports that it may choose it takes the lowest; Marathon takes a random part of the ranges.

use super::constraint::Constraint;
use super::operator::Reason;
use super::pace::LAUNCHES_PER_OFFER;
use super::site::{Field, Site};
use crate::mesos::quantity::{Kind, Quantities};
use crate::mesos::resources::{Ranges, Resources};
use std::collections::VecDeque;
use std::fmt;

/// An app that wants instances.
#[derive(Debug, Clone)]
pub struct App<'a> {
    /// What an instance takes of each scalar, in thousandths.
    pub needs: Quantities,
    /// Host ports that an instance must have.
    pub fixed_ports: Vec<u64>,
    /// How many host ports it needs besides, whichever they are.
    pub any_ports: u64,
    /// The role whose reservations it may use. What is reserved to others it never gets.
    pub role: Option<&'a str>,
    /// Whether it may use what is not reserved.
    pub takes_unreserved: bool,
    /// Whether it has reservations on the agent that are made for it, and so is asked first.
    pub comes_first: bool,
    /// All must be met.
    pub constraints: &'a [Constraint],
    /// Where its instances are, those of the current version of its configuration, in their order.
    pub placed: Vec<&'a Site>,
    /// How many instances it is to have.
    pub target: u32,
    /// How many are to be launched.
    pub missing: u32,
}

/// An offer.
#[derive(Debug, Clone)]
pub struct Offered<'a> {
    /// The agent.
    pub site: &'a Site,
    /// What is offered.
    pub resources: Resources,
}

/// Options of the framework.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The region of the masters. Agents elsewhere are for apps that name `@region` in a constraint.
    pub home_region: Option<String>,
    /// Whether offers with GPUs are for apps that need some (`restricted`, the default).
    pub restricts_gpus: bool,
    /// Launches that are left.
    pub tokens: u32,
}

/// Why an app cannot use an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejection<'a> {
    /// Too little of a scalar.
    Insufficient(Kind),
    /// Too few host ports, or not the right ones.
    Ports,
    /// A constraint, by its place in the app.
    Constraint {
        /// Place in [`App::constraints`].
        at: usize,
        /// Why it is not met.
        why: Reason<'a>,
    },
    /// The agent is not in the home region, and no constraint says that this is wanted.
    Region,
    /// There are GPUs, which the app does not need.
    ScarceGpus,
}

impl fmt::Display for Rejection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insufficient(Kind::CPUS) => write!(f, "too few cpus"),
            Self::Insufficient(Kind::MEM) => write!(f, "too little memory"),
            Self::Insufficient(Kind::DISK) => write!(f, "too little disk"),
            Self::Insufficient(Kind::GPUS) => write!(f, "too few GPUs"),
            Self::Insufficient(Kind(other)) => write!(f, "too little of resource {other}"),
            Self::Ports => write!(f, "no such host ports"),
            Self::Constraint { at, why } => write!(f, "constraint {at}: {why}"),
            Self::Region => write!(f, "not in the home region"),
            Self::ScarceGpus => write!(f, "GPUs are for apps that need them"),
        }
    }
}

/// An instance that is to be launched from an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// Place of the app in the list.
    pub app: usize,
    /// What it takes of the offer.
    pub resources: Resources,
}

/// What becomes of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// In the order of launching.
    pub launches: Vec<Launch>,
    /// What is declined.
    pub left: Resources,
}

/// Hears who could not use an offer, and why.
pub trait Recorder {
    /// The app at this place of the list leaves the queue.
    fn rejected(&mut self, app: usize, why: Rejection<'_>);
}

/// Listens to nothing.
impl Recorder for () {
    fn rejected(&mut self, _app: usize, _why: Rejection<'_>) {}
}

/// Keeps everything, as texts.
impl Recorder for Vec<(usize, String)> {
    fn rejected(&mut self, app: usize, why: Rejection<'_>) {
        self.push((app, why.to_string()));
    }
}

/// Launches instances from an offer; apps get theirs as placed, and miss less.
///
/// `order` is called with the places of the apps that have reservations there, then with those of the others. Where
/// Marathon shuffles them, any order is right.
pub fn take<'a>(
    offered: &Offered<'a>,
    apps: &mut [App<'a>],
    rules: &Rules,
    mut order: impl FnMut(&mut [usize]),
    recorder: &mut impl Recorder,
) -> Taken {
    let wants = |it: &usize| apps[*it].missing > 0;
    let (mut first, mut others): (Vec<_>, Vec<_>) =
        (0..apps.len()).filter(wants).partition(|it| apps[*it].comes_first);
    order(&mut first);
    order(&mut others);
    let mut queue: VecDeque<usize> = first.into_iter().chain(others).collect();
    let mut rest = offered.clone();
    let mut launches = Vec::new();
    let most = LAUNCHES_PER_OFFER.min(rules.tokens) as usize;
    while launches.len() < most
        && let Some(at) = queue.pop_front()
    {
        let app = &mut apps[at];
        if let Some(why) = rejections(app, &rest, rules).next() {
            recorder.rejected(at, why);
            continue;
        }
        let resources = portion(app, &rest.resources);
        rest.resources.subtract(&resources);
        launches.push(Launch { app: at, resources });
        app.placed.push(offered.site);
        app.missing -= 1;
        if app.missing > 0 {
            queue.push_back(at);
        }
    }
    Taken { launches, left: rest.resources }
}

/// Why an app cannot use an offer: nothing if it can, the first being the one that counts.
pub fn rejections<'v>(
    app: &'v App<'_>,
    offered: &'v Offered<'_>,
    rules: &'v Rules,
) -> impl Iterator<Item = Rejection<'v>> {
    let resources = &offered.resources;
    let scalars = app.needs.iter().filter_map(move |(kind, amount)| {
        let there: u64 = pools(app, resources).map(|(_, it)| it.get(kind)).sum();
        (there < amount).then_some(Rejection::Insufficient(kind))
    });
    let ports = std::iter::once_with(move || {
        chosen_ports(app, resources).is_none().then_some(Rejection::Ports)
    });
    let constraints = app.constraints.iter().enumerate().filter_map(move |(at, it)| {
        let met = it.check(offered.site, app.placed.iter().copied(), app.target);
        met.err().map(|why| Rejection::Constraint { at, why })
    });
    let region = std::iter::once_with(move || {
        let home = rules.home_region.as_ref();
        let is_remote =
            home.is_some() && offered.site.region.as_ref().is_some_and(|it| Some(it) != home);
        let is_wanted = || app.constraints.iter().any(|it| it.field == Field::Region);
        (is_remote && !is_wanted()).then_some(Rejection::Region)
    });
    let gpus = std::iter::once_with(move || {
        let has_some = || resources.scalars().get(Kind::GPUS) > 0;
        let is_scarce = rules.restricts_gpus && app.needs.get(Kind::GPUS) == 0 && has_some();
        is_scarce.then_some(Rejection::ScarceGpus)
    });
    scalars.chain(ports.flatten()).chain(constraints).chain(region.flatten()).chain(gpus.flatten())
}

/// What an app may use of an offer: its role's reservations, then what nobody has reserved.
fn pools<'v>(
    app: &'v App<'_>,
    resources: &'v Resources,
) -> impl Iterator<Item = (Option<&'v str>, &'v Quantities)> {
    let reserved = app.role.and_then(|role| Some((Some(role), resources.reserved.get(role)?)));
    let unreserved = app.takes_unreserved.then_some((None, &resources.unreserved));
    reserved.into_iter().chain(unreserved)
}

fn chosen_ports(app: &App<'_>, resources: &Resources) -> Option<Ranges> {
    let there = resources.ranges.get(&Kind::PORTS).cloned().unwrap_or_default();
    let fixed = Ranges::new(app.fixed_ports.iter().map(|it| (*it, *it)));
    if !there.contains(&fixed) || fixed.count() < app.fixed_ports.len() as u64 {
        return None;
    }
    let mut missing = app.any_ports;
    let mut chosen = fixed.clone();
    for (first, last) in there.without(&fixed).iter() {
        let count = missing.min(last - first + 1);
        if count > 0 {
            chosen = chosen.with(&Ranges::new([(first, first + count - 1)]));
            missing -= count;
        }
    }
    (missing == 0).then_some(chosen)
}

/// What an instance takes of an offer that it can use.
fn portion(app: &App<'_>, resources: &Resources) -> Resources {
    let mut portion = Resources::default();
    let mut missing = app.needs.clone();
    for (role, pool) in pools(app, resources) {
        let part = missing.least(pool);
        missing.subtract(&part);
        match role {
            Some(role) if !part.is_empty() => {
                portion.reserved.insert(role.to_owned(), part);
            }
            Some(_) => {}
            None => portion.unreserved = part,
        }
    }
    let ports = chosen_ports(app, resources).filter(|it| it.count() > 0);
    portion.ranges.extend(ports.map(|it| (Kind::PORTS, it)));
    portion
}

#[cfg(test)]
mod tests {
    use super::super::site::check::site;
    use super::*;
    use crate::mesos::quantity::check::some;

    const RULES: Rules = Rules { home_region: None, restricts_gpus: true, tokens: 100 };

    fn app<'a>(needs: &str, constraints: &'a [Constraint]) -> App<'a> {
        App {
            needs: some(needs),
            fixed_ports: Vec::new(),
            any_ports: 0,
            role: None,
            takes_unreserved: true,
            comes_first: false,
            constraints,
            placed: Vec::new(),
            target: 9,
            missing: 9,
        }
    }

    fn offered<'a>(site: &'a Site, scalars: &str) -> Offered<'a> {
        let mut resources = Resources::unreserved(some(scalars));
        resources.ranges.insert(Kind::PORTS, Ranges::new([(100, 101), (200, 209)]));
        Offered { site, resources }
    }

    #[track_caller]
    fn check(app: &App<'_>, offered: &Offered<'_>, rules: &Rules, want: &str) {
        let got: Vec<_> = rejections(app, offered, rules).map(|it| it.to_string()).collect();
        assert_eq!(got.join("; "), want);
    }

    #[test]
    fn all_reasons_are_told_in_order() {
        let constraints = [("rack", "UNIQUE", ""), ("hostname", "LIKE", "h.*"), ("jdk", "IS", "8")]
            .map(|(field, operator, value)| Constraint::read(field, operator, value).unwrap());
        let here = site("h1 rack=a jdk=7 @region=far");
        let mut it = app("4 64", &constraints);
        it.placed = vec![&here];
        it.any_ports = 13;
        let rules = Rules { home_region: Some("near".to_owned()), ..RULES };
        let want = "too few cpus; no such host ports; constraint 0: an instance has \"a\"; \
                    constraint 2: the agent has \"7\"; not in the home region; \
                    GPUs are for apps that need them";
        check(&it, &offered(&here, "3 64 0 1"), &rules, want);
    }

    #[test]
    fn remote_regions_must_be_named() {
        let rules = Rules { home_region: Some("near".to_owned()), ..RULES };
        let named = [Constraint::read("@region", "LIKE", ".*").unwrap()];
        for (region, constraints, want) in [
            ("h @region=near", &[][..], ""),
            ("h @region=far", &[], "not in the home region"),
            ("h @region=far", &named, ""),
            ("h", &[], ""),
        ] {
            let here = site(region);
            check(&app("1", constraints), &offered(&here, "1"), &rules, want);
            check(&app("1", constraints), &offered(&here, "1"), &RULES, "");
        }
    }

    #[test]
    fn gpus_are_for_those_that_need_them() {
        let here = site("h");
        let free = Rules { restricts_gpus: false, ..RULES };
        let it = offered(&here, "1 0 0 2");
        check(&app("1", &[]), &it, &RULES, "GPUs are for apps that need them");
        check(&app("1", &[]), &it, &free, "");
        check(&app("1 0 0 2", &[]), &it, &RULES, "");
        check(&app("1 0 0 3", &[]), &it, &RULES, "too few GPUs");
    }

    #[test]
    fn roles_are_minded() {
        let here = site("h");
        let mut it = offered(&here, "1");
        it.resources.reserved.insert("web".to_owned(), some("2"));
        for (role, takes_unreserved, needs, want) in [
            (None, true, "1", ""),
            (None, true, "2", "too few cpus"),
            (Some("web"), true, "3", ""),
            (Some("web"), false, "3", "too few cpus"),
            (Some("db"), true, "2", "too few cpus"),
        ] {
            let app = App { role, takes_unreserved, ..app(needs, &[]) };
            check(&app, &it, &RULES, want);
        }
        let app = App { role: Some("web"), ..app("2.5", &[]) };
        let got = take(&it, &mut [app], &RULES, |_| {}, &mut ());
        assert_eq!(got.launches.len(), 1);
        assert_eq!(got.launches[0].resources.reserved["web"], some("2"));
        assert_eq!(got.launches[0].resources.unreserved, some("0.5"));
        assert_eq!(got.left.unreserved, some("0.5"));
    }

    #[test]
    fn ports_are_taken_once() {
        let here = site("h");
        let it = App { fixed_ports: vec![200], any_ports: 3, ..app("0.1", &[]) };
        let got = take(&offered(&here, "9"), &mut [it], &RULES, |_| {}, &mut ());
        assert_eq!(got.launches.len(), 1);
        let ports: Vec<_> = got.launches[0].resources.ranges[&Kind::PORTS].iter().collect();
        assert_eq!(ports, [(100, 101), (200, 201)]);
        let twice = App { fixed_ports: vec![200, 200], ..app("0.1", &[]) };
        check(&twice, &offered(&here, "9"), &RULES, "no such host ports");
    }

    /// Launches as places of apps, and rejections as `APP: REASON`.
    fn taken(
        apps: &mut [App<'_>],
        scalars: &str,
        tokens: u32,
        backwards: bool,
    ) -> (String, String) {
        let here = site("h1");
        let rules = Rules { tokens, ..RULES };
        let mut heard = Vec::new();
        let order = |it: &mut [usize]| {
            if backwards {
                it.reverse()
            }
        };
        // The sites of the apps must live as long as the offer's.
        let mut apps: Vec<App<'_>> =
            apps.iter().map(|it| App { placed: vec![], ..it.clone() }).collect();
        let got = take(&offered(&here, scalars), &mut apps, &rules, order, &mut heard);
        let launches: Vec<_> = got.launches.iter().map(|it| it.app.to_string()).collect();
        let heard: Vec<_> = heard.iter().map(|(app, why)| format!("{app}: {why}")).collect();
        (launches.join(" "), heard.join("; "))
    }

    #[test]
    fn apps_take_turns() {
        let unique = [Constraint::read("hostname", "UNIQUE", "").unwrap()];
        let mut apps = [app("1", &[]), app("1", &unique), app("1", &[])];
        apps[2].missing = 1;
        let told = |launches: &str, heard: &str| (launches.to_owned(), heard.to_owned());
        let once = "1: constraint 0: an instance has \"h1\"";
        assert_eq!(taken(&mut apps, "9", 9, false), told("0 1 2 0 0", once));
        assert_eq!(taken(&mut apps, "9", 9, true), told("2 1 0 0 0", once));
        assert_eq!(taken(&mut apps, "9", 2, false), told("0 1", ""));
        assert_eq!(taken(&mut apps, "9", 0, false), told("", ""));
        let short = "0: too few cpus; 1: too few cpus";
        assert_eq!(taken(&mut apps, "3", 9, false), told("0 1 2", short));
        apps[1].comes_first = true;
        apps[0].missing = 0;
        assert_eq!(taken(&mut apps, "9", 9, false), told("1 2", once));
    }
}
