//! Where things stand in a column file, and how a block of tasks becomes bytes and is looked at again.

use crate::tasks::TaskRow;
use cluster::event::{OnLoss, TaskKind};
use cluster::units::{Instant, Span};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use xxhash_rust::xxh3::xxh3_64;

/// What a column file begins with. Like PNG's: a byte that is no text, and line ends that a transfer as text would change.
pub(super) const MAGIC: [u8; 8] = *b"\x89BPC\r\n\x1a\n";

/// Changes with every change of the layout or of what the header holds.
pub(super) const VERSION: u32 = 1;

/// Tasks of a block, except the last one.
pub(super) const BLOCK_TASKS: usize = 1 << 16;

/// Blocks begin at multiples of this, columns at multiples of eight bytes.
const BLOCK_ALIGNMENT: u64 = 64;

/// The file's first bytes: what it is, and where its header stands. All numbers are little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Front {
    pub(super) version: u32,
    pub(super) header_at: u64,
    pub(super) header_bytes: u64,
    pub(super) header_digest: u64,
    pub(super) tasks: u64,
}

impl Front {
    pub(super) const BYTES: usize = 64;

    pub(super) fn bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&self.version.to_le_bytes());
        let numbers = [self.header_at, self.header_bytes, self.header_digest, self.tasks];
        for (number, to) in numbers.iter().zip(bytes[16..48].as_chunks_mut::<8>().0) {
            *to = number.to_le_bytes();
        }
        let digest = xxh3_64(&bytes[..56]);
        bytes[56..].copy_from_slice(&digest.to_le_bytes());
        bytes
    }

    /// The front, and whether its own checksum is right. `None` if this is not the beginning of a column file.
    pub(super) fn of(bytes: &[u8]) -> Option<(Self, bool)> {
        let bytes = bytes.first_chunk::<{ Self::BYTES }>()?;
        if bytes[..8] != MAGIC {
            return None;
        }
        let number = |at: usize| number(&bytes[at..at + 8]);
        let front = Self {
            version: number(8) as u32,
            header_at: number(16),
            header_bytes: number(24),
            header_digest: number(32),
            tasks: number(40),
        };
        Some((front, number(56) == xxh3_64(&bytes[..56])))
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |it| u64::from_le_bytes(*it))
}

/// Up to the next multiple of the blocks' alignment.
pub(super) fn aligned(at: u64) -> u64 {
    at.next_multiple_of(BLOCK_ALIGNMENT)
}

/// One number per task, or one for all tasks of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kept {
    Same(u64),
    Each,
}

/// The columns in the order in which they stand in a block, with the bytes of a number.
///
/// Times are microseconds; where there is none, all bits are set. The same holds for groups, residents and names.
/// `name` is where the name ends in the block's text; a block whose tasks are named by their numbers has no text.
const WIDTHS: [usize; COLUMNS] = [8, 8, 8, 8, 4, 4, 4, 4, 4, 4, 4, 1];
pub(super) const COLUMNS: usize = 12;

const AT: usize = 0;
const LIFETIME: usize = 1;
const WITHDRAWN: usize = 2;
const ESTIMATE: usize = 3;
const DEFINITION: usize = 4;
const GROUP: usize = 5;
const RESIDENT: usize = 6;
const PRIORITY: usize = 7;
const FILE: usize = 8;
const LINE: usize = 9;
const NAME: usize = 10;
const FLAGS: usize = 11;

const NO_TIME: u64 = u64::MAX;
const NONE: u64 = u32::MAX as u64;

/// A block's entry in the header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Block {
    pub(super) at: u64,
    pub(super) tasks: u32,
    pub(super) columns: [Kept; COLUMNS],
    pub(super) text_bytes: u32,
    /// xxh3 of its bytes.
    pub(super) digest: u64,
}

impl Block {
    /// Where each column stands in the block, and the text behind them.
    fn ranges(&self) -> ([Range<usize>; COLUMNS], Range<usize>) {
        let mut at = 0;
        let columns = std::array::from_fn(|column| {
            let start = at;
            if self.columns[column] == Kept::Each {
                at += WIDTHS[column] * self.tasks as usize;
            }
            let end = at;
            at = at.next_multiple_of(8);
            start..end
        });
        (columns, at..at + self.text_bytes as usize)
    }

    /// Its length in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.ranges().1.end
    }

    /// Looks at the block in its bytes, which must be [`Block::bytes`] many. Nothing is copied.
    pub(super) fn view<'a>(&self, bytes: &'a [u8]) -> View<'a> {
        let (ranges, text) = self.ranges();
        let wide = |column: usize| match self.columns[column] {
            Kept::Same(number) => Wide::Same(number),
            Kept::Each => Wide::Each(bytes[ranges[column].clone()].as_chunks().0),
        };
        let narrow = |column: usize| match self.columns[column] {
            Kept::Same(number) => Narrow::Same(number as u32),
            Kept::Each => Narrow::Each(bytes[ranges[column].clone()].as_chunks().0),
        };
        View {
            tasks: self.tasks as usize,
            at: wide(AT),
            lifetime: wide(LIFETIME),
            withdrawn: wide(WITHDRAWN),
            estimate: wide(ESTIMATE),
            definition: narrow(DEFINITION),
            group: narrow(GROUP),
            resident: narrow(RESIDENT),
            priority: narrow(PRIORITY),
            file: narrow(FILE),
            line: narrow(LINE),
            name: narrow(NAME),
            flags: match self.columns[FLAGS] {
                Kept::Same(number) => Flags::Same(number as u8),
                Kept::Each => Flags::Each(&bytes[ranges[FLAGS].clone()]),
            },
            text: &bytes[text],
        }
    }
}

/// A column of eight bytes a task.
#[derive(Debug, Clone, Copy)]
enum Wide<'a> {
    Same(u64),
    Each(&'a [[u8; 8]]),
}

/// A column of four.
#[derive(Debug, Clone, Copy)]
enum Narrow<'a> {
    Same(u32),
    Each(&'a [[u8; 4]]),
}

/// A column of one.
#[derive(Debug, Clone, Copy)]
enum Flags<'a> {
    Same(u8),
    Each(&'a [u8]),
}

impl Wide<'_> {
    #[inline(always)]
    fn get(&self, row: usize) -> u64 {
        match self {
            Self::Same(number) => *number,
            Self::Each(numbers) => u64::from_le_bytes(numbers[row]),
        }
    }
}

impl Narrow<'_> {
    #[inline(always)]
    fn get(&self, row: usize) -> u32 {
        match self {
            Self::Same(number) => *number,
            Self::Each(numbers) => u32::from_le_bytes(numbers[row]),
        }
    }
}

impl Flags<'_> {
    #[inline(always)]
    fn get(&self, row: usize) -> u8 {
        match self {
            Self::Same(number) => *number,
            Self::Each(numbers) => numbers[row],
        }
    }
}

/// A block of tasks as it stands in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) tasks: usize,
    at: Wide<'a>,
    lifetime: Wide<'a>,
    withdrawn: Wide<'a>,
    estimate: Wide<'a>,
    definition: Narrow<'a>,
    group: Narrow<'a>,
    resident: Narrow<'a>,
    priority: Narrow<'a>,
    file: Narrow<'a>,
    line: Narrow<'a>,
    name: Narrow<'a>,
    flags: Flags<'a>,
    text: &'a [u8],
}

/// What the numbers of tasks point into; all of them must be below these.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) groups: u32,
    pub(super) residents: u32,
}

impl<'a> View<'a> {
    /// A task of the block. Its `name` is left at 0: see [`View::name`].
    #[inline(always)]
    pub(super) fn row(&self, row: usize) -> TaskRow {
        let time = |it: u64| (it != NO_TIME).then_some(it);
        let some = |it: u32| (u64::from(it) != NONE).then_some(it);
        let flags = self.flags.get(row);
        TaskRow {
            at: Instant(self.at.get(row)),
            lifetime: time(self.lifetime.get(row)).map(Span),
            withdrawn: time(self.withdrawn.get(row)).map(Instant),
            estimate: time(self.estimate.get(row)).map(Span),
            definition: self.definition.get(row),
            group: some(self.group.get(row)),
            resident: some(self.resident.get(row)),
            priority: self.priority.get(row) as i32,
            kind: if flags & SERVICE == 0 { TaskKind::Job } else { TaskKind::Service },
            on_loss: if flags & END == 0 { OnLoss::Restart } else { OnLoss::End },
            name: 0,
            file: self.file.get(row),
            line: self.line.get(row),
        }
    }

    /// A task's name; `None` if it is named by its number.
    pub(super) fn name(&self, row: usize) -> Option<&'a str> {
        let end = self.name.get(row);
        if u64::from(end) == NONE {
            return None;
        }
        let start = if row == 0 { 0 } else { self.name.get(row - 1) };
        let text = self.text.get(start as usize..end as usize)?;
        std::str::from_utf8(text).ok()
    }

    /// The last task that is resident somewhere.
    pub(super) fn last_resident(&self) -> Option<usize> {
        let is_resident = |row: &usize| u64::from(self.resident.get(*row)) != NONE;
        match self.resident {
            Narrow::Same(it) => (u64::from(it) != NONE).then(|| self.tasks - 1),
            Narrow::Each(_) => (0..self.tasks).rev().find(is_resident),
        }
    }

    /// What is wrong with the numbers of the block, if anything is. `before` is the last arrival before it,
    /// `definitions` how many definitions tasks before it name; both are moved on.
    pub(super) fn check(
        &self,
        bounds: Bounds,
        before: &mut u64,
        definitions: &mut u32,
    ) -> Result<(), &'static str> {
        let mut end = 0;
        let by_number = matches!(self.name, Narrow::Same(it) if u64::from(it) == NONE);
        for row in 0..self.tasks {
            let (at, definition) = (self.at.get(row), self.definition.get(row));
            if at < *before {
                return Err("its tasks are not in the order of time");
            }
            *before = at;
            if definition > *definitions {
                return Err("a task names a definition that is not there yet");
            }
            *definitions += u32::from(definition == *definitions);
            let (group, resident) = (self.group.get(row), self.resident.get(row));
            if u64::from(group) != NONE && group >= bounds.groups {
                return Err("a task names a group that is not there");
            }
            if u64::from(resident) != NONE && resident >= bounds.residents {
                return Err("a task stands on a node that is not there");
            }
            if self.flags.get(row) & !(SERVICE | END) != 0 {
                return Err("a task has flags that nobody knows");
            }
            if !by_number {
                let next = self.name.get(row);
                if next < end || next as usize > self.text.len() {
                    return Err("its names overlap");
                }
                end = next;
            }
        }
        // No name begins within a character.
        let text = std::str::from_utf8(self.text).map_err(|_| "its names are no text")?;
        let is_cut = |row: usize| !text.is_char_boundary(self.name.get(row) as usize);
        if !by_number && !text.is_ascii() && (0..self.tasks).any(is_cut) {
            return Err("its names are no text");
        }
        Ok(())
    }
}

const SERVICE: u8 = 1;
const END: u8 = 2;

/// A block in the making.
#[derive(Debug, Default)]
pub(super) struct Making {
    rows: Vec<TaskRow>,
    /// Where each name ends in the text; empty if tasks are named by their numbers.
    ends: Vec<u32>,
    text: String,
    /// Used again for every block.
    bytes: Vec<u8>,
}

impl Making {
    pub(super) fn tasks(&self) -> usize {
        self.rows.len()
    }

    /// Appends a task, with its name unless that is its number; either all or none of a block have names.
    pub(super) fn push(&mut self, row: TaskRow, name: Option<&str>) {
        self.rows.push(row);
        if let Some(name) = name {
            self.text.push_str(name);
            self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX - 1));
        }
    }

    /// The block that begins there in the file, and its bytes. Empties itself.
    pub(super) fn finish(&mut self, at: u64) -> (Block, &[u8]) {
        let (rows, ends, bytes) = (&self.rows, &self.ends, &mut self.bytes);
        bytes.clear();
        let time = |it: Option<u64>| it.unwrap_or(NO_TIME);
        let some = |it: Option<u32>| it.map_or(NONE, u64::from);
        let columns = std::array::from_fn(|column| {
            let value = |row: usize| {
                let task = &rows[row];
                match column {
                    AT => task.at.0,
                    LIFETIME => time(task.lifetime.map(|it| it.0)),
                    WITHDRAWN => time(task.withdrawn.map(|it| it.0)),
                    ESTIMATE => time(task.estimate.map(|it| it.0)),
                    DEFINITION => u64::from(task.definition),
                    GROUP => some(task.group),
                    RESIDENT => some(task.resident),
                    PRIORITY => u64::from(task.priority as u32),
                    FILE => u64::from(task.file),
                    LINE => u64::from(task.line),
                    NAME => ends.get(row).map_or(NONE, |it| u64::from(*it)),
                    _ => u64::from(flags(task)),
                }
            };
            let first = value(0);
            if column != NAME && (1..rows.len()).all(|row| value(row) == first) {
                return Kept::Same(first);
            }
            if column == NAME && ends.is_empty() {
                return Kept::Same(NONE);
            }
            for row in 0..rows.len() {
                bytes.extend_from_slice(&value(row).to_le_bytes()[..WIDTHS[column]]);
            }
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            Kept::Each
        });
        bytes.extend_from_slice(self.text.as_bytes());
        let block = Block {
            at,
            tasks: rows.len() as u32,
            columns,
            text_bytes: self.text.len() as u32,
            digest: xxh3_64(bytes),
        };
        self.rows.clear();
        self.ends.clear();
        self.text.clear();
        (block, &self.bytes)
    }
}

fn flags(task: &TaskRow) -> u8 {
    let service = if task.kind == TaskKind::Service { SERVICE } else { 0 };
    let end = if task.on_loss == OnLoss::End { END } else { 0 };
    service | end
}
