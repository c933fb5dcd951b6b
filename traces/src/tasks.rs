//! The tasks of a workload: rows in memory, or made anew each time they are gone through.

use crate::columns::{self, Columns};
use crate::generate::Likeness;
use cluster::event::{OnLoss, TaskKind};
use cluster::ids::TaskId;
use cluster::units::{Instant, Span};
use std::borrow::Cow;
use std::fmt;
use xxhash_rust::xxh3::xxh3_128;

/// A task as it stands in a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TaskRow {
    pub(crate) at: Instant,
    pub(crate) lifetime: Option<Span>,
    pub(crate) withdrawn: Option<Instant>,
    pub(crate) estimate: Option<Span>,
    pub(crate) definition: u32,
    pub(crate) group: Option<u32>,
    /// Row of the node's name in [`Draft::residents`](crate::workload::Draft::residents).
    pub(crate) resident: Option<u32>,
    pub(crate) priority: i32,
    pub(crate) kind: TaskKind,
    pub(crate) on_loss: OnLoss,
    /// Row of the task's name, where there are rows of names.
    pub(crate) name: u32,
    /// Row of the file in [`Draft::files`](crate::workload::Draft::files).
    pub(crate) file: u32,
    /// Counts from 1; 0 where the task comes from no file.
    pub(crate) line: u32,
}

impl TaskRow {
    /// When it ends at the latest, if it runs from its arrival.
    pub(crate) fn ends(&self) -> Option<Instant> {
        let ends = self.lifetime.map(|it| self.at + it);
        ends.into_iter().chain(self.withdrawn).min()
    }
}

/// Many short texts in one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Texts {
    joined: String,
    ends: Vec<usize>,
}

impl Texts {
    /// Appends a text and returns its row.
    pub(crate) fn push(&mut self, text: fmt::Arguments<'_>) -> u32 {
        fmt::Write::write_fmt(&mut self.joined, text).expect("writing to a string cannot fail");
        self.end()
    }

    /// The same.
    pub(crate) fn push_text(&mut self, text: &str) -> u32 {
        self.joined.push_str(text);
        self.end()
    }

    fn end(&mut self) -> u32 {
        self.ends.push(self.joined.len());
        u32::try_from(self.ends.len() - 1).expect("fewer than 2^32 tasks")
    }

    /// How many texts stand there that an earlier one is equal to. Compares digests of 128 bits, unless they ascend, as
    /// numbers do.
    pub(crate) fn repeats(&self) -> u64 {
        let rows = 0..self.ends.len() as u32;
        let (mut start, mut last) = (0, &[][..]);
        let ascend = self.ends.iter().all(|&end| {
            let text = &self.joined.as_bytes()[start..end];
            start = end;
            let before = std::mem::replace(&mut last, text);
            before.len() < text.len() || (before.len() == text.len() && before < text)
        });
        if ascend {
            return 0;
        }
        let mut digests: Vec<u128> = rows.map(|it| xxh3_128(self.get(it).as_bytes())).collect();
        digests.sort_unstable();
        digests.windows(2).filter(|it| it[0] == it[1]).count() as u64
    }

    fn get(&self, row: u32) -> &str {
        let row = row as usize;
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.joined[start..self.ends[row]]
    }
}

/// Where a workload's tasks are. Definitions are numbered in the order in which tasks first name them.
#[derive(Debug, Clone)]
pub(crate) enum Tasks {
    /// In memory.
    Rows { rows: Vec<TaskRow>, names: Texts },
    /// Nowhere: drawn from a recipe whenever somebody goes through them. Memory does not grow with their number.
    Generated(Box<Likeness>),
    /// In a file that is mapped into memory.
    Columns(Columns),
}

impl Tasks {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Rows { rows, .. } => rows.len(),
            Self::Generated(it) => it.task_count(),
            Self::Columns(it) => it.len(),
        }
    }

    /// One after the other, in arrival order.
    pub(crate) fn iter(&self) -> Cursor<'_> {
        match self {
            Self::Rows { rows, .. } => Cursor::Rows(rows.iter()),
            Self::Generated(it) => Cursor::Generated(Box::new(it.draws())),
            Self::Columns(it) => Cursor::Columns(Box::new(it.rows())),
        }
    }

    /// One of them. Those that are not in memory are gone through to find it.
    pub(crate) fn get(&self, task: TaskId) -> TaskRow {
        match self {
            Self::Rows { rows, .. } => rows[task.0 as usize],
            Self::Generated(_) => self.iter().nth(task.0 as usize).expect("there is this task"),
            Self::Columns(it) => it.get(task),
        }
    }

    pub(crate) fn name(&self, task: TaskId) -> Cow<'_, str> {
        match self.given_name(task) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(task.to_string()),
        }
    }

    /// The task's name, unless it is named by its number.
    pub(crate) fn given_name(&self, task: TaskId) -> Option<&str> {
        match self {
            Self::Rows { rows, names } => Some(names.get(rows[task.0 as usize].name)),
            Self::Generated(_) => None,
            Self::Columns(it) => it.name(task),
        }
    }

    /// Behind which task none is resident any more, as far as is known.
    pub(crate) fn residents_end(&self) -> usize {
        match self {
            Self::Columns(it) => it.residents_end(),
            _ => self.len(),
        }
    }

    /// As rows in memory, for what changes them.
    pub(crate) fn rows(&mut self) -> &mut Vec<TaskRow> {
        if !matches!(self, Self::Rows { .. }) {
            let mut names = Texts::default();
            let with_name = |(row, id): (TaskRow, u64)| TaskRow {
                name: names.push(format_args!("{}", self.name(TaskId(id)))),
                ..row
            };
            let rows = self.iter().zip(0..).map(with_name).collect();
            *self = Self::Rows { rows, names };
        }
        let Self::Rows { rows, .. } = self else { unreachable!("they were just made rows") };
        rows
    }
}

/// Goes through tasks in arrival order.
#[derive(Debug, Clone)]
pub(crate) enum Cursor<'a> {
    Rows(std::slice::Iter<'a, TaskRow>),
    Generated(Box<crate::generate::Draws>),
    Columns(Box<columns::Rows<'a>>),
}

impl Iterator for Cursor<'_> {
    type Item = TaskRow;

    #[inline]
    fn next(&mut self) -> Option<TaskRow> {
        match self {
            Self::Rows(rows) => rows.next().copied(),
            Self::Generated(draws) => draws.next(),
            Self::Columns(rows) => rows.next(),
        }
    }
}
