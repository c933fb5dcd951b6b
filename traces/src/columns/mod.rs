//! Column files: a workload as it was read, to be looked at where it lies on the disk.
//!
//! `bayplan trace convert TRACE --out FILE.bpc` writes one; wherever a trace may be named, the file may. It is mapped into memory, not
//! read: opening checks every byte once, going through the tasks copies none but the one at hand.
//!
//! # Layout
//!
//! | where | what |
//! |---|---|
//! | first 64 bytes | magic, version, where the header stands, its length and checksum, number of tasks, checksum of these bytes |
//! | blocks | 65,536 tasks each, the last one fewer; one column after the other, then the names as one text |
//! | header | definitions, groups, nodes and what happens to them, what the card counts, what the file was made of, and for each block where it stands, which columns hold one number for all, and its checksum |
//!
//! Numbers are little-endian and need no alignment. Checksums are xxh3, 64 bits. The header is postcard.
//! Its fields follow the version: another version of Bayplan that changes them refuses the file, and the trace is converted again.

mod layout;
mod write;

use crate::card::{Card, Count, Refusals, Units};
use crate::error::TraceError;
use crate::format::Format;
use crate::stats::TaskStats;
use crate::tasks::{TaskRow, Tasks};
use crate::workload::{Frame, Workload};
use crate::zones::{Zones, ZonesBy};
use cluster::event::{Event, NodeEvent};
use cluster::ids::TaskId;
use cluster::units::Instant;
use layout::{BLOCK_TASKS, Block, Bounds, Front, MAGIC, VERSION, View};
use memmap2::Mmap;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
pub use write::{Converted, Step, Watch, convert, part_folder};
pub(crate) use write::{Keep, input};
use xxhash_rust::xxh3::xxh3_64;

/// The format.
pub const FORMAT: Format = Format {
    name: "columns",
    summary: "a trace as `bayplan trace convert` keeps it: mapped into memory, not read",
    source: "Bayplan",
    options: &[],
    guide: "\
One binary file, made by `bayplan trace convert TRACE --out FILE.bpc` from a trace of any format, with what
its options made of it. It opens at once, brings tens of millions of tasks a second, and takes no memory
that grows with them. It is told by its first bytes. Options that change tasks (limit, until, scale, fill,
shuffle) read it into memory.",
    recognise: |_| None,
    uses: |request| request.all(),
    read: |request, _| Err(foreign(request.path)),
};

/// What the file holds besides tasks.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    origin: Origin,
    card: KeptCard,
    zones: Option<(u16, Option<String>)>,
    frame: Frame,
    /// Groups are named, or numbered below this.
    groups: u32,
    stats: TaskStats,
    blocks: Vec<Block>,
}

/// What a column file was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The trace as it was named, options included.
    pub source: String,
    /// Its format.
    pub format: String,
    /// What else was asked for: the options of the command.
    pub options: Vec<String>,
    /// The files that were read.
    pub inputs: Vec<Input>,
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Its path, as it was opened.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// xxh3 of its bytes, 128 bits.
    pub digest: u128,
}

/// What of a card is not measured.
#[derive(Debug, Serialize, Deserialize)]
struct KeptCard {
    units: Units,
    rows_read: u64,
    refusals: Refusals,
    counts: Vec<Count>,
    assumptions: Vec<String>,
    zones: Option<String>,
    suggested_overcommit: Option<[u32; 3]>,
}

impl KeptCard {
    fn of(card: &Card) -> Self {
        Self {
            units: card.units,
            rows_read: card.rows_read,
            refusals: card.refusals.clone(),
            counts: card.counts.clone(),
            assumptions: card.assumptions.clone(),
            zones: card.zones.clone(),
            suggested_overcommit: card.suggested_overcommit,
        }
    }

    fn card(self, source: &str) -> Card {
        let mut card = Card::new(source, FORMAT.name);
        card.units = self.units;
        card.rows_read = self.rows_read;
        card.refusals = self.refusals;
        card.counts = self.counts;
        card.assumptions = self.assumptions;
        card.zones = self.zones;
        card.suggested_overcommit = self.suggested_overcommit;
        card
    }
}

/// Whether the file begins like a column file.
pub(crate) fn is_one(path: &Path) -> bool {
    let mut start = [0; MAGIC.len()];
    File::open(path).and_then(|mut it| it.read_exact(&mut start)).is_ok() && start == MAGIC
}

fn bad(path: &str, reason: impl Into<String>) -> TraceError {
    TraceError::ColumnFile { path: path.into(), reason: reason.into() }
}

fn foreign(path: &str) -> TraceError {
    bad(path, "does not begin like a column file")
}

/// Opens a column file and checks all of it. `source` is what the card calls it.
pub(crate) fn open(path: &str, source: &str) -> Result<Workload, TraceError> {
    let unreadable = |error: std::io::Error| TraceError::Unreadable {
        path: path.into(),
        reason: error.to_string(),
    };
    let file = File::open(path).map_err(unreadable)?;
    // SAFETY: column files are renamed into place when they are whole, and never written to afterwards. Whoever
    // writes to one all the same changes numbers under our feet: slices and texts are checked at each use, so that
    // this ends in a wrong number or a panic. A file that is cut while it is mapped ends the process.
    #[expect(unsafe_code, reason = "a mapped file can be changed by others; see above")]
    let map = unsafe { Mmap::map(&file) }.map_err(unreadable)?;
    let (header, columns) = check(path, map)?;
    let Header { origin, card, zones, frame, .. } = header;
    let mut card = card.card(source);
    card.assume(format!("read from a column file made of {} ({})", origin.source, origin.format));
    let mut workload = Workload::framed(card, frame, Tasks::Columns(columns));
    workload.set_zones(
        zones
            .map(|(count, label)| Zones { count, by: label.map_or(ZonesBy::Hash, ZonesBy::Label) }),
    );
    Ok(workload)
}

/// The header and the blocks of a mapped file, if everything in it is as it was written and makes sense.
fn check(path: &str, map: Mmap) -> Result<(Header, Columns), TraceError> {
    let (front, is_whole) = match Front::of(&map) {
        Some(it) => it,
        None if map.starts_with(&MAGIC) => return Err(bad(path, cut(map.len() as u64, None))),
        None => return Err(foreign(path)),
    };
    if front.version != VERSION {
        let version = front.version;
        let reason =
            format!("has version {version} of the layout, this Bayplan reads version {VERSION}");
        return Err(bad(path, reason));
    }
    if !is_whole {
        return Err(bad(path, "is damaged in its first 64 bytes: their checksum differs"));
    }
    let end = front.header_at.checked_add(front.header_bytes);
    let length = map.len() as u64;
    let Some(end) = end.filter(|it| *it <= length) else {
        return Err(bad(path, cut(length, end)));
    };
    if end < length {
        let more = length - end;
        return Err(bad(path, format!("has {more} bytes behind its end")));
    }
    let bytes = &map[front.header_at as usize..end as usize];
    if xxh3_64(bytes) != front.header_digest {
        return Err(bad(path, "is damaged in its header: its checksum differs"));
    }
    let header: Header = postcard::from_bytes(bytes)
        .map_err(|error| bad(path, format!("has a header that cannot be understood: {error}")))?;
    check_frame(&header).map_err(|reason| bad(path, reason))?;
    let residents_end = check_blocks(&header, &front, &map).map_err(|it| bad(path, it))?;
    let columns = Columns(Arc::new(Mapped {
        map,
        blocks: header.blocks.clone(),
        tasks: front.tasks as usize,
        groups: header.groups,
        residents_end,
        stats: header.stats.clone(),
    }));
    Ok((header, columns))
}

fn cut(length: u64, wanted: Option<u64>) -> String {
    match wanted {
        Some(wanted) => format!("is cut: it has {length} bytes of {wanted}"),
        None => format!("is cut: it has {length} bytes"),
    }
}

/// What the code takes for granted of what stands beside tasks.
fn check_frame(header: &Header) -> Result<(), &'static str> {
    let frame = &header.frame;
    if header.stats.uses.len() != frame.definitions.len() {
        return Err("counts other definitions than it has");
    }
    if !frame.groups.is_empty() && frame.groups.len() as u64 != u64::from(header.groups) {
        return Err("names other groups than it has");
    }
    if frame.groups.is_empty() && u64::from(header.groups) > header.stats.tasks {
        return Err("numbers more groups than there can be");
    }
    let mut joined = 0;
    let mut before = Instant::ZERO;
    for (at, node, event) in &frame.timeline {
        let is_next = node.row() == joined && matches!(event, NodeEvent::Joined(_));
        if *at < before || !(is_next || node.row() < joined) {
            return Err("has node events that are out of order");
        }
        joined += usize::from(is_next);
        before = *at;
    }
    let mut before = Instant::ZERO;
    for (at, event) in &frame.told {
        if *at < before || !matches!(event, Event::BudgetPut(_)) {
            return Err("has budgets that are out of order");
        }
        before = *at;
    }
    Ok(())
}

/// Checks every block, and returns behind which task none is resident any more.
fn check_blocks(header: &Header, front: &Front, map: &[u8]) -> Result<usize, String> {
    let bounds = Bounds { groups: header.groups, residents: header.frame.residents.len() as u32 };
    let (mut tasks, mut before, mut definitions, mut residents_end) = (0u64, 0, 0, 0);
    for (number, block) in header.blocks.iter().enumerate() {
        let is_last = number + 1 == header.blocks.len();
        let is_full = block.tasks as usize == BLOCK_TASKS;
        if block.tasks == 0 || block.tasks as usize > BLOCK_TASKS || !(is_full || is_last) {
            return Err(format!("has a block of {} tasks", block.tasks));
        }
        let what = || {
            let last = tasks + u64::from(block.tasks) - 1;
            format!("block {} (tasks {tasks} to {last})", number + 1)
        };
        let end = block.at.checked_add(block.bytes() as u64).filter(|it| *it <= front.header_at);
        let (Some(end), true) = (end, block.at >= Front::BYTES as u64) else {
            return Err(format!("has no room for {}", what()));
        };
        let bytes = &map[block.at as usize..end as usize];
        if xxh3_64(bytes) != block.digest {
            return Err(format!("is damaged in {}: its checksum differs", what()));
        }
        let view = block.view(bytes);
        view.check(bounds, &mut before, &mut definitions)
            .map_err(|it| format!("makes no sense in {}: {it}", what()))?;
        if let Some(row) = view.last_resident() {
            residents_end = tasks as usize + row + 1;
        }
        tasks += u64::from(block.tasks);
    }
    if tasks != front.tasks {
        return Err(format!("has {tasks} tasks of {}", front.tasks));
    }
    if tasks != header.stats.tasks {
        return Err("counts other tasks than it has".to_owned());
    }
    if definitions as usize != header.frame.definitions.len() {
        return Err("has definitions that no task names".to_owned());
    }
    Ok(residents_end)
}

/// The tasks of a column file that is mapped into memory.
#[derive(Debug, Clone)]
pub(crate) struct Columns(Arc<Mapped>);

#[derive(Debug)]
struct Mapped {
    map: Mmap,
    blocks: Vec<Block>,
    tasks: usize,
    groups: u32,
    residents_end: usize,
    stats: TaskStats,
}

impl Columns {
    pub(crate) fn len(&self) -> usize {
        self.0.tasks
    }

    /// Groups are named, or numbered below this.
    pub(crate) fn groups(&self) -> u32 {
        self.0.groups
    }

    /// Behind which task none is resident any more.
    pub(crate) fn residents_end(&self) -> usize {
        self.0.residents_end
    }

    pub(crate) fn stats(&self) -> TaskStats {
        self.0.stats.clone()
    }

    /// One after the other.
    pub(crate) fn rows(&self) -> Rows<'_> {
        Rows { columns: &self.0, next: 0, view: self.view(0), at: 0 }
    }

    pub(crate) fn get(&self, task: TaskId) -> TaskRow {
        let view = self.view(task.0 as usize / BLOCK_TASKS).expect("there is this task");
        TaskRow { name: task.0 as u32, ..view.row(task.0 as usize % BLOCK_TASKS) }
    }

    pub(crate) fn name(&self, task: TaskId) -> Option<&str> {
        let view = self.view(task.0 as usize / BLOCK_TASKS).expect("there is this task");
        view.name(task.0 as usize % BLOCK_TASKS)
    }

    fn view(&self, block: usize) -> Option<View<'_>> {
        self.0.view(block)
    }
}

impl Mapped {
    fn view(&self, block: usize) -> Option<View<'_>> {
        let block = self.blocks.get(block)?;
        let start = block.at as usize;
        Some(block.view(&self.map[start..start + block.bytes()]))
    }
}

/// Goes through the tasks of a column file.
#[derive(Debug, Clone)]
pub(crate) struct Rows<'a> {
    columns: &'a Mapped,
    /// The number of the next block.
    next: usize,
    view: Option<View<'a>>,
    at: usize,
}

impl Iterator for Rows<'_> {
    type Item = TaskRow;

    #[inline]
    fn next(&mut self) -> Option<TaskRow> {
        let view = self.view.as_ref()?;
        let row = view.row(self.at);
        self.at += 1;
        if self.at == view.tasks {
            self.next += 1;
            self.at = 0;
            self.view = self.columns.view(self.next);
        }
        Some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{ReadOptions, Source, read};
    use proptest::prelude::*;
    use std::sync::OnceLock;

    /// A column file of some tasks with names, groups, residents and churn, and one of tasks that are named by their numbers.
    fn files() -> &'static [Vec<u8>; 2] {
        static FILES: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
        FILES.get_or_init(|| {
            let google = format!("{}/fixtures/google-2011", env!("CARGO_MANIFEST_DIR"));
            [google.as_str(), "builtin:small?tasks=200"].map(|source| {
                let folder = tempfile::tempdir().unwrap();
                let out = folder.path().join("t.bpc");
                let watch = Watch { is_stopped: &|| false, says: &|_| {} };
                let source = Source::parse(source).unwrap();
                convert(&source, &ReadOptions::default(), &out, &watch).unwrap();
                std::fs::read(out).unwrap()
            })
        })
    }

    /// Whatever there is in the file is looked at.
    fn look(bytes: &[u8]) -> Result<u64, TraceError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.bpc").display().to_string();
        std::fs::write(&path, bytes).unwrap();
        let source = Source::parse(&format!("columns:{path}")).unwrap();
        let mut workload = read(&source, &ReadOptions::default())?;
        let mut sum = workload.stream().count() as u64;
        for id in (0..workload.task_count() as u64).map(TaskId) {
            sum += workload.name(id).len() as u64 + workload.arrives(id).0 % 2;
            sum += workload.place(id).line;
            if let Some(group) = workload.task(id).submission.group {
                sum += workload.group_name(group).len() as u64;
            }
        }
        sum += workload.card.to_string().len() as u64;
        workload.edit(|parts| sum += parts.tasks.len() as u64);
        workload.set_cluster(Vec::new())?;
        Ok(sum)
    }

    /// The file with other contents and checksums that fit.
    fn forged(file: &[u8], change: impl FnOnce(&mut Header, &mut [u8])) -> Vec<u8> {
        let (mut front, _) = Front::of(file).unwrap();
        let (start, end) = (front.header_at as usize, file.len());
        let mut header: Header = postcard::from_bytes(&file[start..end]).unwrap();
        let mut bytes = file[..start].to_vec();
        change(&mut header, &mut bytes);
        for block in &mut header.blocks {
            let range = block.at as usize..(block.at as usize).saturating_add(block.bytes());
            block.digest = bytes.get(range).map_or(0, xxh3_64);
        }
        let header = postcard::to_stdvec(&header).unwrap();
        front.header_bytes = header.len() as u64;
        front.header_digest = xxh3_64(&header);
        bytes[..Front::BYTES].copy_from_slice(&front.bytes());
        [bytes, header].concat()
    }

    #[track_caller]
    fn refused(bytes: &[u8], want: &str) {
        let error = look(bytes).unwrap_err();
        let text = format!("{error}; {}", error.help());
        assert!(text.contains(want), "{want:?} is not in {text:?}");
        assert!(text.contains("bayplan trace convert"), "{text}");
    }

    #[test]
    fn damage_is_told_with_its_place_and_a_way_out() {
        let [file, _] = files();
        look(file).unwrap();
        refused(b"a,b\n1,2\n", "does not begin like a column file");
        refused(&file[..40], "is cut: it has 40 bytes");
        refused(&file[..file.len() - 1], "is cut: it has");
        refused(&[&file[..], b"more"].concat(), "has 4 bytes behind its end");
        let mut other = file.clone();
        other[8] = 99;
        refused(&other, "has version 99 of the layout, this Bayplan reads version 1");
        let mut other = file.clone();
        other[20] ^= 1;
        refused(&other, "in its first 64 bytes");
        let mut other = file.clone();
        other[Front::BYTES + 3] ^= 1;
        refused(&other, "is damaged in block 1 (tasks 0 to");
        let mut other = file.clone();
        *other.last_mut().unwrap() ^= 1;
        refused(&other, "is damaged in its header");
    }

    #[test]
    fn what_makes_no_sense_is_refused_though_checksums_fit() {
        let [file, numbered] = files();
        refused(&forged(file, |it, _| it.blocks[0].at = 0), "has no room for block 1");
        refused(&forged(file, |it, _| it.blocks[0].at = u64::MAX), "has no room for block 1");
        refused(&forged(file, |it, _| it.blocks[0].tasks = 0), "has a block of 0 tasks");
        refused(&forged(file, |it, _| it.blocks[0].tasks = u32::MAX), "has a block of");
        refused(&forged(file, |it, _| it.blocks[0].text_bytes = u32::MAX), "has no room");
        refused(&forged(file, |it, _| it.blocks.clear()), "has 0 tasks of");
        refused(&forged(file, |it, _| drop(it.frame.definitions.pop())), "other definitions");
        refused(&forged(file, |it, _| it.frame.residents.clear()), "a node that is not there");
        refused(&forged(file, |it, _| it.frame.timeline.reverse()), "out of order");
        refused(&forged(numbered, |it, _| it.groups = 1), "a group that is not there");
        refused(&forged(numbered, |it, _| it.groups = u32::MAX), "more groups than there can be");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_damage_ends_the_process(
            which in 0..2usize, flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut in any::<prop::sample::Index>(),
        ) {
            let mut file = files()[which].clone();
            let whole = look(&file);
            for (at, bits) in &flips {
                let at = at.index(file.len());
                file[at] ^= bits;
            }
            // What differs is seen, unless it stands between blocks.
            let seen = look(&file);
            prop_assert!(seen.is_err() || seen == whole);
            file.truncate(cut.index(file.len()));
            prop_assert!(look(&file).is_err());
        }

        #[test]
        fn no_forgery_ends_the_process(
            which in 0..2usize, flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            column in 0..12usize, number: u64, head in any::<prop::sample::Index>(),
        ) {
            let file = &files()[which];
            let _ = look(&forged(file, |_, bytes| for (at, bits) in &flips {
                let at = Front::BYTES + at.index(bytes.len() - Front::BYTES);
                bytes[at] ^= bits;
            }));
            let _ = look(&forged(file, |it, _| it.blocks[0].columns[column] = layout::Kept::Same(number)));
            let _ = look(&forged(file, |it, _| it.blocks[0].columns[column] = layout::Kept::Each));
            // A header of other bytes, whose checksum fits.
            let mut other = file.clone();
            let (mut front, _) = Front::of(&other).unwrap();
            let start = front.header_at as usize;
            let at = start + head.index(other.len() - start);
            other[at] = other[at].wrapping_add(number as u8);
            front.header_digest = xxh3_64(&other[start..]);
            other[..Front::BYTES].copy_from_slice(&front.bytes());
            let _ = look(&other);
        }
    }
}
