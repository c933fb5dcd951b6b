//! How the tasks of each group are spread over zones, kept up to date group by group.

use cluster::event::{Facts, TaskKind};
use cluster::id_map::IdMap;
use cluster::ids::{GroupId, ZoneId};
use cluster::state::State;
use cluster::units::{Instant, Span};

/// One in the fixed-point numbers that shares are summed in, so that what is added can be taken away
/// again without a rest.
pub const ONE: u64 = 1 << 32;

/// Which groups a number is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Population {
    /// Groups whose tasks are services.
    Services,
    /// All groups.
    Groups,
}

impl Population {
    /// Both, in the order of their rows.
    pub const ALL: [Self; 2] = [Self::Services, Self::Groups];
}

/// One group with at least two placed tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// Whether it is a service.
    pub is_service: bool,
    /// Placed tasks.
    pub placed: u32,
    /// Tasks in its fullest zone less tasks in its emptiest, over zones with a node that is not lost.
    pub skew: u32,
    /// Share of its tasks in its fullest zone, in units of 1/[`ONE`].
    pub exposure: u64,
}

/// Sums over all groups of a population with at least two placed tasks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Number of such groups.
    pub groups: u64,
    /// Sum of their skews.
    pub skew: u64,
    /// Sum of their exposures, in units of 1/[`ONE`].
    pub exposure: u128,
}

impl Tally {
    /// Mean skew.
    pub fn skew_mean(&self) -> Option<f64> {
        (self.groups > 0).then(|| self.skew as f64 / self.groups as f64)
    }

    /// Mean exposure, as a share.
    pub fn exposure_mean(&self) -> Option<f64> {
        (self.groups > 0).then(|| self.exposure as f64 / ONE as f64 / self.groups as f64)
    }
}

/// The groups of the reported population over the run.
#[derive(Debug, Clone, Copy, Default)]
struct History {
    groups: u128,
    skew: u128,
    exposure: u128,
    /// Until when it is summed.
    until: Instant,
    /// What lasted last.
    last: Tally,
    worst_skew: Option<u32>,
    worst_exposure: Option<u64>,
}

impl History {
    fn sum(&mut self, now: Instant) {
        let length = u128::from(now.since(self.until).0);
        self.until = now;
        if self.last.groups > 0 {
            self.groups += u128::from(self.last.groups) * length;
            self.skew += u128::from(self.last.skew) * length;
            self.exposure += self.last.exposure * length;
        }
    }
}

/// The spread of every group, as of the last time that the state lasted.
///
/// Changes within one instant are only noted; groups are counted again when time moves on. So what a
/// group looked like for no time at all does not count, and a burst touches each group once. Only the groups that
/// will be reported are counted: all of them until a task of a service is placed, services from then on.
#[derive(Debug, Clone, Default)]
pub struct GroupZones {
    /// Where in `spreads` a group stands that has one.
    rows: IdMap<GroupId, u32>,
    spreads: Vec<(GroupId, Spread)>,
    tally: Tally,
    history: History,
    touched: Vec<(GroupId, bool)>,
    live: Vec<bool>,
    membership: Option<u64>,
    any_service: bool,
    any_spread: bool,
}

impl GroupZones {
    /// Whether the task's group is to be counted again when it comes or goes, to be said with [`GroupZones::note`].
    #[inline]
    pub(crate) fn concerns(&self, task: &Facts) -> bool {
        task.group.is_some() && (task.kind == TaskKind::Service || !self.any_service)
    }

    /// A task came or went: its group is to be counted again.
    pub(crate) fn note(&mut self, task: &Facts) {
        let Some(group) = task.group.filter(|_| self.concerns(task)) else { return };
        let is_service = task.kind == TaskKind::Service;
        if is_service && !self.any_service {
            let until = self.history.until;
            *self = Self {
                any_service: true,
                live: std::mem::take(&mut self.live),
                membership: self.membership,
                history: History { until, ..History::default() },
                ..Self::default()
            };
        }
        self.touched.push((group, is_service));
    }

    /// The state has been so since `now`. Counts what was noted; `lasts` if time is about to move on.
    #[inline]
    pub(crate) fn settle(&mut self, now: Instant, state: &State, lasts: bool) {
        if self.membership != Some(state.nodes().membership()) {
            self.read_zones(state);
        }
        if !self.touched.is_empty() {
            self.count_touched(now, state, lasts);
        }
    }

    fn read_zones(&mut self, state: &State) {
        self.membership = Some(state.nodes().membership());
        let live = state.nodes().zone_totals().iter().map(|it| it.nodes > 0);
        if !live.clone().eq(self.live.iter().copied()) {
            self.live = live.collect();
            // The zones to compare are others: every group counts anew.
            self.touched.extend(self.spreads.iter().map(|(id, it)| (*id, it.is_service)));
        }
    }

    fn count_touched(&mut self, now: Instant, state: &State, lasts: bool) {
        self.history.sum(now);
        let mut touched = std::mem::take(&mut self.touched);
        if touched.len() > 1 {
            touched.sort_unstable();
            touched.dedup_by_key(|it| it.0);
        }
        for &(id, is_service) in &touched {
            let new = self.count(state, id, is_service);
            if let Some(old) = self.put(id, new) {
                self.tally.groups -= 1;
                self.tally.skew -= u64::from(old.skew);
                self.tally.exposure -= u128::from(old.exposure);
            }
            if let Some(new) = new {
                self.tally.groups += 1;
                self.tally.skew += u64::from(new.skew);
                self.tally.exposure += u128::from(new.exposure);
                self.any_spread = true;
                if lasts {
                    self.history.worst_skew = self.history.worst_skew.max(Some(new.skew));
                    self.history.worst_exposure =
                        self.history.worst_exposure.max(Some(new.exposure));
                }
            }
        }
        if lasts {
            self.history.last = self.tally;
        }
        touched.clear();
        self.touched = touched;
    }

    /// Replaces what is known of a group.
    fn put(&mut self, id: GroupId, new: Option<Spread>) -> Option<Spread> {
        match (self.rows.get(&id).copied(), new) {
            (Some(row), Some(new)) => {
                Some(std::mem::replace(&mut self.spreads[row as usize].1, new))
            }
            (Some(row), None) => {
                self.rows.remove(&id);
                let (_, old) = self.spreads.swap_remove(row as usize);
                if let Some((moved, _)) = self.spreads.get(row as usize) {
                    self.rows.insert(*moved, row);
                }
                Some(old)
            }
            (None, Some(new)) => {
                let row = u32::try_from(self.spreads.len()).expect("fewer than 2^32 groups");
                self.rows.insert(id, row);
                self.spreads.push((id, new));
                None
            }
            (None, None) => None,
        }
    }

    fn count(&self, state: &State, id: GroupId, is_service: bool) -> Option<Spread> {
        let group = state.group(id).filter(|it| it.placed() >= 2)?;
        let mut fullest = 0;
        let mut emptiest = u32::MAX;
        for (row, &live) in self.live.iter().enumerate() {
            let there = group.in_zone(ZoneId(row as u16));
            fullest = fullest.max(there);
            if live {
                emptiest = emptiest.min(there);
            }
        }
        Some(Spread {
            is_service,
            placed: group.placed(),
            skew: fullest.saturating_sub(emptiest),
            exposure: u64::from(fullest) * ONE / u64::from(group.placed()),
        })
    }

    /// The run is over. One of no length counts as if its only moment had lasted.
    pub(crate) fn close(&mut self, start: Instant, end: Instant) {
        self.history.sum(if end > start { end } else { start + Span(1) });
    }

    /// Sums over a population.
    pub fn tally(&self, population: Population) -> Tally {
        match population {
            Population::Services if !self.any_service => Tally::default(),
            _ => self.tally,
        }
    }

    /// Skew of the reported groups: mean over groups and time, and the worst that lasted. After the end.
    pub fn skew(&self) -> (Option<f64>, Option<u32>) {
        let History { groups, skew, .. } = self.history;
        let mean = (groups > 0).then(|| skew as f64 / groups as f64);
        (mean, self.history.worst_skew)
    }

    /// Exposure of the reported groups, as shares: mean over groups and time, and the worst that lasted. After
    /// the end.
    pub fn exposure(&self) -> (Option<f64>, Option<f64>) {
        let History { groups, exposure, .. } = self.history;
        let mean = (groups > 0).then(|| exposure as f64 / ONE as f64 / groups as f64);
        (mean, self.history.worst_exposure.map(|it| it as f64 / ONE as f64))
    }

    /// The group as of the last time the state lasted; `None` with fewer than two placed tasks.
    pub fn spread(&self, group: GroupId) -> Option<Spread> {
        self.rows.get(&group).map(|&row| self.spreads[row as usize].1)
    }

    /// Which groups a report is about: services, or all groups if no service was ever placed.
    pub fn population(&self) -> Population {
        if self.any_service { Population::Services } else { Population::Groups }
    }

    /// Whether a group of the reported population ever had two placed tasks.
    pub fn any_spread(&self) -> bool {
        self.any_spread
    }
}
