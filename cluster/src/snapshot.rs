//! Snapshots of a manager, and catching up from one by applying what was recorded after it.
//!
//! Restart applies, replay verifies: after a crash the recorded actions are carried into the state, never
//! decided again, because a newer program may decide otherwise. What needs no choice (the answer to an
//! event) is computed again and must come out as recorded.

use crate::event::{Action, HoldReason, StopReason};
use crate::ids::{GroupId, TaskId};
use crate::journal::{Input, InputRef, Record, Recorder};
use crate::manager::{Core, Manager};
use crate::queue::Note;
use crate::scheduler::{BadMemory, Scheduler, Then};
use crate::state::Phase;
use crate::units::Instant;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use thiserror::Error;

/// Version of the snapshot's encoding.
const FORMAT: u32 = 2;

#[derive(Serialize)]
struct SnapshotRef<'a> {
    format: u32,
    core: &'a Core,
    memory: Vec<u8>,
}

#[derive(Deserialize)]
struct Snapshot {
    core: Core,
    memory: Vec<u8>,
}

/// Why a manager cannot be brought back.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The bytes are no snapshot of this version.
    #[error("not a snapshot of this version: {why}")]
    NotASnapshot {
        /// What the decoder says.
        why: String,
    },
    /// The snapshot was made under another policy.
    #[error("the snapshot's memory is of another policy")]
    Memory,
    /// This program answers an event otherwise than the one that recorded it.
    #[error("this version answers otherwise than recorded: {record}")]
    Differs {
        /// The record, as text.
        record: String,
        /// What would be answered now.
        now: Vec<Action>,
    },
    /// A recorded action is impossible in this state: records are missing or of another run.
    #[error("a recorded action cannot be applied: {action}")]
    Impossible {
        /// The action, as text.
        action: String,
    },
}

impl From<BadMemory> for RestoreError {
    fn from(_: BadMemory) -> Self {
        Self::Memory
    }
}

impl Manager {
    /// Everything that the manager and its scheduler remember, between two calls. Equal managers have equal
    /// bytes. The fingerprint is not in it: it is the hash over all records.
    pub fn snapshot(&self) -> Vec<u8> {
        let snapshot =
            SnapshotRef { format: FORMAT, core: &self.core, memory: self.scheduler.memory() };
        postcard::to_stdvec(&snapshot).expect("a manager has no part that postcard refuses")
    }

    /// A manager as it was when the snapshot was taken. [`Manager::rehash`] of all records before it brings
    /// the fingerprint back too.
    ///
    /// # Errors
    ///
    /// If the bytes are no snapshot, or one of another version or policy.
    pub fn restore(
        snapshot: &[u8],
        mut scheduler: Box<dyn Scheduler>,
    ) -> Result<Self, RestoreError> {
        let bad = |why: postcard::Error| RestoreError::NotASnapshot { why: why.to_string() };
        let (format, rest) = postcard::take_from_bytes::<u32>(snapshot).map_err(bad)?;
        if format != FORMAT {
            return Err(RestoreError::NotASnapshot { why: format!("format {format}") });
        }
        let Snapshot { mut core, memory } = postcard::from_bytes(rest).map_err(bad)?;
        core.state.nodes.make_coarse();
        scheduler.recall(&memory)?;
        Ok(Self { core, scheduler, recorder: Recorder::new() })
    }

    /// Adds an encoded record that is already in the state to the fingerprint.
    pub fn rehash(&mut self, record: &[u8]) {
        self.recorder.resume(record);
    }

    /// What the last decision left besides its actions (the scheduler's memory, who sleeps and who is
    /// parked), to be kept beside its record.
    pub fn aftermath(&self) -> Vec<u8> {
        let core = &self.core;
        let failures = |id| core.state.task(id).map_or(0, |it| it.failures);
        let aftermath = Aftermath {
            memory: self.scheduler.memory(),
            notes: core.queue.notes(),
            parked: core.queue.parked().map(|(id, until)| (id, until, failures(id))).collect(),
            wakes: core.wakes.clone(),
            told: core.told,
            untidy: core.keeper.untidy.clone(),
        };
        postcard::to_stdvec(&aftermath).expect("an aftermath has no part that postcard refuses")
    }

    /// Carries a record into the state without deciding anything. A decision comes with its
    /// [aftermath](Manager::aftermath).
    ///
    /// # Errors
    ///
    /// If the record does not follow from this state. The manager is of no use then.
    pub fn apply(&mut self, record: &Record, aftermath: Option<&[u8]>) -> Result<(), RestoreError> {
        let now = record.at;
        self.core.begin(now);
        match &record.input {
            Input::Event(event) => {
                let mut answers = Vec::new();
                self.core.apply(now, event, &mut answers);
                self.core.set_alarm(now, &mut answers);
                if answers != record.actions {
                    let record = record.to_string();
                    return Err(RestoreError::Differs { record, now: answers });
                }
                self.finish(now, InputRef::Event(event), &record.actions);
            }
            Input::Decide => {
                self.core.resume(now);
                for action in &record.actions {
                    self.core
                        .follow(action)
                        .map_err(|()| RestoreError::Impossible { action: action.to_string() })?;
                }
                self.core.fresh.clear();
                self.finish(now, InputRef::Decide, &record.actions);
                let missing = || RestoreError::NotASnapshot { why: "no aftermath".to_owned() };
                self.take_back(aftermath.ok_or_else(missing)?)?;
            }
        }
        Ok(())
    }

    fn take_back(&mut self, aftermath: &[u8]) -> Result<(), RestoreError> {
        let Aftermath { memory, notes, parked, wakes, told, untidy } =
            postcard::from_bytes(aftermath)
                .map_err(|it| RestoreError::NotASnapshot { why: it.to_string() })?;
        for (id, until, failures) in parked {
            let is_pending = self.core.state.task(id).is_some_and(|it| it.phase == Phase::Pending);
            if !is_pending {
                return Err(RestoreError::Impossible { action: format!("park {id}") });
            }
            let (place, _) = self.core.place_of(id);
            self.core.park_at(place, id, until);
            if let Some(task) = self.core.state.task_mut(id) {
                task.failures = failures;
            }
        }
        self.core.queue.set_notes(&notes);
        self.core.wakes = wakes;
        self.core.told = told;
        self.core.keeper.untidy = untidy;
        Ok(self.scheduler.recall(&memory)?)
    }
}

/// See [`Manager::aftermath`].
#[derive(Serialize, Deserialize)]
struct Aftermath {
    memory: Vec<u8>,
    notes: Vec<Note>,
    /// Task, until when, failures in a row.
    parked: Vec<(TaskId, Instant, u32)>,
    wakes: BTreeSet<Instant>,
    told: Option<Instant>,
    untidy: BTreeSet<GroupId>,
}

impl Core {
    /// Does to the state what a recorded action of a decision did. `Err` if that is impossible.
    fn follow(&mut self, action: &Action) -> Result<(), ()> {
        let now = self.now;
        let mut again = Vec::new();
        let phase = |core: &Self, id| core.state.task(id).map(|it| it.phase == Phase::Pending);
        match *action {
            Action::Start { task, node, devices, .. } => {
                let is_known = node.row() < self.state.nodes().len();
                let is_pending = phase(self, task) == Some(true);
                if !is_known || !is_pending || !self.accepts(task, node, devices) {
                    return Err(());
                }
                self.place(now, task, node, devices, &mut again);
            }
            Action::Stop { task, reason, .. } => {
                if phase(self, task) != Some(false) {
                    return Err(());
                }
                match reason {
                    StopReason::Evicted => self.evict(now, task, Then::Requeue, &mut again),
                    StopReason::Killed => self.evict(now, task, Then::Kill, &mut again),
                    _ => self.dismiss_and_replace(now, task, reason, &mut again),
                }
            }
            Action::Drop { task, reason } => {
                if phase(self, task) != Some(true) {
                    return Err(());
                }
                match reason {
                    HoldReason::Unwanted => {
                        self.dismiss_and_replace(now, task, StopReason::Surplus, &mut again);
                    }
                    _ => self.reject(task, reason, &mut again),
                }
            }
            Action::Hold { task, .. } => return phase(self, task).map(|_| ()).ok_or(()),
            Action::Wake { .. } => {}
        }
        if again.first().is_none_or(|it| it == action) { Ok(()) } else { Err(()) }
    }
}
