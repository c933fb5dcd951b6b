//! Rows of `tasks.csv` of the usual kind, read from bytes.
//!
//! Most files name tasks and say when they arrive, what they ask for and how long they run, in plain decimals without
//! quotes, blanks or exponents. Such rows are read where they stand. All others go the way of every format
//! (`read_task`), which also knows what is wrong with them: so nothing is refused here, only left to it.

use super::columns::Column;
use crate::decimal::Rounding;
use crate::limits::{self, Limit};
use crate::workload::Draft;
use cluster::demand::{Amounts, Demand};
use cluster::id_map::IdMap;
use cluster::units::{Instant, Span};

/// Reads rows of the usual kind.
pub(super) struct Usual {
    /// `None` if a row may hold something else.
    columns: Option<Vec<Usually>>,
    /// Definitions by what they ask for.
    definitions: IdMap<[u64; 3], u32>,
    /// The one that was named last.
    last: Option<([u64; 3], u32)>,
}

/// What a column holds; numbers with the units of one.
#[derive(Debug, Clone, Copy)]
enum Usually {
    Name,
    Group,
    Arrival(u64),
    Lifetime(u64),
    Estimate(u64),
    Cpu(u64),
    Memory(u64),
    Disk(u64),
}

impl Usual {
    pub(super) fn new(columns: &[Column]) -> Self {
        let usually = |it: &Column| {
            Some(match it {
                Column::Name => Usually::Name,
                Column::Group => Usually::Group,
                Column::Arrival(units) => Usually::Arrival(*units),
                Column::Lifetime(units) => Usually::Lifetime(*units),
                Column::Estimate(units) => Usually::Estimate(*units),
                Column::Cpu(units) => Usually::Cpu(*units),
                Column::Memory(units) => Usually::Memory(*units),
                Column::Disk(units) => Usually::Disk(*units),
                _ => return None,
            })
        };
        let has_name = columns.contains(&Column::Name);
        let columns: Option<_> = columns.iter().map(usually).collect();
        Self { columns: columns.filter(|_| has_name), definitions: IdMap::default(), last: None }
    }

    /// Reads a line of plain text, without its end. `None` if it is of another kind: then nothing was read.
    pub(super) fn read(&mut self, number: u64, line: &[u8], draft: &mut Draft) -> Option<()> {
        let mut cells = Cells { line, at: 0 };
        let mut row = draft.row(Instant::ZERO, 0, 0, number);
        let (mut name, mut group) = ("", "");
        let mut asked = [0; 3];
        for column in self.columns.as_ref()? {
            let is_blank = matches!(cells.first(), None | Some(b','));
            match *column {
                Usually::Name => name = cells.text().filter(|it| !it.is_empty())?,
                Usually::Group => group = cells.text()?,
                Usually::Lifetime(_) | Usually::Estimate(_) if is_blank => cells.end()?,
                Usually::Arrival(units) => row.at = Instant(cells.time(units)?),
                Usually::Lifetime(units) => row.lifetime = Some(Span(cells.time(units)?)),
                Usually::Estimate(units) => row.estimate = Some(Span(cells.time(units)?)),
                // An amount of 0 says more than a blank one, where one is left out there is more to be counted.
                Usually::Cpu(units) => {
                    asked[0] = cells.number(units, Rounding::Exact, limits::CPU)?;
                    (asked[0] > 0).then_some(())?;
                }
                Usually::Memory(units) => {
                    asked[1] = cells.number(units, Rounding::Nearest, limits::BYTES)?;
                    (asked[1] > 0).then_some(())?;
                }
                Usually::Disk(units) => {
                    asked[2] = cells.number(units, Rounding::Nearest, limits::BYTES)?;
                }
            }
        }
        if !cells.are_over() {
            return None;
        }
        row.definition = match self.last {
            Some((it, definition)) if it == asked => definition,
            _ => *self.definitions.get_or_insert_with(asked, || {
                let amounts = Amounts::from_array(asked);
                draft.definition(Demand { amounts, ..Demand::default() })
            }),
        };
        self.last = Some((asked, row.definition));
        if !group.is_empty() {
            row.group = Some(draft.groups.intern(group));
        }
        row.name = draft.names.push_text(name);
        draft.tasks.push(row);
        Some(())
    }
}

/// A line's cells, one after the other. Every step takes a cell and its comma, or gives up.
struct Cells<'a> {
    line: &'a [u8],
    /// One behind the line's end after its last cell.
    at: usize,
}

impl<'a> Cells<'a> {
    fn first(&self) -> Option<u8> {
        self.line.get(self.at).copied()
    }

    fn are_over(&self) -> bool {
        self.at == self.line.len() + 1
    }

    /// Steps over the end of a cell.
    #[inline]
    fn end(&mut self) -> Option<()> {
        let ends = self.at == self.line.len() || self.first() == Some(b',');
        self.at += 1;
        ends.then_some(())
    }

    /// A text without blanks around it.
    #[inline]
    fn text(&mut self) -> Option<&'a str> {
        let rest = self.line.get(self.at..)?;
        let length = rest.iter().position(|it| *it == b',').unwrap_or(rest.len());
        let text = &rest[..length];
        self.at += length + 1;
        let is_bare = |it: Option<&u8>| it.is_none_or(|it| *it > b' ');
        (is_bare(text.first()) && is_bare(text.last())).then_some(())?;
        std::str::from_utf8(text).ok()
    }

    fn time(&mut self, units: u64) -> Option<u64> {
        self.number(units, Rounding::Exact, limits::TIME)
    }

    /// A decimal of digits and at most one point, times `units`.
    #[inline]
    fn number(&mut self, units: u64, rounding: Rounding, limit: Limit) -> Option<u64> {
        let (whole, count) = self.digits()?;
        let mut value = whole.checked_mul(units)?;
        if self.first() == Some(b'.') {
            self.at += 1;
            let (part, places) = self.digits()?;
            if count + places == 0 {
                return None;
            }
            let (product, divisor) = (part.checked_mul(units)?, 10u64.pow(places));
            let rest = product % divisor;
            let more = match rounding {
                _ if rest == 0 => 0,
                Rounding::Nearest => u64::from(rest >= divisor - rest),
                _ => return None,
            };
            value = value.checked_add(product / divisor + more)?;
        } else if count == 0 {
            return None;
        }
        self.end()?;
        (value <= limit.most).then_some(value)
    }

    /// Digits, perhaps none, and how many; at most 18.
    #[inline]
    fn digits(&mut self) -> Option<(u64, u32)> {
        let (mut number, start) = (0u64, self.at);
        while let Some(digit @ b'0'..=b'9') = self.first() {
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        let count = self.at - start;
        (count <= 18).then_some((number, count as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::Card;
    use crate::decimal;
    use proptest::prelude::*;

    fn row_of(columns: &[Column], line: &str) -> Option<crate::workload::TaskRow> {
        let mut draft = Draft::new(Card::new("t", "bayplan"));
        Usual::new(columns).read(2, line.as_bytes(), &mut draft)?;
        draft.tasks.pop()
    }

    #[test]
    fn other_rows_are_left() {
        let columns =
            [Column::Name, Column::Arrival(1_000_000), Column::Cpu(1000), Column::Lifetime(1)];
        for line in ["a,1,2,3", "a,1.5,.5,", "a b,0,1.,3"] {
            assert!(row_of(&columns, line).is_some(), "{line}");
        }
        let others = [
            "",
            "a",
            ",1,2,3",
            "a,,2,3",
            "a,1,,3",
            "a,1,0,3",
            "a,1,2",
            "a,1,2,3,",
            "a,1,2,3,4",
            " a,1,2,3",
            "a,1 ,2,3",
            "a,+1,2,3",
            "a,-1,2,3",
            "a,1e3,2,3",
            "a,.,2,3",
            "a,1,0.0001,3",
            "a,1,2,3.5",
            "a,1,2,x",
            "a,1111111111111111111,2,3",
            "a,1,9999999999,3",
            "a,1.1.1,2,3",
        ];
        for line in others {
            assert_eq!(row_of(&columns, line), None, "{line}");
        }
        assert!(row_of(&[Column::Arrival(1)], "1").is_none());
        assert!(row_of(&[Column::Name, Column::Arrival(1), Column::Kind], "a,1,job").is_none());
    }

    proptest! {
        #[test]
        fn numbers_are_as_elsewhere(
            text in "[0-9]{0,12}(\\.[0-9]{0,8})?",
            units in prop::sample::select(vec![1, 1000, 1_000_000, 1 << 20, 1 << 30]),
            rounding in prop::sample::select(vec![Rounding::Exact, Rounding::Nearest]),
        ) {
            let mut cells = Cells { line: text.as_bytes(), at: 0 };
            let got = cells.number(units, rounding, limits::BYTES);
            let want = decimal::parse(&text, units, rounding).ok();
            prop_assert!(got.is_none() || got == want, "{got:?}");
            if want.is_some_and(|it| it <= limits::BYTES.most) && units <= 1 << 20 {
                prop_assert_eq!(got, want);
            }
        }
    }
}
