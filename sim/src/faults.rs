//! What goes wrong in a simulated cluster: scripted faults at given times, and random ones by rate.

use cluster::chance::{Chance, Purpose};
use cluster::ids::NodeId;
use cluster::units::{Instant, Span};
use rand_distr::{Distribution, Exp1, LogNormal};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// What can be made to go wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// A node is lost.
    NodeLoss {
        /// The node's name.
        node: String,
    },
    /// All nodes of a zone are lost at once, and those that join it while the outage lasts.
    ZoneOutage {
        /// The zone's name.
        zone: String,
    },
    /// A node takes no new tasks and keeps what it runs.
    Drain {
        /// The node's name.
        node: String,
    },
}

/// A fault at a given time.
///
/// Written `zone-outage:zone-b@6h+30m`: what, where, `@` when since the start of the run, `+` how long;
/// without `+` it lasts to the end of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scripted {
    /// When it begins.
    pub at: Instant,
    /// How long it lasts; `None` to the end of the run.
    pub lasts: Option<Span>,
    /// What it is.
    pub fault: Fault,
}

/// Faults by chance. Each node and each zone has its own stream, so that two policies see the same.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RandomFaults {
    /// Node losses per node and day of being up, exponentially spaced.
    pub node_losses_per_day: f64,
    /// Median time to repair a node.
    pub node_repair_median: Span,
    /// Standard deviation of the logarithm of the time to repair a node.
    pub node_repair_sigma: f64,
    /// Outages per zone and day, exponentially spaced.
    pub zone_outages_per_day: f64,
    /// Median length of a zone outage.
    pub zone_repair_median: Span,
    /// Standard deviation of the logarithm of the length of a zone outage.
    pub zone_repair_sigma: f64,
}

/// Nodes are lost and repaired as in the Google 2011 trace: 0.0247 losses per node-day, repair
/// lognormal with median e^7.26 s and sigma 2.21 (fitted to its machine events); zones never.
impl Default for RandomFaults {
    fn default() -> Self {
        Self {
            node_losses_per_day: 0.0247,
            node_repair_median: Span::from_secs(1422),
            node_repair_sigma: 2.21,
            zone_outages_per_day: 0.0,
            zone_repair_median: Span::from_secs(3600),
            zone_repair_sigma: 0.5,
        }
    }
}

/// All that goes wrong in a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultPlan {
    /// At given times.
    pub scripted: Vec<Scripted>,
    /// By chance.
    pub random: Option<RandomFaults>,
}

const DAY_S: f64 = 86_400.0;
/// Zones draw from entities above all nodes.
const ZONE_ENTITIES: u64 = 1 << 40;

/// The random life of one node or one zone: how long it stays up, how long it stays down.
#[derive(Debug, Clone)]
pub(crate) struct Fate {
    chance: Chance,
    losses_per_day: f64,
    repair: LogNormal<f64>,
}

impl Fate {
    pub(crate) fn of_node(faults: &RandomFaults, seed: u64, node: NodeId) -> Option<Self> {
        Self::new(
            seed,
            u64::from(node.0),
            faults.node_losses_per_day,
            faults.node_repair_median,
            faults.node_repair_sigma,
        )
    }

    pub(crate) fn of_zone(faults: &RandomFaults, seed: u64, zone: usize) -> Option<Self> {
        Self::new(
            seed,
            ZONE_ENTITIES + zone as u64,
            faults.zone_outages_per_day,
            faults.zone_repair_median,
            faults.zone_repair_sigma,
        )
    }

    fn new(seed: u64, entity: u64, rate: f64, median: Span, sigma: f64) -> Option<Self> {
        if rate <= 0.0 {
            return None;
        }
        let repair = LogNormal::new(median.as_secs_f64().max(1e-6).ln(), sigma).ok()?;
        let chance = Chance::new(seed, Purpose::Faults, entity);
        Some(Self { chance, losses_per_day: rate, repair })
    }

    /// How long it stays up, at least a microsecond.
    pub(crate) fn up(&mut self) -> Span {
        let unit: f64 = Exp1.sample(self.chance.rng());
        Span::from_secs_f64(unit / self.losses_per_day * DAY_S).max(Span(1))
    }

    /// How long it stays down, at least a microsecond.
    pub(crate) fn down(&mut self) -> Span {
        Span::from_secs_f64(self.repair.sample(self.chance.rng())).max(Span(1))
    }
}

/// What is wrong with the text of a fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadFault {
    /// Not of the form `WHAT:WHERE@WHEN[+LENGTH]`.
    #[error("fault {text:?} is not WHAT:WHERE@WHEN[+LENGTH], such as zone-outage:zone-b@6h+30m")]
    Form {
        /// The text.
        text: String,
    },
    /// No such fault.
    #[error("{what:?} is no fault; there are node-loss, zone-outage and drain")]
    Unknown {
        /// The word.
        what: String,
    },
    /// Not a time.
    #[error("{found:?} is no time; write a number with us, ms, s, m, h or d, such as 90m")]
    Time {
        /// The text.
        found: String,
    },
}

/// Reads a length of time: a decimal number and `us`, `ms`, `s`, `m`, `h` or `d` (a bare number is
/// seconds), exact to the microsecond.
///
/// # Errors
///
/// [`BadFault::Time`] if it is none.
pub fn parse_span(text: &str) -> Result<Span, BadFault> {
    let bad = || BadFault::Time { found: text.to_owned() };
    let digits = text.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_us: u128 = match unit.trim() {
        "us" => 1,
        "ms" => 1_000,
        "s" | "" => 1_000_000,
        "m" | "min" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return Err(bad()),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.len() > 18 || fraction.contains('.') {
        return Err(bad());
    }
    let parse = |it: &str| if it.is_empty() { Ok(0) } else { it.parse::<u64>() };
    let whole = u128::from(parse(whole).map_err(|_| bad())?);
    let part = u128::from(parse(fraction).map_err(|_| bad())?);
    let us = whole * unit_us + part * unit_us / 10u128.pow(fraction.len() as u32);
    u64::try_from(us).map(Span).map_err(|_| bad())
}

impl FromStr for Scripted {
    type Err = BadFault;
    fn from_str(text: &str) -> Result<Self, BadFault> {
        let form = || BadFault::Form { text: text.to_owned() };
        let (what, rest) = text.split_once(':').ok_or_else(form)?;
        let (place, when) = rest.rsplit_once('@').ok_or_else(form)?;
        let (at, lasts) = match when.split_once('+') {
            Some((at, lasts)) => (at, Some(parse_span(lasts)?)),
            None => (when, None),
        };
        if place.is_empty() {
            return Err(form());
        }
        let name = place.to_owned();
        let fault = match what {
            "node-loss" => Fault::NodeLoss { node: name },
            "zone-outage" => Fault::ZoneOutage { zone: name },
            "drain" => Fault::Drain { node: name },
            _ => return Err(BadFault::Unknown { what: what.to_owned() }),
        };
        Ok(Self { at: Instant::ZERO + parse_span(at)?, lasts, fault })
    }
}

impl fmt::Display for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            Fault::NodeLoss { node } => write!(f, "node-loss:{node}")?,
            Fault::ZoneOutage { zone } => write!(f, "zone-outage:{zone}")?,
            Fault::Drain { node } => write!(f, "drain:{node}")?,
        }
        write!(f, "@{}", self.at)?;
        match self.lasts {
            Some(lasts) => write!(f, "+{lasts}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_read_and_print() {
        for (text, want) in [
            ("zone-outage:zone-b@6h+30m", "zone-outage:zone-b@21600s+1800s"),
            ("node-loss:n@7@1.5s", "node-loss:n@7@1.5s"),
            ("drain:a@250us+2ms", "drain:a@250us+0.002s"),
        ] {
            let fault: Scripted = text.parse().unwrap();
            assert_eq!(fault.to_string(), want);
            assert_eq!(want.parse::<Scripted>().unwrap(), fault);
        }
    }

    #[test]
    fn bad_faults_say_why() {
        for (text, want) in [
            ("zone-outage", "WHAT:WHERE@WHEN"),
            ("zone-outage:b", "WHAT:WHERE@WHEN"),
            ("zone-outage:@3h", "WHAT:WHERE@WHEN"),
            ("fire:b@3h", "\"fire\" is no fault"),
            ("drain:b@3w", "\"3w\" is no time"),
            ("drain:b@1.2.3s", "\"1.2.3s\" is no time"),
            ("drain:b@99999999999999d", "is no time"),
            ("drain:b@.s", "is no time"),
        ] {
            let error = text.parse::<Scripted>().unwrap_err().to_string();
            assert!(error.contains(want), "{text}: {error}");
        }
    }

    #[test]
    fn losses_come_at_the_rate_asked_for() {
        let faults = RandomFaults { node_losses_per_day: 2.0, ..RandomFaults::default() };
        let mut fate = Fate::of_node(&faults, 1, NodeId(3)).unwrap();
        let days = (0..4000).map(|_| fate.up().as_secs_f64()).sum::<f64>() / 4000.0 / DAY_S;
        // Mean 0.5 day, standard error 0.0079.
        assert!((0.468..0.532).contains(&days), "{days}");
    }
}
