//! The records of which almost all of a journal consists, written without asking serde field by field.
//!
//! The bytes are postcard's, by its specification: unsigned numbers in groups of seven bits, the lowest first;
//! signed ones folded so that small ones stay small; a variant as its number; what may be missing as 0 or 1 before it.

use super::InputRef;
use crate::event::{Action, Event, OnLoss, Report, Submission, TaskKind};
use crate::units::Instant;

/// Appends the record's bytes, if it is one of the usual ones.
pub(super) fn encode(
    out: &mut Vec<u8>,
    at: Instant,
    input: &InputRef<'_>,
    actions: &[Action],
) -> bool {
    let is_start = |it: &Action| matches!(it, Action::Start { .. });
    if !actions.iter().all(is_start) {
        return false;
    }
    match input {
        InputRef::Event(Event::TaskSubmitted(it)) => {
            number(out, at.0);
            out.extend([0, 2]);
            submission(out, it);
        }
        InputRef::Event(Event::TaskReported { task, attempt, report }) => {
            let code = match report {
                Report::Started => None,
                Report::Exited { code } => Some(*code),
                Report::Healthy | Report::Unhealthy | Report::Failed { .. } => return false,
            };
            number(out, at.0);
            out.extend([0, 5]);
            number(out, task.0);
            number(out, u64::from(*attempt));
            match code {
                None => out.push(0),
                Some(code) => {
                    out.push(1);
                    signed(out, code);
                }
            }
        }
        InputRef::Event(_) => return false,
        InputRef::Decide => {
            number(out, at.0);
            out.push(1);
        }
    }
    number(out, actions.len() as u64);
    for action in actions {
        if let Action::Start { task, node, attempt, devices } = action {
            out.push(0);
            number(out, task.0);
            number(out, u64::from(node.0));
            number(out, u64::from(*attempt));
            number(out, devices.0);
        }
    }
    true
}

fn submission(out: &mut Vec<u8>, it: &Submission) {
    number(out, it.task.0);
    number(out, u64::from(it.definition.0));
    optional(out, it.group.map(|it| u64::from(it.0)));
    out.push(match it.kind {
        TaskKind::Job => 0,
        TaskKind::Service => 1,
    });
    signed(out, it.priority);
    optional(out, it.estimate.map(|it| it.0));
    out.push(match it.on_loss {
        OnLoss::Restart => 0,
        OnLoss::End => 1,
    });
}

fn optional(out: &mut Vec<u8>, it: Option<u64>) {
    match it {
        None => out.push(0),
        Some(it) => {
            out.push(1);
            number(out, it);
        }
    }
}

fn signed(out: &mut Vec<u8>, it: i32) {
    number(out, u64::from(((it << 1) ^ (it >> 31)) as u32));
}

#[inline]
fn number(out: &mut Vec<u8>, mut it: u64) {
    let mut bytes = [0; 10];
    let mut length = 0;
    while it >= 0x80 {
        bytes[length] = it as u8 | 0x80;
        it >>= 7;
        length += 1;
    }
    bytes[length] = it as u8;
    out.extend_from_slice(&bytes[..=length]);
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
            event in prop::option::of(event()),
            actions in prop::collection::vec(action(), 0..4),
        ) {
            let input = || event.as_ref().map_or(InputRef::Decide, InputRef::Event);
            let mut bytes = vec![7];
            let is_usual = encode(&mut bytes, at, &input(), &actions);
            let record = RecordRef { at, input: input(), actions: &actions };
            let want = postcard::to_stdvec(&record).unwrap();
            prop_assert_eq!(&bytes[1..], if is_usual { &want[..] } else { &[] });
        }
    }
}
