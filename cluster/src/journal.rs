//! The journal: the record of `(time, input, actions)`. Its bytes are hashed as they are made; the
//! hash is the run's fingerprint. Live runs always keep the bytes, simulated runs when asked.

mod usual;

use self::usual::Bytes;
use crate::event::{Action, Event, NodeEvent, NodeReport, Report};
use crate::units::Instant;
use serde::{Deserialize, Serialize};
use std::fmt;
use xxhash_rust::xxh3::Xxh3;

/// What was given to the manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// Something happened.
    Event(Event),
    /// The driver asked for decisions.
    Decide,
}

/// One call of the manager and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When.
    pub at: Instant,
    /// What was given.
    pub input: Input,
    /// What was answered.
    pub actions: Vec<Action>,
}

/// A [`Record`] that borrows its parts; encodes to the same bytes.
#[derive(Serialize)]
struct RecordRef<'a> {
    at: Instant,
    input: InputRef<'a>,
    actions: &'a [Action],
}

/// See [`RecordRef`]; the variants stand in the order of [`Input`].
#[derive(Serialize)]
pub(crate) enum InputRef<'a> {
    Event(&'a Event),
    Decide,
}

/// The record that a byte sequence holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRecord {
    /// What the decoder says.
    pub why: String,
}

impl fmt::Display for BadRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a journal record: {}", self.why)
    }
}

impl std::error::Error for BadRecord {}

impl Record {
    /// The record in the journal's own encoding (postcard).
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("a record has no part that postcard refuses")
    }

    /// Reads one record; all bytes must belong to it.
    ///
    /// # Errors
    ///
    /// If the bytes are cut short, too many, or no record of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadRecord> {
        match postcard::take_from_bytes(bytes) {
            Ok((record, [])) => Ok(record),
            Ok((_, rest)) => Err(BadRecord { why: format!("{} bytes too many", rest.len()) }),
            Err(error) => Err(BadRecord { why: error.to_string() }),
        }
    }
}

/// A run's identity: equal fingerprints mean equal journals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint(pub u128);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// How many bytes are gathered before they are hashed.
const GATHERED: usize = 1 << 14;

/// Encodes records one after the other and hashes them.
#[derive(Clone)]
pub(crate) struct Recorder {
    /// Of all bytes but those gathered.
    hash: Xxh3,
    gathered: Bytes,
    /// Where the last record begins there.
    last: usize,
    count: u64,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self { hash: Xxh3::new(), gathered: Bytes::default(), last: 0, count: 0 }
    }

    pub(crate) fn record(&mut self, at: Instant, input: InputRef<'_>, actions: &[Action]) {
        self.begin();
        if !usual::encode(&mut self.gathered, at, &input, actions) {
            let bytes = postcard::to_stdvec(&RecordRef { at, input, actions })
                .expect("a record has no part that postcard refuses");
            self.gathered.extend(&bytes);
        }
    }

    /// Hashes a record that was made earlier.
    pub(crate) fn resume(&mut self, bytes: &[u8]) {
        self.begin();
        self.gathered.extend(bytes);
    }

    fn begin(&mut self) {
        if self.gathered.len() >= GATHERED {
            self.hash.update(self.gathered.written());
            self.gathered.clear();
        }
        self.last = self.gathered.len();
        self.count += 1;
    }

    pub(crate) fn last(&self) -> &[u8] {
        &self.gathered.written()[self.last..]
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let mut hash = self.hash.clone();
        hash.update(self.gathered.written());
        Fingerprint(hash.digest128())
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records, {}", self.count, self.fingerprint())
    }
}

/// One line: time, what happened, what was answered.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.at, self.input)?;
        for (at, action) in self.actions.iter().enumerate() {
            f.write_str(if at == 0 { "   " } else { ", " })?;
            write!(f, "{action}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(event) => write!(f, "{event}"),
            Self::Decide => f.write_str("decide"),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DefinitionPut { definition, spec } => {
                write!(f, "{definition} put: {}", spec.name)
            }
            Self::Node { node, event } => match event {
                NodeEvent::Joined(spec) => write!(f, "{node} joins: {}", spec.name),
                NodeEvent::Lost => write!(f, "{node} lost"),
                NodeEvent::Returned => write!(f, "{node} returns"),
                NodeEvent::Draining => write!(f, "{node} drains"),
                NodeEvent::Updated(_) => write!(f, "{node} updated"),
            },
            Self::TaskSubmitted(it) => write!(f, "{} submitted", it.task),
            Self::TaskAdopted { submission, node } => {
                write!(f, "{} adopted on {node}", submission.task)
            }
            Self::TaskCancelled { task } => write!(f, "{task} cancelled"),
            Self::TaskReported { task, attempt, report } => {
                let again = if *attempt > 1 { format!(" #{attempt}") } else { String::new() };
                match report {
                    Report::Started => write!(f, "{task}{again} started"),
                    Report::Exited { code } => write!(f, "{task}{again} exits {code}"),
                    Report::Healthy => write!(f, "{task}{again} healthy"),
                    Report::Unhealthy => write!(f, "{task}{again} unhealthy"),
                    Report::Failed { why } => write!(f, "{task}{again} fails to start: {why}"),
                }
            }
            Self::Timer => f.write_str("timer"),
            Self::NodeReported { node, report } => match report {
                NodeReport::Unreachable => write!(f, "{node} out of reach"),
                NodeReport::Reachable => write!(f, "{node} in reach"),
                NodeReport::Activated => write!(f, "{node} drains no longer"),
                NodeReport::PortsTaken(ports) => {
                    write!(f, "{node} has {} host ports that others hold", ports.len())
                }
            },
            Self::ServicePut { service, spec } => {
                write!(f, "{service} put: {} × {} of {}", spec.name, spec.desired, spec.definition)
            }
            Self::ServiceDeleted { service } => write!(f, "{service} deleted"),
            Self::BudgetPut(budget) => write!(f, "budget {} put", budget.name),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { task, node, attempt, devices } => {
                write!(f, "start {task} on {node}")?;
                if *attempt > 1 {
                    write!(f, " #{attempt}")?;
                }
                for (at, device) in devices.iter().enumerate() {
                    write!(f, "{}{device}", if at == 0 { " gpu " } else { "+" })?;
                }
                Ok(())
            }
            Self::Stop { task, node, reason, .. } => write!(f, "stop {task} on {node} ({reason})"),
            Self::Drop { task, reason } => write!(f, "drop {task} ({reason})"),
            Self::Hold { task, reason } => write!(f, "hold {task} ({reason})"),
            Self::Wake { at } => write!(f, "wake at {at}"),
        }
    }
}
