//! The records of which almost all of a journal consists, written without asking serde field by field.
//!
//! The bytes are postcard's, by its specification: unsigned numbers in groups of seven bits, the lowest first;
//! signed ones folded so that small ones stay small; a variant as its number; what may be missing as 0 or 1 before it.

use super::InputRef;
use crate::event::{Action, Event, OnLoss, Report, Submission, TaskKind};
use crate::units::Instant;

/// Longer than any submission, report or start, and eight bytes more.
const PIECE: usize = 96;

/// A part of a record, where it will stay.
struct Piece<'a> {
    bytes: &'a mut [u8; PIECE],
    length: usize,
}

impl Piece<'_> {
    #[inline(always)]
    fn byte(&mut self, it: u8) {
        self.bytes[self.length] = it;
        self.length += 1;
    }

    /// The first so many bytes of a word.
    #[inline(always)]
    fn word(&mut self, word: u64, length: usize) {
        self.bytes[self.length..self.length + 8].copy_from_slice(&word.to_le_bytes());
        self.length += length;
    }

    #[inline(always)]
    fn number(&mut self, it: u64) {
        if it < 0x80 {
            self.byte(it as u8);
        } else if it < 1 << 56 {
            // Halves, quarters, eighths of 28, 14 and 7 bits move to where 32, 16 and 8 begin.
            let halves = (it & 0x0fff_ffff) | (it >> 28) << 32;
            let quarters = (halves & 0x0000_3fff_0000_3fff) | (halves & 0x0fff_c000_0fff_c000) << 2;
            let eighths =
                (quarters & 0x007f_007f_007f_007f) | (quarters & 0x3f80_3f80_3f80_3f80) << 1;
            let last = (63 - it.leading_zeros()) / 7;
            let more = 0x0080_8080_8080_8080 & ((1 << (8 * last)) - 1);
            self.word(eighths | more, last as usize + 1);
        } else {
            self.large(it);
        }
    }

    #[cold]
    fn large(&mut self, mut it: u64) {
        while it >= 0x80 {
            self.byte(it as u8 | 0x80);
            it >>= 7;
        }
        self.byte(it as u8);
    }

    fn signed(&mut self, it: i32) {
        self.number(u64::from(((it << 1) ^ (it >> 31)) as u32));
    }

    fn optional(&mut self, it: Option<u64>) {
        match it {
            None => self.byte(0),
            Some(it) => {
                self.byte(1);
                self.number(it);
            }
        }
    }

    fn submission(&mut self, it: &Submission) {
        self.number(it.task.0);
        self.number(u64::from(it.definition.0));
        self.optional(it.group.map(|it| u64::from(it.0)));
        self.byte(match it.kind {
            TaskKind::Job => 0,
            TaskKind::Service => 1,
        });
        self.signed(it.priority);
        self.optional(it.estimate.map(|it| it.0));
        self.byte(match it.on_loss {
            OnLoss::Restart => 0,
            OnLoss::End => 1,
        });
    }
}

/// Bytes that records are appended to, with room behind them, so that a piece is copied without counting.
#[derive(Debug, Clone, Default)]
pub(super) struct Bytes {
    bytes: Vec<u8>,
    /// Where those end that were written.
    end: usize,
    /// The moment of the last piece, and its bytes as a word and their number, which is 0 if there is none.
    moment: (Instant, u64, usize),
}

impl Bytes {
    pub(super) fn written(&self) -> &[u8] {
        &self.bytes[..self.end]
    }

    pub(super) fn len(&self) -> usize {
        self.end
    }

    pub(super) fn clear(&mut self) {
        self.end = 0;
    }

    #[inline]
    fn reserve(&mut self, more: usize) {
        if self.bytes.len() < self.end + more {
            self.bytes.resize(2 * (self.end + more), 0);
        }
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.bytes[self.end..][..bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// Room for a piece.
    #[inline(always)]
    fn piece(&mut self) -> Piece<'_> {
        self.reserve(PIECE);
        let room = self.bytes[self.end..].first_chunk_mut().expect("there is room for a piece");
        Piece { bytes: room, length: 0 }
    }

    /// Writes a moment, which is often that of the last record.
    #[inline(always)]
    fn moment(&mut self, at: Instant) {
        let (last, word, length) = self.moment;
        let mut piece = self.piece();
        if at == last && length > 0 {
            piece.word(word, length);
            self.end += length;
            return;
        }
        piece.number(at.0);
        let length = piece.length;
        if let Some(word) = piece.bytes.first_chunk::<8>()
            && length <= 8
        {
            self.moment = (at, u64::from_le_bytes(*word), length);
        }
        self.end += length;
    }
}

/// Appends the record's bytes, if it is one of the usual ones.
pub(super) fn encode(
    out: &mut Bytes,
    at: Instant,
    input: &InputRef<'_>,
    actions: &[Action],
) -> bool {
    let is_start = |it: &Action| matches!(it, Action::Start { .. });
    if !actions.iter().all(is_start) {
        return false;
    }
    let code = match input {
        InputRef::Decide | InputRef::Event(Event::TaskSubmitted(_)) => None,
        InputRef::Event(Event::TaskReported { report: Report::Started, .. }) => None,
        InputRef::Event(Event::TaskReported { report: Report::Exited { code }, .. }) => Some(*code),
        InputRef::Event(_) => return false,
    };
    out.moment(at);
    let mut piece = out.piece();
    match input {
        InputRef::Event(Event::TaskSubmitted(it)) => {
            piece.byte(0);
            piece.byte(2);
            piece.submission(it);
        }
        InputRef::Event(Event::TaskReported { task, attempt, .. }) => {
            piece.byte(0);
            piece.byte(5);
            piece.number(task.0);
            piece.number(u64::from(*attempt));
            match code {
                None => piece.byte(0),
                Some(code) => {
                    piece.byte(1);
                    piece.signed(code);
                }
            }
        }
        InputRef::Event(_) | InputRef::Decide => piece.byte(1),
    }
    piece.number(actions.len() as u64);
    for action in actions {
        if let Action::Start { task, node, attempt, devices } = action {
            if piece.length > PIECE / 2 {
                let length = piece.length;
                out.end += length;
                piece = out.piece();
            }
            piece.byte(0);
            piece.number(task.0);
            piece.number(u64::from(node.0));
            piece.number(u64::from(*attempt));
            piece.number(devices.0);
        }
    }
    let length = piece.length;
    out.end += length;
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{DefinitionId, GroupId, NodeId, TaskId};
    use crate::journal::RecordRef;
    use crate::nodes::DeviceSet;
    use crate::units::Span;
    use proptest::prelude::*;

    fn large() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0u32..64).prop_map(|(it, shift)| it >> shift)
    }

    fn event() -> impl Strategy<Value = Event> {
        let kind = prop_oneof![Just(TaskKind::Job), Just(TaskKind::Service)];
        let on_loss = prop_oneof![Just(OnLoss::Restart), Just(OnLoss::End)];
        let group = prop::option::of(large().prop_map(|it| GroupId(it as u32)));
        let estimate = prop::option::of(large().prop_map(Span));
        let submitted = (large(), any::<u32>(), group, kind, any::<i32>(), estimate, on_loss);
        let report = prop_oneof![
            Just(Report::Started),
            any::<i32>().prop_map(|code| Report::Exited { code }),
            Just(Report::Healthy),
        ];
        prop_oneof![
            submitted.prop_map(|(task, definition, group, kind, priority, estimate, on_loss)| {
                Event::TaskSubmitted(Submission {
                    task: TaskId(task),
                    definition: DefinitionId(definition),
                    group,
                    kind,
                    priority,
                    estimate,
                    on_loss,
                })
            }),
            (large(), 0u32..300, report).prop_map(|(task, attempt, report)| {
                Event::TaskReported { task: TaskId(task), attempt, report }
            }),
            Just(Event::Timer),
        ]
    }

    fn action() -> impl Strategy<Value = Action> {
        let start = (large(), any::<u32>(), 0u32..300, large());
        prop_oneof![
            9 => start.prop_map(|(task, node, attempt, devices)| Action::Start {
                task: TaskId(task),
                node: NodeId(node),
                attempt,
                devices: DeviceSet(devices),
            }),
            1 => large().prop_map(|at| Action::Wake { at: Instant(at) }),
        ]
    }

    proptest! {
        /// The same bytes as serde writes, or none at all.
        #[test]
        fn bytes_are_postcards(
            at in large().prop_map(Instant),
            events in prop::collection::vec((any::<bool>(), prop::option::of(event())), 1..5),
            actions in prop::collection::vec(action(), 0..6),
        ) {
            let (mut bytes, mut want) = (Bytes::default(), vec![7]);
            bytes.extend(&[7]);
            for (moves, event) in events {
                let at = if moves { Instant(at.0 / 2) } else { at };
                let input = || event.as_ref().map_or(InputRef::Decide, InputRef::Event);
                if encode(&mut bytes, at, &input(), &actions) {
                    let record = RecordRef { at, input: input(), actions: &actions };
                    want.extend(postcard::to_stdvec(&record).unwrap());
                }
                prop_assert_eq!(bytes.written(), &want);
            }
        }

        #[test]
        fn numbers_are_postcards(number in large(), shift in 0..64u32, less in any::<bool>()) {
            for it in [number, (1 << shift) - u64::from(less)] {
                let mut piece = Piece { bytes: &mut [0; PIECE], length: 0 };
                piece.number(it);
                let want = postcard::to_stdvec(&it).unwrap();
                prop_assert_eq!(&piece.bytes[..piece.length], want);
            }
        }
    }
}
