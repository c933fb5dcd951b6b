//! How the tasks of each group are spread over zones, kept up to date group by group.

use cluster::event::{Change, TaskKind};
use cluster::ids::{GroupId, ZoneId};
use cluster::state::State;
use std::collections::BTreeMap;

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

/// The spread of every group, as of the last time that the state lasted.
///
/// Changes within one instant are only noted; groups are counted again when time moves on. So what a
/// group looked like for no time at all does not count, and a burst touches each group once.
#[derive(Debug, Clone, Default)]
pub struct GroupZones {
    spreads: BTreeMap<GroupId, Spread>,
    tallies: [Tally; 2],
    touched: Vec<(GroupId, bool)>,
    settled: Vec<Spread>,
    live: Vec<bool>,
    any_service: bool,
    any_spread: bool,
}

impl GroupZones {
    /// Notes which groups are to be counted again.
    pub fn note(&mut self, changes: &[Change]) {
        for change in changes {
            let task = match change {
                Change::Placed { task, .. }
                | Change::Adopted { task, .. }
                | Change::Interrupted { task, .. }
                | Change::Ended { task, node: Some(_), .. } => task,
                _ => continue,
            };
            if let Some(group) = task.group {
                let is_service = task.kind == TaskKind::Service;
                if is_service && !self.any_service {
                    self.any_service = true;
                    self.any_spread = false;
                    self.spreads.clear();
                    self.tallies = [Tally::default(); 2];
                }
                // Once there is a service, other groups are not reported.
                if is_service || !self.any_service {
                    self.touched.push((group, is_service));
                }
            }
        }
    }

    /// Counts what was noted. Call it when time is about to move on.
    pub fn settle(&mut self, state: &State) {
        self.settled.clear();
        let totals = state.nodes().zone_totals();
        let is_same = self.live.len() == totals.len()
            && self.live.iter().zip(totals).all(|(&live, zone)| live == (zone.nodes > 0));
        if !is_same {
            self.live = totals.iter().map(|it| it.nodes > 0).collect();
            // The zones to compare are others: every group counts anew.
            self.touched.extend(self.spreads.iter().map(|(&id, it)| (id, it.is_service)));
        }
        if self.touched.is_empty() {
            return;
        }
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup_by_key(|it| it.0);
        for &(id, is_service) in &touched {
            let new = self.count(state, id, is_service);
            let old = match new {
                Some(it) => self.spreads.insert(id, it),
                None => self.spreads.remove(&id),
            };
            if let Some(it) = old {
                self.add(it, false);
            }
            if let Some(it) = new {
                self.add(it, true);
                self.settled.push(it);
                self.any_spread = true;
            }
        }
        touched.clear();
        self.touched = touched;
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

    fn add(&mut self, spread: Spread, is_new: bool) {
        for population in Population::ALL {
            if population == Population::Services && !spread.is_service {
                continue;
            }
            let tally = &mut self.tallies[population as usize];
            if is_new {
                tally.groups += 1;
                tally.skew += u64::from(spread.skew);
                tally.exposure += u128::from(spread.exposure);
            } else {
                tally.groups -= 1;
                tally.skew -= u64::from(spread.skew);
                tally.exposure -= u128::from(spread.exposure);
            }
        }
    }

    /// Sums over a population.
    pub fn tally(&self, population: Population) -> Tally {
        self.tallies[population as usize]
    }

    /// The group as of the last time the state lasted; `None` with fewer than two placed tasks.
    pub fn spread(&self, group: GroupId) -> Option<Spread> {
        self.spreads.get(&group).copied()
    }

    /// The groups that were counted anew when time last moved on.
    pub fn settled(&self) -> &[Spread] {
        &self.settled
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
