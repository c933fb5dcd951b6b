//! The live state folder: the journal and what belongs to it, in one `redb` file.
//!
//! A [`Batch`] is one transaction that is on the disk (fsync) when [`Store::append`] returns. The journal
//! is numbered from 1 without gaps and never truncated. One controller at a time holds a folder; readers
//! ([`StoreReader`]) come when none does.

use crate::control::Applied;
use crate::plan::Wish;
use crate::program::{Overrides, Program};
use cluster::ids::{DefinitionId, GroupId, TaskId};
use cluster::rules::Rules;
use cluster::units::Instant;
use redb::{
    Database, DatabaseError, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, ReadableTable,
    ReadableTableMetadata, TableDefinition, TableError,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Version of the folder's layout.
pub const VERSION: u32 = 1;

/// The one file in the folder.
const FILE: &str = "state.redb";

const HEADER: TableDefinition<'_, (), &[u8]> = TableDefinition::new("header");
const JOURNAL: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("journal");
const MEMORY: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("memory");
const SNAPSHOT: TableDefinition<'_, (), (u64, &[u8])> = TableDefinition::new("snapshot");
const PROGRAMS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("programs");
const OVERRIDES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("overrides");
const ENDS: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("ends");
const GROUPS: TableDefinition<'_, u32, &str> = TableDefinition::new("groups");
const AGENDA: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("agenda");
const NOTES: TableDefinition<'_, (), &[u8]> = TableDefinition::new("notes");

/// Why a state folder cannot do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A controller has it open.
    #[error("{}: a controller is running on this state folder", dir.display())]
    InUse {
        /// The folder.
        dir: PathBuf,
    },
    /// There is a state already.
    #[error("{}: holds the state of a cluster already", dir.display())]
    Exists {
        /// The folder.
        dir: PathBuf,
    },
    /// There is no state, or its making was interrupted.
    #[error("{}: holds no cluster's state", dir.display())]
    Missing {
        /// The folder.
        dir: PathBuf,
    },
    /// It was written by a build with another layout.
    #[error("{}: has layout {found}, this build knows {VERSION}", dir.display())]
    Version {
        /// The folder.
        dir: PathBuf,
        /// Its layout.
        found: u32,
    },
    /// Part of it is not what was written.
    #[error("{}: {what} cannot be read: {reason}", dir.display())]
    Damaged {
        /// The folder.
        dir: PathBuf,
        /// Which part.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The disk or the database refused.
    #[error("{action} {}: {reason}", dir.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// The folder.
        dir: PathBuf,
        /// Its words.
        reason: String,
    },
}

impl StoreError {
    /// What to do next.
    pub fn help(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "end that controller first, or name another folder",
            Self::Exists { .. } => "go on with it, or name another folder for a new cluster",
            Self::Missing { .. } => "check the path, or make a new cluster's state there",
            Self::Version { .. } => "use the build that wrote it, or start in another folder",
            Self::Damaged { .. } => "keep a copy of the folder, then restore it from a backup",
            Self::Io { .. } => {
                "check that the disk has room and that you may read and write there; what was \
                 acknowledged is kept"
            }
        }
    }
}

/// What a folder is the state of. Written once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Layout of the folder: [`VERSION`].
    pub version: u32,
    /// Name of the cluster.
    pub cluster: String,
    /// Label of all that is ours: the cluster's name and 8 hexadecimal digits.
    pub owner: String,
    /// The policy, as the command line takes it.
    pub policy: String,
    /// Seed of all chance.
    pub seed: u64,
    /// The manager's rules.
    pub rules: Rules,
    /// Moment zero of the journal, in microseconds since 1970.
    pub epoch_unix_us: u64,
}

/// One record of the journal, to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// The record, encoded.
    pub record: Vec<u8>,
    /// What the policy remembers after it, encoded, where that changed.
    pub memory: Option<Vec<u8>>,
}

/// One record of the journal, as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// Its number, from 1.
    pub number: u64,
    /// What was written.
    pub entry: Entry,
}

/// The manager at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Number of the last record in it.
    pub number: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// How a task ended, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// The task.
    pub task: TaskId,
    /// Which of its attempts.
    pub attempt: u32,
    /// What it ran.
    pub definition: DefinitionId,
    /// What it was counted with.
    pub group: Option<GroupId>,
    /// When it ended.
    pub at: Instant,
    /// Name of the node it was on; empty if it waited.
    pub node: String,
    /// How, in one word.
    pub how: String,
    /// Exit codes of its containers, by name; none for one that never ran or was lost.
    pub exit_codes: BTreeMap<String, Option<i64>>,
    /// Why, in words.
    pub reason: String,
}

/// When something is wanted, and its place among all that was ever put on the agenda.
pub type Due = (Instant, u64);

/// What a controller must know besides the journal, as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notes {
    /// The next task that is submitted gets this number.
    pub next_task: u64,
    /// The next entry of the agenda gets this number.
    pub next_wish: u64,
    /// The text of `hosts.toml` as the last controller read it.
    pub hosts: String,
    /// Plans that are applied only once, by their digests.
    pub applied: BTreeMap<String, Applied>,
}

/// What one transaction writes. Later puts of the same key win.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Appended to the journal in this order.
    pub entries: Vec<Entry>,
    /// Replaces the snapshot before it.
    pub snapshot: Option<Snapshot>,
    /// What definitions run.
    pub programs: Vec<(DefinitionId, Program)>,
    /// What tasks change of their definitions' programs; `None` once the task is over.
    pub overrides: Vec<(TaskId, Option<Overrides>)>,
    /// Ends, each with the number of the record that tells of it.
    pub ends: Vec<(u64, End)>,
    /// Names of groups.
    pub groups: Vec<(GroupId, String)>,
    /// What is wanted later; `None` once it was done.
    pub agenda: Vec<(Due, Option<Wish>)>,
    /// Replaces the notes before it.
    pub notes: Option<Notes>,
}

impl Batch {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

enum Source {
    Write(Database),
    Read(ReadOnlyDatabase),
}

/// A state folder open for reading.
pub struct StoreReader {
    dir: PathBuf,
    header: Header,
    source: Source,
}

/// A state folder held by the controller. Reads as a [`StoreReader`] does.
pub struct Store {
    reader: StoreReader,
    count: u64,
}

impl std::ops::Deref for Store {
    type Target = StoreReader;

    fn deref(&self) -> &StoreReader {
        &self.reader
    }
}

/// An error of the database, with what was being done.
fn io<E: Into<redb::Error>>(action: &'static str, dir: &Path) -> impl FnOnce(E) -> StoreError {
    let dir = dir.to_owned();
    move |error| StoreError::Io { action, dir, reason: error.into().to_string() }
}

fn opening(dir: &Path) -> impl FnOnce(DatabaseError) -> StoreError {
    let dir = dir.to_owned();
    move |error| match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse { dir },
        other => io("opening", &dir)(other),
    }
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("programs, overrides, ends and headers have text keys only")
}

fn from_json<T: DeserializeOwned>(
    dir: &Path,
    what: &'static str,
    bytes: &[u8],
) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|it| StoreError::Damaged {
        dir: dir.to_owned(),
        what,
        reason: it.to_string(),
    })
}

/// The header, if it was written.
fn read_header(dir: &Path, read: &ReadTransaction) -> Result<Option<Header>, StoreError> {
    let table = match read.open_table(HEADER) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(io("reading", dir)(error)),
    };
    let Some(bytes) = table.get(()).map_err(io("reading", dir))? else { return Ok(None) };
    // The version first: the rest may look different in another one.
    let plain: serde_json::Value = from_json(dir, "the header", bytes.value())?;
    let found = plain["version"].as_u64().and_then(|it| u32::try_from(it).ok()).unwrap_or(0);
    if found != VERSION {
        return Err(StoreError::Version { dir: dir.to_owned(), found });
    }
    from_json(dir, "the header", bytes.value()).map(Some)
}

/// The path of the database, if there is one.
fn existing(dir: &Path) -> Result<PathBuf, StoreError> {
    let path = dir.join(FILE);
    if path.exists() { Ok(path) } else { Err(StoreError::Missing { dir: dir.to_owned() }) }
}

impl Store {
    /// Makes a folder for a new cluster, for its owner's eyes only: programs hold environments.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] if it holds a state, [`StoreError::InUse`] if a controller runs on it, or if
    /// it cannot be written.
    ///
    /// # Panics
    ///
    /// If the header is of another version than [`VERSION`].
    pub fn create(dir: &Path, header: Header) -> Result<Self, StoreError> {
        assert_eq!(header.version, VERSION, "a new folder has the layout of this build");
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir).map_err(io("making", dir))?;
        let database = Database::create(dir.join(FILE)).map_err(opening(dir))?;
        let read = database.begin_read().map_err(io("reading", dir))?;
        if read_header(dir, &read)?.is_some() {
            return Err(StoreError::Exists { dir: dir.to_owned() });
        }
        drop(read);
        let write = database.begin_write().map_err(io("writing to", dir))?;
        {
            let mut table = write.open_table(HEADER).map_err(io("writing to", dir))?;
            table.insert((), to_json(&header).as_slice()).map_err(io("writing to", dir))?;
        }
        // All tables are there from the start, so that a reader never has to ask.
        make_tables(&write).map_err(io("writing to", dir))?;
        write.commit().map_err(io("writing to", dir))?;
        // The file's name must survive a power cut, too.
        #[cfg(unix)]
        fs::File::open(dir).and_then(|it| it.sync_all()).map_err(io("writing to", dir))?;
        let reader = StoreReader { dir: dir.to_owned(), header, source: Source::Write(database) };
        Ok(Self { reader, count: 0 })
    }

    /// Opens a folder to go on with it, after whatever end of the controller before.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] if a controller or a reader has it open, [`StoreError::Missing`] if it holds
    /// no state, or if it cannot be read.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let database = Database::open(existing(dir)?).map_err(opening(dir))?;
        let reader = StoreReader::over(dir, Source::Write(database))?;
        let count = reader.count()?;
        Ok(Self { reader, count })
    }

    /// Writes a batch as one transaction and gives the number of the journal's last record. When it
    /// returns, all of the batch is on the disk; after an error or a crash, all or nothing of it.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn append(&mut self, batch: &Batch) -> Result<u64, StoreError> {
        let dir = &self.reader.dir;
        let Source::Write(database) = &self.reader.source else {
            unreachable!("a store is opened for writing");
        };
        let write = database.begin_write().map_err(io("writing to", dir))?;
        let count = put(&write, self.count, batch).map_err(io("writing to", dir))?;
        write.commit().map_err(io("writing to", dir))?;
        self.count = count;
        Ok(count)
    }
}

fn make_tables(write: &redb::WriteTransaction) -> Result<(), redb::Error> {
    write.open_table(JOURNAL)?;
    write.open_table(MEMORY)?;
    write.open_table(SNAPSHOT)?;
    write.open_table(PROGRAMS)?;
    write.open_table(OVERRIDES)?;
    write.open_table(ENDS)?;
    write.open_table(GROUPS)?;
    write.open_table(AGENDA)?;
    write.open_table(NOTES)?;
    Ok(())
}

/// Puts a batch behind `count` records; gives their number after it.
fn put(write: &redb::WriteTransaction, mut count: u64, batch: &Batch) -> Result<u64, redb::Error> {
    let mut journal = write.open_table(JOURNAL)?;
    let mut memory = write.open_table(MEMORY)?;
    for it in &batch.entries {
        count += 1;
        journal.insert(count, it.record.as_slice())?;
        if let Some(bytes) = &it.memory {
            memory.insert(count, bytes.as_slice())?;
        }
    }
    if let Some(it) = &batch.snapshot {
        write.open_table(SNAPSHOT)?.insert((), (it.number, it.bytes.as_slice()))?;
    }
    let mut programs = write.open_table(PROGRAMS)?;
    for (id, it) in &batch.programs {
        programs.insert(id.0, to_json(it).as_slice())?;
    }
    let mut overrides = write.open_table(OVERRIDES)?;
    for (id, it) in &batch.overrides {
        match it {
            Some(it) => drop(overrides.insert(id.0, to_json(it).as_slice())?),
            None => drop(overrides.remove(id.0)?),
        }
    }
    let mut ends = write.open_table(ENDS)?;
    for (number, it) in &batch.ends {
        ends.insert((*number, it.task.0), to_json(it).as_slice())?;
    }
    let mut groups = write.open_table(GROUPS)?;
    for (id, name) in &batch.groups {
        groups.insert(id.0, name.as_str())?;
    }
    let mut agenda = write.open_table(AGENDA)?;
    for ((at, number), it) in &batch.agenda {
        match it {
            Some(it) => drop(agenda.insert((at.0, *number), to_json(it).as_slice())?),
            None => drop(agenda.remove((at.0, *number))?),
        }
    }
    if let Some(it) = &batch.notes {
        write.open_table(NOTES)?.insert((), to_json(it).as_slice())?;
    }
    Ok(count)
}

impl StoreReader {
    /// Opens a folder for reading, while no controller runs on it. If the last one was killed, the file is
    /// repaired first, for which it must be writable.
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = existing(dir)?;
        let database = match ReadOnlyDatabase::open(&path) {
            Err(DatabaseError::RepairAborted) => {
                drop(Database::open(&path).map_err(opening(dir))?);
                ReadOnlyDatabase::open(&path)
            }
            other => other,
        };
        Self::over(dir, Source::Read(database.map_err(opening(dir))?))
    }

    fn over(dir: &Path, source: Source) -> Result<Self, StoreError> {
        let dir = dir.to_owned();
        let header = read_header(&dir, &begin(&dir, &source)?)?;
        let header = header.ok_or_else(|| StoreError::Missing { dir: dir.clone() })?;
        Ok(Self { dir, header, source })
    }

    fn begin(&self) -> Result<ReadTransaction, StoreError> {
        begin(&self.dir, &self.source)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it is the state of.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Number of records in the journal, which is the number of its last.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn count(&self) -> Result<u64, StoreError> {
        let table = self.begin()?.open_table(JOURNAL).map_err(io("reading", &self.dir))?;
        table.len().map_err(io("reading", &self.dir))
    }

    /// The journal from a number on, as it is now: what is appended later is not in it.
    ///
    /// # Errors
    ///
    /// If it cannot be read; each item, too, can be such an error.
    pub fn records(
        &self,
        from: u64,
    ) -> Result<impl Iterator<Item = Result<Numbered, StoreError>> + use<'_>, StoreError> {
        let read = self.begin()?;
        let journal = read.open_table(JOURNAL).map_err(io("reading", &self.dir))?;
        let memory = read.open_table(MEMORY).map_err(io("reading", &self.dir))?;
        let last = journal.len().map_err(io("reading", &self.dir))?;
        // By number: a hole in the journal is damage, not the end.
        Ok((from.max(1)..=last).map(move |number| {
            let record = journal.get(number).map_err(io("reading", &self.dir))?;
            let record = record.ok_or_else(|| StoreError::Damaged {
                dir: self.dir.clone(),
                what: "the journal",
                reason: format!("record {number} of {last} is missing"),
            })?;
            let memory = memory.get(number).map_err(io("reading", &self.dir))?;
            let entry = Entry {
                record: record.value().to_vec(),
                memory: memory.map(|it| it.value().to_vec()),
            };
            Ok(Numbered { number, entry })
        }))
    }

    /// The last snapshot.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn snapshot(&self) -> Result<Option<Snapshot>, StoreError> {
        let table = self.begin()?.open_table(SNAPSHOT).map_err(io("reading", &self.dir))?;
        let found = table.get(()).map_err(io("reading", &self.dir))?;
        Ok(found.map(|it| {
            let (number, bytes) = it.value();
            Snapshot { number, bytes: bytes.to_vec() }
        }))
    }

    /// All programs, by definition.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub fn programs(&self) -> Result<BTreeMap<DefinitionId, Program>, StoreError> {
        let dir = &self.dir;
        let table = self.begin()?.open_table(PROGRAMS).map_err(io("reading", dir))?;
        let rows = table.iter().map_err(io("reading", dir))?;
        rows.map(|row| {
            let (id, bytes) = row.map_err(io("reading", dir))?;
            Ok((DefinitionId(id.value()), from_json(dir, "a program", bytes.value())?))
        })
        .collect()
    }

    /// All overrides, by task.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub fn overrides(&self) -> Result<BTreeMap<TaskId, Overrides>, StoreError> {
        let dir = &self.dir;
        let table = self.begin()?.open_table(OVERRIDES).map_err(io("reading", dir))?;
        let rows = table.iter().map_err(io("reading", dir))?;
        rows.map(|row| {
            let (id, bytes) = row.map_err(io("reading", dir))?;
            Ok((TaskId(id.value()), from_json(dir, "an override", bytes.value())?))
        })
        .collect()
    }

    /// All ends with the numbers of their records, in the journal's order.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub fn ends(&self) -> Result<Vec<(u64, End)>, StoreError> {
        let dir = &self.dir;
        let table = self.begin()?.open_table(ENDS).map_err(io("reading", dir))?;
        let rows = table.iter().map_err(io("reading", dir))?;
        rows.map(|row| {
            let (key, bytes) = row.map_err(io("reading", dir))?;
            Ok((key.value().0, from_json(dir, "an end", bytes.value())?))
        })
        .collect()
    }

    /// Number of ends.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn ended(&self) -> Result<u64, StoreError> {
        let table = self.begin()?.open_table(ENDS).map_err(io("reading", &self.dir))?;
        table.len().map_err(io("reading", &self.dir))
    }

    /// Names of groups, by their ids from zero.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub fn groups(&self) -> Result<Vec<String>, StoreError> {
        let dir = &self.dir;
        let table = self.begin()?.open_table(GROUPS).map_err(io("reading", dir))?;
        let rows = table.iter().map_err(io("reading", dir))?;
        rows.map(|row| Ok(row.map_err(io("reading", dir))?.1.value().to_owned())).collect()
    }

    /// What is wanted later, in its order.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn agenda(&self) -> Result<BTreeMap<Due, Wish>, StoreError> {
        let dir = &self.dir;
        let table = self.begin()?.open_table(AGENDA).map_err(io("reading", dir))?;
        let rows = table.iter().map_err(io("reading", dir))?;
        rows.map(|row| {
            let (due, bytes) = row.map_err(io("reading", dir))?;
            let (at, number) = due.value();
            Ok(((Instant(at), number), from_json(dir, "the agenda", bytes.value())?))
        })
        .collect()
    }

    /// The notes; empty ones if none were written.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub fn notes(&self) -> Result<Notes, StoreError> {
        let dir = &self.dir;
        let table = self.begin()?.open_table(NOTES).map_err(io("reading", dir))?;
        let found = table.get(()).map_err(io("reading", dir))?;
        found.map_or(Ok(Notes::default()), |it| from_json(dir, "the notes", it.value()))
    }
}

fn begin(dir: &Path, source: &Source) -> Result<ReadTransaction, StoreError> {
    match source {
        Source::Write(it) => it.begin_read(),
        Source::Read(it) => it.begin_read(),
    }
    .map_err(io("reading", dir))
}

#[cfg(test)]
mod tests;
