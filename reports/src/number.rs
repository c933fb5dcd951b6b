//! Numbers for people: one unit and one number of decimals for everything in a column.

use crate::column::{Column, Unit};
use crate::comparison::MetricRow;

/// In which unit, and how exactly, the numbers of one column are shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    factor: f64,
    decimals: usize,
    label: &'static str,
}

/// Units of time with their length in microseconds, longest first.
const TIMES: [(f64, &str); 6] =
    [(86_400e6, "days"), (3_600e6, "h"), (60e6, "min"), (1e6, "s"), (1e3, "ms"), (1.0, "µs")];

impl Scale {
    /// A scale that shows all of `values` well.
    pub fn of(unit: Unit, values: impl IntoIterator<Item = f64>) -> Self {
        let (mut largest, mut smallest, mut whole) = (0f64, f64::INFINITY, true);
        for value in values.into_iter().map(f64::abs).filter(|it| it.is_finite()) {
            largest = largest.max(value);
            if value > 0.0 {
                smallest = smallest.min(value);
            }
            whole &= value.fract() == 0.0;
        }
        let smallest = smallest.min(largest);
        match unit {
            Unit::Us => {
                // The longest unit in which the smallest value is still seen, unless the largest
                // would then be unreadable.
                let (factor, label) = TIMES
                    .into_iter()
                    .find(|(length, _)| {
                        largest / length >= 1.0
                            && (smallest / length >= 1.0 || largest / length >= 1_000.0)
                    })
                    .unwrap_or(if largest == 0.0 { (1e6, "s") } else { (1.0, "µs") });
                let decimals = match smallest / factor {
                    it if it < 10.0 && largest / factor >= 100.0 => 1,
                    _ => decimals(largest / factor),
                };
                Self { factor: 1.0 / factor, decimals, label }
            }
            Unit::Share => {
                let percent = largest * 100.0;
                let decimals = if percent >= 10.0 || percent == 0.0 { 1 } else { 2 };
                Self { factor: 100.0, decimals, label: "%" }
            }
            Unit::Tasks | Unit::Nodes | Unit::Times | Unit::Ratio => {
                let is_count = whole && unit != Unit::Ratio;
                Self {
                    factor: 1.0,
                    decimals: if is_count { 0 } else { decimals(largest) },
                    label: "",
                }
            }
        }
    }

    /// The scale of a column over all policies.
    pub fn of_row(row: &MetricRow) -> Self {
        Self::of(row.column.unit, row.cells.iter().filter_map(|it| it.mean))
    }

    /// `s`, `%`, …; empty for counts and ratios.
    pub fn label(&self) -> &'static str {
        self.label
    }

    /// The bare number in this unit.
    pub fn scaled(&self, value: f64) -> f64 {
        value * self.factor
    }

    /// The number without its unit.
    pub fn bare(&self, value: f64) -> String {
        let text = format!("{:.*}", self.decimals, self.scaled(value));
        // Never "-0.0".
        match text.strip_prefix('-') {
            Some(rest) if rest.bytes().all(|it| matches!(it, b'0' | b'.')) => rest.to_owned(),
            _ => text,
        }
    }

    /// The number with its unit.
    pub fn full(&self, value: f64) -> String {
        match self.label {
            "" => self.bare(value),
            label => format!("{} {label}", self.bare(value)),
        }
    }

    /// A spread without its unit: what is not zero never looks like zero.
    pub fn spread(&self, value: f64) -> String {
        let text = self.bare(value);
        let looks_zero = text.bytes().all(|it| matches!(it, b'0' | b'.'));
        if !looks_zero || value == 0.0 {
            return text;
        }
        let least = format!("{:.*}", self.decimals, 0.1f64.powi(self.decimals as i32));
        format!("<{least}")
    }

    /// `title` and the unit, for a table's head or an axis.
    pub fn titled(&self, column: &Column) -> String {
        match (self.label, column.unit) {
            ("", Unit::Tasks | Unit::Nodes | Unit::Times | Unit::Ratio) => column.title.clone(),
            (label, _) => format!("{} [{label}]", column.title),
        }
    }
}

/// About four digits in all.
fn decimals(largest: f64) -> usize {
    match largest {
        it if it >= 1_000.0 => 0,
        it if it >= 100.0 => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(unit: Unit, values: &[f64], want: &[&str]) {
        let scale = Scale::of(unit, values.iter().copied());
        let got: Vec<String> = values.iter().map(|&it| scale.full(it)).collect();
        assert_eq!(got, want);
    }

    #[test]
    fn a_column_has_one_unit() {
        check(Unit::Us, &[12_345_678.0, 1_900_000.0], &["12.35 s", "1.90 s"]);
        check(Unit::Us, &[250.0, 0.0], &["250.0 µs", "0.0 µs"]);
        check(Unit::Us, &[7_200e6, 3_600e6], &["2.00 h", "1.00 h"]);
        check(Unit::Us, &[0.0], &["0.00 s"]);
        check(Unit::Share, &[0.5, 0.666_666], &["50.0 %", "66.7 %"]);
        check(Unit::Share, &[0.012], &["1.20 %"]);
        check(Unit::Tasks, &[3.0, 12_000.0], &["3", "12000"]);
        check(Unit::Tasks, &[3.5], &["3.50"]);
    }

    #[test]
    fn small_values_beside_large_ones_are_not_lost() {
        check(Unit::Us, &[7_200e6, 30e6], &["7200 s", "30 s"]);
        check(Unit::Us, &[72_000e6, 30e6], &["1200.0 min", "0.5 min"]);
    }

    #[test]
    fn a_spread_that_exists_is_seen() {
        let scale = Scale::of(Unit::Share, [0.5]);
        assert_eq!(scale.spread(0.0), "0.0");
        assert_eq!(scale.spread(0.000_01), "<0.1");
        assert_eq!(scale.bare(-0.000_01), "0.0");
    }
}
