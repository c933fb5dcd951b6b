//! Rows of a part that were read before, in a few bytes each: what a conversion that is interrupted leaves.

use super::rows::{EVENTS, TaskEvent};
use cluster::units::Instant;
use xxhash_rust::xxh3::xxh3_64;

/// The name under which the rows of a part are kept: by the digest of the part, and by how rows are packed.
pub(super) fn name(digest: u128) -> String {
    format!("rows-1-{digest:032x}")
}

const APART: u8 = 1 << 4;
const STATED: u8 = 1 << 5;
const PLACED: u8 = 1 << 6;

/// Rows as bytes: numbers as differences to the row before where that is shorter, seven bits a byte.
#[derive(Debug, Default)]
pub(super) struct Packing {
    bytes: Vec<u8>,
    before: Before,
}

/// What differences are taken to.
#[derive(Debug, Default)]
struct Before {
    at: u64,
    job: u64,
    line: u64,
}

impl Packing {
    pub(super) fn push(&mut self, row: &TaskEvent<'_>) {
        let before = &self.before;
        let job = row.job.wrapping_sub(before.job) as i64;
        let numbers = [
            row.at.0 - before.at,
            // The sign goes last, so that small differences either way are short.
            ((job << 1) ^ (job >> 63)) as u64,
            u64::from(row.index),
            row.line - before.line,
        ];
        let flag = |is: bool, flag| if is { flag } else { 0 };
        let flags = flag(row.apart, APART)
            | flag(row.request.is_some(), STATED)
            | flag(!row.machine.is_empty(), PLACED);
        self.bytes.push(row.code | flags);
        self.bytes.push(row.priority);
        for number in numbers.into_iter().chain(row.request.into_iter().flatten()) {
            self.number(number);
        }
        if !row.machine.is_empty() {
            self.number(row.machine.len() as u64);
            self.bytes.extend_from_slice(row.machine.as_bytes());
        }
        self.before = Before { at: row.at.0, job: row.job, line: row.line };
    }

    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    /// The bytes, with their checksum.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let digest = xxh3_64(&self.bytes);
        self.bytes.extend_from_slice(&digest.to_le_bytes());
        self.bytes
    }
}

/// The rows in bytes of [`Packing`], or `None` if they are anything else.
pub(super) fn unpack(bytes: &[u8]) -> Option<Vec<TaskEvent<'_>>> {
    let (bytes, digest) = bytes.split_last_chunk::<8>()?;
    if xxh3_64(bytes) != u64::from_le_bytes(*digest) {
        return None;
    }
    let (mut rest, mut rows, mut before) = (bytes, Vec::new(), Before::default());
    while let [flags, priority, numbers @ ..] = rest {
        rest = numbers;
        let at = before.at.checked_add(number(&mut rest)?)?;
        let job = number(&mut rest)?;
        let job = before.job.wrapping_add(((job >> 1) as i64 ^ -((job & 1) as i64)) as u64);
        let index = u32::try_from(number(&mut rest)?).ok()?;
        let line = before.line.checked_add(number(&mut rest)?)?;
        let request = match flags & STATED {
            0 => None,
            _ => Some([number(&mut rest)?, number(&mut rest)?]),
        };
        let mut machine = "";
        if flags & PLACED != 0 {
            let length = usize::try_from(number(&mut rest)?).ok()?;
            let (text, behind) = rest.split_at_checked(length)?;
            machine = std::str::from_utf8(text).ok()?;
            rest = behind;
        }
        let (code, priority, apart) = (flags & 0xf, *priority, flags & APART != 0);
        if usize::from(code) >= EVENTS.len() {
            return None;
        }
        before = Before { at, job, line };
        let at = Instant(at);
        rows.push(TaskEvent { at, job, index, machine, code, priority, request, apart, line });
    }
    rest.is_empty().then_some(rows)
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, behind) = rest.split_first()?;
        *rest = behind;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn row()(
            at in any::<u32>(), job: u64, small_job in any::<bool>(), index: u32, machine in "[0-9]{0,10}|m.",
            code in 0..9u8, priority: u8, request in prop::option::of([0..=1_000_000u64, 0..=1_000_000]), apart: bool, line in 1..9u64,
        ) -> (TaskEvent<'static>, String) {
            let job = if small_job { job % 100 } else { job };
            let at = Instant(at.into());
            (TaskEvent { at, job, index, machine: "", code, priority, request, apart, line }, machine)
        }
    }

    proptest! {
        #[test]
        fn rows_come_back_and_damage_is_seen(drawn in prop::collection::vec(row(), 0..30), flip in any::<prop::sample::Index>()) {
            let (mut at, mut line) = (0, 0);
            let rows: Vec<TaskEvent<'_>> = drawn.iter().map(|(row, machine)| {
                (at, line) = (at + row.at.0, line + row.line);
                TaskEvent { at: Instant(at), line, machine, ..*row }
            }).collect();
            let mut packing = Packing::default();
            rows.iter().for_each(|it| packing.push(it));
            let mut bytes = packing.finish();
            prop_assert_eq!(unpack(&bytes), Some(rows));
            let at = flip.index(bytes.len());
            bytes[at] ^= 1;
            prop_assert_eq!(unpack(&bytes), None);
            // Other bytes with a checksum that fits are refused or read, and never end the process.
            let body = bytes.len() - 8;
            let digest = xxh3_64(&bytes[..body]).to_le_bytes();
            bytes[body..].copy_from_slice(&digest);
            unpack(&bytes);
        }
    }
}
