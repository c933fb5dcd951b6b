//! The rows of `task_events`, read from bytes.
//!
//! Almost all rows are written the same way: numbers without signs, blanks or exponents, texts without quotes. Those
//! are read where they stand ([`TaskEvent::read_plain`]). Any other row goes the way of all formats ([`TaskEvent::read`]), which also knows what
//! is wrong with it. So the quick way never decides that a row is bad, only that it is not its own.

use super::{AFTER, TASK_COLUMNS, WHOLE, kept, read_time, share};
use crate::blocks::Blocks;
use crate::columns::{self, Keep};
use crate::error::TraceError;
use crate::limits;
use crate::text::{Cell, Line};
use cluster::units::Instant;
use std::path::Path;

pub(super) const SUBMIT: u8 = 0;
pub(super) const SCHEDULE: u8 = 1;
pub(super) const EVICT: u8 = 2;
pub(super) const LOST: u8 = 6;

/// The name of each event, by its code.
pub(super) const EVENTS: [&str; 9] = [
    "SUBMIT",
    "SCHEDULE",
    "EVICT",
    "FAIL",
    "FINISH",
    "KILL",
    "LOST",
    "UPDATE_PENDING",
    "UPDATE_RUNNING",
];

/// A row's columns that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskEvent<'a> {
    /// When.
    pub at: Instant,
    /// The job's id.
    pub job: u64,
    /// The task's number in its job.
    pub index: u32,
    /// The machine that the task stood on when the trace began; empty in all other rows.
    pub machine: &'a str,
    /// From 0 (SUBMIT) to 8.
    pub code: u8,
    /// From 0 to 11, as far as is known.
    pub priority: u8,
    /// Cpu and memory, in millionths of the largest machine's.
    pub request: Option<[u64; 2]>,
    /// Whether tasks of the job want machines of their own.
    pub apart: bool,
    /// The number of its line.
    pub line: u64,
}

impl<'a> TaskEvent<'a> {
    /// Reads a row of any kind.
    fn read(line: &Line<'a>, cells: &[Cell<'a>], last: &mut u64) -> Result<Self, TraceError> {
        if cells.len() != TASK_COLUMNS {
            return Err(line.columns("google-2011 task_events", cells.len(), TASK_COLUMNS));
        }
        let code: u8 = line.small(cells[5], "event type", "an event from 0 to 8")?;
        if usize::from(code) >= EVENTS.len() {
            return Err(line.bad(cells[5], "event type", "an event from 0 to 8"));
        }
        let amount = |cell: Cell<'_>, field| match cell.text {
            "" => Ok(0),
            _ => share(line, cell, field),
        };
        let request = match (cells[9].text, cells[10].text) {
            ("", "") => None,
            _ => Some([amount(cells[9], "CPU request")?, amount(cells[10], "memory request")?]),
        };
        let at = read_time(line, cells[0], last)?;
        Ok(Self {
            at,
            job: line.whole(cells[2], "job ID")?,
            index: line.small(cells[3], "task index", "a whole number below 2^32")?,
            machine: if is_placed(code, at) { cells[4].text } else { "" },
            code,
            priority: line.small(cells[8], "priority", "a priority from 0 to 255")?,
            request,
            apart: cells[12].text == "1",
            line: line.number,
        })
    }

    /// Reads a row of the usual kind that begins at `at`, and returns where the next one does. The bytes must be plain
    /// text. `None` if it is of another kind, or near the end; nothing is said of it then.
    #[inline]
    fn read_plain(bytes: &'a [u8], at: usize, line: u64, last: u64) -> Option<(Self, usize)> {
        let mut row = Cursor { bytes, at };
        let time = row.whole()?;
        if time < last || (time > limits::TIME.most && time != AFTER) {
            return None;
        }
        let time = Instant(time);
        row.pass()?;
        let job = row.whole()?;
        let index = u32::try_from(row.whole()?).ok()?;
        let start = row.at;
        if bytes.get(row.at) == Some(&b',') {
            row.at += 1;
        } else {
            row.whole()?;
        }
        let end = row.at - 1;
        let code = row.digit()?;
        if usize::from(code) >= EVENTS.len() {
            return None;
        }
        row.pass_hash()?;
        row.pass()?;
        let priority = u8::try_from(row.whole()?).ok()?;
        let request = match (row.share()?, row.share()?) {
            (None, None) => None,
            (cpu, memory) => Some([cpu.unwrap_or(0), memory.unwrap_or(0)]),
        };
        row.pass()?;
        let (apart, ending) = match bytes.get(row.at..)? {
            [it @ (b'0' | b'1'), ending @ ..] => (*it == b'1', ending),
            ending => (false, ending),
        };
        let next = match ending {
            [b'\n', rest @ ..] | [b'\r', b'\n', rest @ ..] => bytes.len() - rest.len(),
            _ => return None,
        };
        let machine = match is_placed(code, time) {
            true => std::str::from_utf8(&bytes[start..end]).ok()?,
            false => "",
        };
        Some((Self { at: time, job, index, machine, code, priority, request, apart, line }, next))
    }
}

/// Whether the row says where a task stood when the trace began: of other rows, the machine does not matter.
fn is_placed(code: u8, at: Instant) -> bool {
    code == SCHEDULE && at == Instant::ZERO
}

/// A place in a plain text, at the front of a cell. Every step takes a cell and its comma, or gives up.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    /// The eight bytes from here on, the first one lowest.
    #[inline(always)]
    fn word(&self) -> Option<u64> {
        let eight = self.bytes.get(self.at..)?.first_chunk::<8>()?;
        Some(u64::from_le_bytes(*eight))
    }

    /// A cell that does not matter.
    #[inline(always)]
    fn pass(&mut self) -> Option<()> {
        let mut word = self.word()?;
        loop {
            let commas = marks(word, b',');
            let before = commas.wrapping_sub(1) & !commas;
            if marks(word, b'\n') & before != 0 {
                return None;
            }
            if commas != 0 {
                self.at += (commas.trailing_zeros() / 8) as usize + 1;
                return Some(());
            }
            self.at += 8;
            word = self.word()?;
        }
    }

    /// A cell that does not matter and is likely a hash of 44 characters.
    #[inline(always)]
    fn pass_hash(&mut self) -> Option<()> {
        let ends =
            |bytes: &[u8]| bytes.iter().fold(false, |any, it| any | (*it == b',') | (*it == b'\n'));
        if let Some(cell) = self.bytes.get(self.at..).and_then(|it| it.first_chunk::<45>())
            && cell[44] == b','
            && !ends(&cell[..32])
            && !ends(&cell[12..44])
        {
            self.at += 45;
            return Some(());
        }
        self.pass()
    }

    /// A cell of one digit.
    #[inline(always)]
    fn digit(&mut self) -> Option<u8> {
        let [digit @ b'0'..=b'9', b',', ..] = self.bytes.get(self.at..)? else { return None };
        self.at += 2;
        Some(digit - b'0')
    }

    /// A whole number of at most 19 digits: less than 2^64.
    #[inline(always)]
    fn whole(&mut self) -> Option<u64> {
        let Digits { mut number, count, behind } = Digits::of(self.word()?);
        self.at += count;
        match (count, behind) {
            (1..8, b',') => {
                self.at += 1;
                return Some(number);
            }
            (8, _) => {}
            _ => return None,
        }
        let mut all = 8;
        loop {
            let more = Digits::of(self.word()?);
            all += more.count;
            if all > 19 {
                return None;
            }
            number = number * POWERS[more.count] + more.number;
            self.at += more.count;
            match (more.count, more.behind) {
                (8, _) => {}
                (_, b',') => break,
                _ => return None,
            }
        }
        self.at += 1;
        Some(number)
    }

    /// A share from 0 to 1 in millionths, rounded up; blank for none.
    #[inline(always)]
    fn share(&mut self) -> Option<Option<u64>> {
        let word = self.word()?;
        let first = match word as u8 {
            b',' => {
                self.at += 1;
                return Some(None);
            }
            first @ (b'0' | b'1') => u64::from(first - b'0') * WHOLE,
            _ => return None,
        };
        match (word >> 8) as u8 {
            b',' => {
                self.at += 2;
                return Some(Some(first));
            }
            b'.' => self.at += 2,
            _ => return None,
        }
        let Digits { number, count, mut behind } = Digits::of(self.word()?);
        self.at += count;
        let eight = number * POWERS[8 - count];
        let mut is_finer = !eight.is_multiple_of(100);
        if count == 8 {
            loop {
                behind = *self.bytes.get(self.at)?;
                if !behind.is_ascii_digit() {
                    break;
                }
                is_finer |= behind > b'0';
                self.at += 1;
            }
        }
        let millionths = first + eight / 100 + u64::from(is_finer);
        if behind != b',' || millionths > WHOLE {
            return None;
        }
        self.at += 1;
        Some(Some(millionths))
    }
}

/// The digits at the front of eight bytes.
struct Digits {
    number: u64,
    count: usize,
    /// The byte behind them; 0 if all eight are digits.
    behind: u8,
}

const POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

impl Digits {
    #[inline(always)]
    fn of(word: u64) -> Self {
        // Digits become 0 to 9. What is above 9 then, or had its highest bit set, leaves a mark in the highest bit of
        // its byte.
        let values = word ^ 0x3030_3030_3030_3030;
        let others = (values.wrapping_add(0x7676_7676_7676_7676) | values) & 0x8080_8080_8080_8080;
        let bits = others.trailing_zeros() & !7;
        let behind = word.checked_shr(bits).unwrap_or(0) as u8;
        // The digits move to the end, zeros come before them.
        let values = values.checked_shl(64 - bits).unwrap_or(0);
        // Pairs, then fours, then all eight: each step adds its neighbour at ten, a hundred, ten thousand times.
        let pairs = (values.wrapping_mul(10) + (values >> 8)) & 0x00ff_00ff_00ff_00ff;
        let fours = (pairs.wrapping_mul(100) + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
        let number = (fours.wrapping_mul(10_000) + (fours >> 32)) & 0xffff_ffff;
        Self { number, count: (bits / 8) as usize, behind }
    }
}

/// The lowest mark stands in the first byte of an ASCII word that is `byte`; later ones may be wrong.
#[inline(always)]
fn marks(word: u64, byte: u8) -> u64 {
    let others = word ^ (0x0101_0101_0101_0101 * u64::from(byte));
    others.wrapping_sub(0x0101_0101_0101_0101) & !others & 0x8080_8080_8080_8080
}

/// Reads one part of `task_events` after the other. Times may not go back from one to the next.
#[derive(Debug, Default)]
pub struct Part {
    last: u64,
    buffer: Vec<u8>,
}

impl Part {
    /// Begins another trace, in the room that this one has left.
    pub fn restart(&mut self) {
        self.last = 0;
    }

    /// Hands over the part's name and a row, for each row.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the file: see [`TraceError`].
    pub fn read(
        &mut self,
        path: &Path,
        row: &mut dyn FnMut(&str, &TaskEvent<'_>),
    ) -> Result<(), TraceError> {
        let mut blocks = Blocks::open(path, std::mem::take(&mut self.buffer))?;
        let mut lines = 0;
        while let Some(block) = blocks.next(lines)? {
            let mut at = 0;
            while at < block.bytes.len() {
                lines += 1;
                let plain = match block.is_plain {
                    true => TaskEvent::read_plain(block.bytes, at, lines, self.last),
                    false => None,
                };
                if let Some((event, next)) = plain {
                    self.last = event.at.0;
                    row(block.path, &event);
                    at = next;
                } else {
                    let (bytes, next) = block.line_at(at);
                    let line = block.text(lines, bytes)?;
                    if !line.text.trim().is_empty() {
                        read_any(&line, &mut self.last, row)?;
                    }
                    at = next;
                }
            }
        }
        self.buffer = blocks.into_buffer();
        Ok(())
    }
}

impl Part {
    /// The same, and keeps the rows; or takes those that were kept. Returns whether they were.
    pub(super) fn read_or_find(
        &mut self,
        path: &Path,
        keep: &Keep<'_>,
        row: &mut dyn FnMut(&str, &TaskEvent<'_>),
    ) -> Result<bool, TraceError> {
        let name = kept::name(columns::input(path)?.digest);
        let found = keep.find(&name);
        let rows = found.as_deref().and_then(kept::unpack);
        // Rows that are out of order are read again, to say where they stand.
        let rows = rows.filter(|it| it.first().is_none_or(|it| it.at.0 >= self.last));
        if let Some(rows) = rows {
            let path = path.display().to_string();
            rows.iter().for_each(|it| row(&path, it));
            self.last = rows.last().map_or(self.last, |it| it.at.0);
            return Ok(true);
        }
        let mut packing = kept::Packing::default();
        self.read(path, &mut |path, it| {
            packing.push(it);
            row(path, it);
        })?;
        keep.put(&name, &packing.finish())?;
        Ok(false)
    }
}

#[cold]
fn read_any(
    line: &Line<'_>,
    last: &mut u64,
    row: &mut dyn FnMut(&str, &TaskEvent<'_>),
) -> Result<(), TraceError> {
    let mut cells = Vec::with_capacity(TASK_COLUMNS);
    line.split_commas(&mut cells);
    row(line.path, &TaskEvent::read(line, &cells, last)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the way of all formats makes of the row.
    fn slow(text: &str, last: u64) -> Result<TaskEvent<'_>, TraceError> {
        let line = Line::of("t", 1, text.as_bytes(), false)?;
        let mut cells = Vec::new();
        line.split_commas(&mut cells);
        TaskEvent::read(&line, &cells, &mut { last })
    }

    /// The quick way says the same as the other one, or nothing. Returns whether it said something.
    #[track_caller]
    fn check(row: &str, last: u64) -> bool {
        let more = format!("{row}\n0,,1,2,,0,u,0,0,,,,0\n");
        let Some((event, next)) = TaskEvent::read_plain(more.as_bytes(), 0, 1, last) else {
            return false;
        };
        assert_eq!(Ok(event), slow(row, last), "{row}");
        assert_eq!(next, row.len() + 1, "{row}");
        true
    }

    #[test]
    fn usual_rows_are_read_where_they_stand() {
        for row in [
            "0,2,3418309,0,4155527081,0,70s3v5qRyCO/1PCdI6fVXnrW8FU/w+5CKRSa72xgcIo=,3,9,,,,",
            "0,,3418314,0,3938719206,1,70s3v5qRyCO=,3,9,0.125,0.07446,0.0004244,0",
            "600025907,,6251974185,12345,,0,u,0,11,1,0,9.9e-05,1",
            "9223372036854775807,,1,4294967295,1,8,,,255,0.12345678,0.1234560,,1\r",
            "5,,1,2,3,4,u,0,0,,0.5,,0",
            "5,,1,2,3,4,u,0,0,0.000000001,0.99999901,,0",
        ] {
            assert!(check(row, 0), "{row}");
        }
    }

    #[test]
    fn other_rows_are_left_to_the_other_way() {
        for row in [
            "",
            "a,,1,2,,0,u,0,0,,,,0",
            "100000000000000001,,1,2,,0,u,0,0,,,,0",
            "-1,,1,2,,0,u,0,0,,,,0",
            "1e3,,1,2,,0,u,0,0,,,,0",
            " 5,,1,2,,0,u,0,0,,,,0",
            "5,,,2,,0,u,0,0,,,,0",
            "5,,1,4294967296,,0,u,0,0,,,,0",
            "5,,1,2,m1,1,u,0,0,,,,0",
            "5,,1,2,,9,u,0,0,,,,0",
            "5,,1,2,,00,u,0,0,,,,0",
            "5,,1,2,,0,u,0,256,,,,0",
            "5,,1,2,,0,u,0,0,1.1,,,0",
            "5,,1,2,,0,u,0,0,1.0000001,,,0",
            "5,,1,2,,0,u,0,0,1e-5,,,0",
            "5,,1,2,,0,u,0,0,,,,yes",
            "5,,1,2,,0,u,0,0,,,,0,",
            "5,,1,2,,0,u,0,0,,,",
            "5,,1,2,,0,u,0,0,,",
            "99999999999999999999,,1,2,,0,u,0,0,,,,0",
        ] {
            assert!(!check(row, 0), "{row}");
        }
        assert!(!check("5,,1,2,,0,u,0,0,,,,0", 6), "time goes back");
    }

    proptest! {
        #[test]
        fn both_ways_agree(
            cells in prop::collection::vec("[0-9]{0,3}|[0-9]{7,10}|[01]?[.][0-9]{0,12}|[ eax+.-]{1,2}", 12..=14),
            last in 0..200u64,
        ) {
            check(&cells.join(","), last);
        }

        #[test]
        fn both_ways_agree_on_numbers(
            time in any::<u64>(), job in any::<u64>(), index in any::<u32>(), machine in any::<u64>(),
            code in 0..10u8, priority in 0..300u16, cpu in "[01][.][0-9]{1,12}", memory in "0[.][0-9]{1,9}|1|0|",
        ) {
            check(&format!("{time},,{job},{index},{machine},{code},u,1,{priority},{cpu},{memory},,1"), 0);
            check(&format!("{},,{job},{index},{machine},{},u,1,{},{cpu},{memory},,1", time >> 16, code % 9, priority % 256), 0);
        }
    }
}
