//! Several runs side by side: what the spread of seeds allows to be said, and what not.
//!
//! Policies are paired: all of them see the same arrivals, lifetimes and faults under one seed. So a
//! policy is compared with the best one by the differences per seed, not by two separate means.
//!
//! * Mean and 95 % interval of a policy: Student's t over seeds.
//! * Difference to the best policy: t-interval of the paired differences; p-values of all other policies
//!   of a metric are corrected together after Holm (S. Holm, Scandinavian Journal of Statistics 6, 1979)
//!   and each policy's corrected interval is that of its step. A policy is behind only if that interval
//!   leaves out zero.
//! * Durations are compared as ratios of (1 s + value): the paired t-test is on the differences of
//!   logarithms. Waits spread over orders of magnitude from seed to seed, and a policy that waits a
//!   hundred times as long under every seed is behind, though the differences in seconds have an interval
//!   that no three seeds can keep off zero. The second is added so that a wait of zero can be compared
//!   and differences far below a second do not count as factors. Slowdowns are compared as ratios of the
//!   values, which are above zero. Intervals of means stay in seconds.
//! * A policy whose mean over the shared seeds is less than 0.05 % of the larger of the two away from the
//!   best one's is level with it, however surely they differ: nobody would see it.
//! * With several seeds, a policy that shares fewer than two of them with the best (a run that was
//!   stopped) is not compared: nothing is known of the spread.
//! * The best policy is the one with the best mean over the same seeds. Choosing it and testing against
//!   it on the same data makes the test somewhat bold when many policies are nearly equal; more seeds
//!   are the remedy.
//! * Where neither input nor policy depends on the seed, all runs are equal and there is nothing to
//!   estimate: differences are exact.

use crate::column::{Better, Column, Unit};
use crate::manifest::Manifest;
use crate::run_report::RunReport;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Chance of calling a difference where there is none, over all policies of one metric.
pub const ALPHA: f64 = 0.05;

/// Means closer than this share of the larger are level.
pub const LEVEL: f64 = 5e-4;

/// Which run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunKey {
    /// As it was written on the command line.
    pub policy: String,
    /// What it was started with.
    pub seed: u64,
}

/// A run and its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Which.
    pub key: RunKey,
    /// Its numbers.
    pub report: RunReport,
}

/// All runs of an experiment, in the order of policies and then seeds, with their statistics.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    manifest: Manifest,
    runs: Vec<Run>,
    policies: Vec<String>,
    seeds: Vec<u64>,
    metrics: Vec<MetricRow>,
    is_exact: bool,
}

/// One column over all policies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricRow {
    /// What it is.
    pub column: Column,
    /// One per policy.
    pub cells: Vec<Cell>,
    /// The policy with the best mean, if the column has a good direction and there are several policies.
    pub best: Option<usize>,
    /// What can be said.
    pub outcome: Outcome,
}

/// One policy in one column.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Cell {
    /// Seeds that gave a value.
    pub n: usize,
    /// Mean over them.
    pub mean: Option<f64>,
    /// Sample standard deviation; `None` below two values.
    pub sd: Option<f64>,
    /// Half of the 95 % interval of the mean; `None` below two values.
    pub ci95_half: Option<f64>,
    /// Where it stands.
    pub standing: Standing,
    /// Against the best policy; `None` for the best itself and where there is no best.
    pub difference: Option<Difference>,
}

/// Where a policy stands in a column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// There is nothing to rank: no value, no good direction, one policy, all alike, or too few seeds
    /// shared with the best.
    #[default]
    Unranked,
    /// Best mean.
    Best,
    /// Not told apart from the best by these seeds, or less than [`LEVEL`] away from it.
    Tied,
    /// Worse than the best, beyond the spread of seeds (or, with one seed, on this one input).
    Behind,
}

/// A policy's value against the best policy's, paired by seed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// Seeds that both have.
    pub n: usize,
    /// Mean of the value less the best policy's.
    pub mean: f64,
    /// Half of its 95 % t-interval; `None` below two pairs.
    pub ci95_half: Option<f64>,
    /// Where they were compared as ratios, the geometric mean of the value over the best policy's; of
    /// durations, of (1 s + value) over (1 s + the best policy's).
    pub ratio: Option<f64>,
    /// Half of the interval of what was compared (differences, or of logarithms for ratios) at the level
    /// of its Holm step.
    pub corrected_half: Option<f64>,
    /// Two-sided p-value, corrected after Holm.
    pub p_holm: Option<f64>,
    /// Whether it is beyond the spread of seeds, and not level.
    pub separates: bool,
}

/// What can be said about one column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// No value, no good direction, one policy only, or none that shares enough seeds with the best.
    NotRanked,
    /// All policies have the same value under every seed.
    Equal,
    /// They differ, but not beyond the spread of seeds, or by less than [`LEVEL`].
    NoDifference,
    /// At least one policy is behind the best beyond the spread of seeds.
    Separated,
    /// They differ, and nothing depends on the seed.
    Exact,
    /// They differ on the one seed there is: the spread is unknown.
    OneSeed,
}

impl Comparison {
    /// Compares runs, given in any order. Of two runs with one key the first is kept.
    ///
    /// Policies keep the order of the manifest; such as it does not list follow by name.
    pub fn new(manifest: Manifest, runs: Vec<(RunKey, RunReport)>) -> Self {
        let mut policies: Vec<String> = Vec::new();
        for policy in &manifest.policies {
            if !policies.contains(policy) && runs.iter().any(|it| it.0.policy == *policy) {
                policies.push(policy.clone());
            }
        }
        let mut others: Vec<String> =
            runs.iter().map(|it| it.0.policy.clone()).filter(|it| !policies.contains(it)).collect();
        others.sort_unstable();
        others.dedup();
        policies.extend(others);
        let mut seeds: Vec<u64> = runs.iter().map(|it| it.0.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();

        let mut runs: Vec<Run> =
            runs.into_iter().map(|(key, report)| Run { key, report }).collect();
        let rank = |policy: &str| policies.iter().position(|it| it == policy);
        runs.sort_by_key(|it| (rank(&it.key.policy), it.key.seed));
        runs.dedup_by(|later, earlier| later.key == earlier.key);

        let is_exact = seeds.len() > 1
            && policies.iter().all(|policy| {
                let mut of_policy = runs.iter().filter(|it| it.key.policy == *policy);
                let first = of_policy.next();
                let mut count = 1;
                let same = of_policy.all(|it| {
                    count += 1;
                    Some(&it.report.values) == first.map(|it| &it.report.values)
                });
                same && count > 1
            });
        let columns = runs.first().map(|it| it.report.columns.clone()).unwrap_or_default();
        let metrics = columns
            .into_iter()
            .map(|column| {
                let table: Vec<Vec<Option<f64>>> = policies
                    .iter()
                    .map(|policy| {
                        seeds
                            .iter()
                            .map(|&seed| {
                                let run = runs
                                    .iter()
                                    .find(|it| it.key.seed == seed && it.key.policy == *policy)?;
                                run.report.value(&column.name)
                            })
                            .collect()
                    })
                    .collect();
                compare(column, &table, is_exact)
            })
            .collect();
        Self { manifest, runs, policies, seeds, metrics, is_exact }
    }

    /// How it was made.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// All runs, by policy in the order given, then by seed.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The runs of a policy, by seed.
    pub fn runs_of(&self, policy: &str) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(move |it| it.key.policy == policy)
    }

    /// Policies in order.
    pub fn policies(&self) -> &[String] {
        &self.policies
    }

    /// Seeds, ascending.
    pub fn seeds(&self) -> &[u64] {
        &self.seeds
    }

    /// One row per column of the runs, in their order.
    pub fn metrics(&self) -> &[MetricRow] {
        &self.metrics
    }

    /// The row of the column of that name.
    pub fn metric(&self, column: &str) -> Option<&MetricRow> {
        self.metrics.iter().find(|it| it.column.name == column)
    }

    /// Whether there are several seeds and every policy gives the same numbers under all of them.
    pub fn is_exact(&self) -> bool {
        self.is_exact
    }

    /// Headline rows that have a value, in order. Counts that are zero everywhere are left out, and so
    /// is a count that repeats an earlier one (all tasks that were never placed were dropped, say).
    pub fn headlines(&self) -> impl Iterator<Item = &MetricRow> {
        let mut shown: Vec<&MetricRow> = Vec::new();
        for row in self.metrics.iter().filter(|it| it.column.headline) {
            let says_something = row.cells.iter().any(|it| it.mean.is_some_and(|it| it != 0.0));
            let is_repeated = shown.iter().any(|it| {
                it.column.unit == Unit::Tasks
                    && row.column.unit == Unit::Tasks
                    && it.column.better == row.column.better
                    && self.runs.iter().all(|run| {
                        run.report.value(&it.column.name) == run.report.value(&row.column.name)
                    })
            });
            if says_something && !is_repeated {
                shown.push(row);
            }
        }
        shown.into_iter()
    }
}

/// Values closer than this share of their size are the same number, rounded differently.
const SAME: f64 = 1e-12;

/// `values`: per policy, per seed.
fn compare(column: Column, values: &[Vec<Option<f64>>], is_exact: bool) -> MetricRow {
    let mut cells: Vec<Cell> = values.iter().map(|it| describe(it)).collect();
    let most = cells.iter().map(|it| it.n).max().unwrap_or(0);
    let has_direction = column.better != Better::Neither;
    let candidates = cells.iter().filter(|it| it.n > 0).count();
    if !has_direction || candidates < 2 {
        return MetricRow { column, cells, best: None, outcome: Outcome::NotRanked };
    }
    let is_better = |a: f64, b: f64| match column.better {
        Better::Higher => a > b,
        _ => a < b,
    };
    let mut best: Option<(usize, f64)> = None;
    for (row, cell) in cells.iter().enumerate().filter(|(_, it)| it.n == most) {
        if let Some(mean) = cell.mean
            && best.is_none_or(|(_, it)| is_better(mean, it))
        {
            best = Some((row, mean));
        }
    }
    let Some((best, _)) = best else {
        return MetricRow { column, cells, best: None, outcome: Outcome::NotRanked };
    };

    let present = values.iter().filter(|it| it.iter().any(Option::is_some));
    if candidates == values.len() && present.clone().all(|it| is_same_row(it, &values[best])) {
        return MetricRow { column, cells, best: None, outcome: Outcome::Equal };
    }

    let seeds = values[best].len();
    let fewest = if seeds == 1 || is_exact { 1 } else { 2 };
    let mut differences: Vec<(usize, Paired)> = Vec::new();
    for (row, of_policy) in values.iter().enumerate() {
        if row != best
            && let Some(it) = Paired::new(of_policy, &values[best], Scale::of(column.unit))
            && it.n >= fewest
        {
            differences.push((row, it));
        }
    }
    if differences.is_empty() {
        return MetricRow { column, cells, best: None, outcome: Outcome::NotRanked };
    }
    // Holm: smallest p first, each against its own level; the first that fails stops the rest.
    differences.sort_by(|a, b| a.1.p.total_cmp(&b.1.p).then(a.0.cmp(&b.0)));
    let count = differences.len();
    let mut stopped = false;
    let mut p_so_far: f64 = 0.0;
    for (step, (row, paired)) in differences.iter().enumerate() {
        let left = (count - step) as f64;
        let level = ALPHA / left;
        p_so_far = p_so_far.max((paired.p * left).min(1.0));
        let tested = paired.tested();
        let corrected_half = tested.half_width(paired.n, level);
        let beyond = match corrected_half {
            _ if is_exact => paired.plain.mean != 0.0,
            // On logarithms another policy than that of the best mean can come out ahead: not behind.
            Some(half) => tested.mean.abs() > half && is_better(0.0, tested.mean),
            None => false,
        };
        stopped |= !beyond && !is_exact;
        let separates = beyond && !stopped && !paired.is_level;
        cells[*row].difference = Some(Difference {
            n: paired.n,
            mean: paired.plain.mean,
            ci95_half: paired.plain.half_width(paired.n, ALPHA),
            ratio: paired.log.map(|it| it.mean.exp()),
            corrected_half,
            p_holm: (paired.n >= 2).then_some(p_so_far),
            separates,
        });
        cells[*row].standing = match paired.n {
            _ if paired.is_level => Standing::Tied,
            1 => Standing::Behind,
            _ if separates => Standing::Behind,
            _ => Standing::Tied,
        };
    }
    cells[best].standing = Standing::Best;
    let any_behind = cells.iter().any(|it| it.standing == Standing::Behind);
    let outcome = match () {
        _ if !any_behind => Outcome::NoDifference,
        _ if seeds == 1 => Outcome::OneSeed,
        _ if is_exact => Outcome::Exact,
        _ => Outcome::Separated,
    };
    MetricRow { column, cells, best: Some(best), outcome }
}

fn is_same_row(a: &[Option<f64>], b: &[Option<f64>]) -> bool {
    a.iter().zip(b).all(|(a, b)| match (a, b) {
        (Some(a), Some(b)) => is_same(*a, *b),
        (None, None) => true,
        _ => false,
    })
}

fn is_same(a: f64, b: f64) -> bool {
    (a - b).abs() <= SAME * a.abs().max(b.abs())
}

/// Whether nobody would see the difference.
pub(crate) fn is_level(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() < LEVEL * a.abs().max(b.abs())
}

/// Mean, spread and interval of one policy's values.
fn describe(values: &[Option<f64>]) -> Cell {
    let known: Vec<f64> = values.iter().copied().flatten().collect();
    let (mean, sd) = mean_and_sd(&known);
    Cell {
        n: known.len(),
        mean,
        sd,
        ci95_half: sd.map(|sd| half_width(sd, known.len(), ALPHA)),
        ..Cell::default()
    }
}

/// Mean and sample standard deviation; equal values have exactly their own mean and none.
fn mean_and_sd(values: &[f64]) -> (Option<f64>, Option<f64>) {
    let Some(&first) = values.first() else { return (None, None) };
    let n = values.len() as f64;
    if values.iter().all(|&it| it == first) {
        return (Some(first), (values.len() > 1).then_some(0.0));
    }
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|it| (it - mean) * (it - mean)).sum();
    (Some(mean), (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt()))
}

/// Half of the interval of a mean of `n` values at two-sided level `alpha`.
fn half_width(sd: f64, n: usize, alpha: f64) -> f64 {
    student(n).map_or(f64::NAN, |t| t.inverse_cdf(1.0 - alpha / 2.0)) * sd / (n as f64).sqrt()
}

/// Student's t with n − 1 degrees of freedom.
fn student(n: usize) -> Option<StudentsT> {
    StudentsT::new(0.0, 1.0, n.checked_sub(1)? as f64).ok()
}

/// On what scale values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    /// By what they differ.
    Plain,
    /// By what they differ in logarithms, where all are above zero.
    Ratio,
    /// By what they differ in logarithms, a second added.
    Duration,
}

/// Added to durations before they are compared as ratios.
const SECOND_US: f64 = 1e6;

impl Scale {
    fn of(unit: Unit) -> Self {
        match unit {
            Unit::Us => Self::Duration,
            Unit::Ratio => Self::Ratio,
            Unit::Share | Unit::Tasks | Unit::Nodes | Unit::Times => Self::Plain,
        }
    }

    /// What is compared instead of a value; `None` for the value itself.
    fn logarithm(self, value: f64) -> Option<f64> {
        let shifted = match self {
            Self::Plain => return None,
            Self::Ratio => value,
            Self::Duration => SECOND_US + value,
        };
        (shifted > 0.0).then(|| shifted.ln())
    }
}

/// A policy against the best one, seed by seed.
struct Paired {
    n: usize,
    plain: Differences,
    /// Of logarithms, if values are compared so and all have one.
    log: Option<Differences>,
    p: f64,
    /// Whether the means over the shared seeds are level.
    is_level: bool,
}

/// Mean and spread of differences.
#[derive(Debug, Clone, Copy)]
struct Differences {
    mean: f64,
    sd: Option<f64>,
}

impl Differences {
    fn new(pairs: &[(f64, f64)]) -> Option<Self> {
        let mut size: f64 = 0.0;
        let mut differences = Vec::new();
        for &(value, best) in pairs {
            size = size.max(value.abs()).max(best.abs());
            differences.push(if is_same(value, best) { 0.0 } else { value - best });
        }
        let (mean, sd) = mean_and_sd(&differences);
        // A spread of the size of rounding is none.
        let sd = sd.map(|it| if it <= SAME * size { 0.0 } else { it });
        Some(Self { mean: mean?, sd })
    }

    fn half_width(self, n: usize, alpha: f64) -> Option<f64> {
        self.sd.map(|sd| half_width(sd, n, alpha))
    }

    /// Two-sided.
    fn p(self, n: usize) -> f64 {
        match (self.sd, student(n)) {
            _ if self.mean == 0.0 => 1.0,
            (Some(sd), Some(t)) if sd > 0.0 => {
                2.0 * t.sf(self.mean.abs() / (sd / (n as f64).sqrt()))
            }
            (Some(_), _) => 0.0,
            (None, _) => 1.0,
        }
    }
}

impl Paired {
    /// `None` if no seed has both.
    fn new(values: &[Option<f64>], best: &[Option<f64>], scale: Scale) -> Option<Self> {
        let pairs: Vec<(f64, f64)> = values
            .iter()
            .zip(best)
            .filter_map(|(value, best)| Some(((*value)?, (*best)?)))
            .collect();
        let plain = Differences::new(&pairs)?;
        let logs: Option<Vec<(f64, f64)>> =
            pairs.iter().map(|it| Some((scale.logarithm(it.0)?, scale.logarithm(it.1)?))).collect();
        let log = logs.and_then(|it| Differences::new(&it));
        let n = pairs.len();
        let p = log.unwrap_or(plain).p(n);
        let mean_of_best = pairs.iter().map(|it| it.1).sum::<f64>() / n as f64;
        let is_level = is_level(mean_of_best + plain.mean, mean_of_best);
        Some(Self { n, plain, log, p, is_level })
    }

    /// What the test is on.
    fn tested(&self) -> Differences {
        self.log.unwrap_or(self.plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[&[f64]], better: Better) -> MetricRow {
        let column = Column::new("x", Unit::Share, better, "x", "x");
        row_of(column, values)
    }

    fn row_of(column: Column, values: &[&[f64]]) -> MetricRow {
        let values: Vec<Vec<Option<f64>>> =
            values.iter().map(|it| it.iter().map(|&it| Some(it)).collect()).collect();
        compare(column, &values, false)
    }

    fn standings(row: &MetricRow) -> Vec<Standing> {
        row.cells.iter().map(|it| it.standing).collect()
    }

    #[test]
    fn intervals_are_students() {
        // t(0.975; 2) = 4.302653, t(0.975; 9) = 2.262157 (any table).
        let one = describe(&[Some(1.0), Some(2.0), Some(3.0)]);
        assert_eq!((one.mean, one.sd), (Some(2.0), Some(1.0)));
        assert!((one.ci95_half.unwrap() - 4.302653 / 3f64.sqrt()).abs() < 1e-5);
        let ten: Vec<Option<f64>> = (0..10).map(|it| Some(f64::from(it))).collect();
        let ten = describe(&ten);
        assert!((ten.ci95_half.unwrap() - 2.262157 * ten.sd.unwrap() / 10f64.sqrt()).abs() < 1e-5);
    }

    #[test]
    fn pairing_sees_what_separate_means_do_not() {
        // Seeds differ by hundreds, policies by one: separate intervals overlap, pairs do not.
        let it = row(&[&[100.0, 500.0, 300.0], &[101.0, 501.1, 300.9]], Better::Lower);
        assert_eq!(it.outcome, Outcome::Separated);
        assert_eq!(standings(&it), [Standing::Best, Standing::Behind]);
        let it = row(&[&[100.0, 500.0, 300.0], &[101.0, 501.1, 300.9]], Better::Higher);
        assert_eq!(standings(&it), [Standing::Behind, Standing::Best]);
    }

    #[test]
    fn durations_and_slowdowns_are_compared_as_ratios() {
        // Under every seed about a hundred times as long, but no two seeds alike.
        let values: [&[f64]; 2] = [&[1e6, 30e6, 6e6], &[110e6, 2800e6, 640e6]];
        let of = |unit| row_of(Column::new("x", unit, Better::Lower, "x", "x"), &values);
        let ratio = |row: &MetricRow| row.cells[1].difference.unwrap().ratio.unwrap();
        let waits = of(Unit::Us);
        assert_eq!(standings(&waits), [Standing::Best, Standing::Behind]);
        // Of (1 s + value): 111 / 2, 2801 / 31 and 641 / 7.
        let want = (111.0 / 2.0 * 2801.0 / 31.0 * 641.0 / 7.0f64).cbrt();
        assert!((ratio(&waits) - want).abs() < 1e-9);
        let slowdowns = of(Unit::Ratio);
        assert_eq!(standings(&slowdowns), [Standing::Best, Standing::Behind]);
        let want = (110.0 * 2800.0 / 30.0 * 640.0 / 6.0f64).cbrt();
        assert!((ratio(&slowdowns) - want).abs() < 1e-9);
        assert_eq!(standings(&of(Unit::Share)), [Standing::Best, Standing::Tied]);
    }

    #[test]
    fn a_wait_of_zero_is_compared_as_a_ratio_too() {
        let values: [&[f64]; 2] = [&[0.0, 30e6, 6e6], &[110e6, 2800e6, 640e6]];
        let row = row_of(Column::new("x", Unit::Us, Better::Lower, "x", "x"), &values);
        assert!(row.cells[1].difference.unwrap().ratio.is_some());
        assert_eq!(standings(&row), [Standing::Best, Standing::Behind]);
    }

    #[test]
    fn differences_that_nobody_sees_make_no_leader() {
        let seen = |values: &[&[f64]]| {
            let it = row(values, Better::Lower);
            (it.outcome, standings(&it))
        };
        let tied = vec![Standing::Best, Standing::Tied];
        let behind = vec![Standing::Best, Standing::Behind];
        assert_eq!(seen(&[&[1.0], &[1.0004]]), (Outcome::NoDifference, tied.clone()));
        assert_eq!(seen(&[&[1.0], &[1.0006]]), (Outcome::OneSeed, behind.clone()));
        // Surely different, from seed to seed by the same.
        let small = seen(&[&[1.0, 2.0, 3.0], &[1.0002, 2.0002, 3.0002]]);
        assert_eq!(small, (Outcome::NoDifference, tied.clone()));
        let large = seen(&[&[1.0, 2.0, 3.0], &[1.002, 2.002, 3.002]]);
        assert_eq!(large, (Outcome::Separated, behind.clone()));
        let exact = |other: f64| {
            let column = Column::new("x", Unit::Share, Better::Lower, "x", "x");
            let it = compare(column, &[vec![Some(1.0); 2], vec![Some(other); 2]], true);
            (it.outcome, standings(&it))
        };
        assert_eq!(exact(1.0004), (Outcome::NoDifference, tied));
        assert_eq!(exact(1.0006), (Outcome::Exact, behind));
    }

    #[test]
    fn too_few_shared_seeds_allow_no_claim() {
        let column = || Column::new("x", Unit::Share, Better::Lower, "x", "x");
        let stopped = vec![Some(9.0), None, None];
        let whole = vec![Some(5.0), Some(6.0), Some(7.0)];
        let it = compare(column(), &[whole.clone(), stopped.clone()], false);
        assert_eq!((it.outcome, it.best), (Outcome::NotRanked, None));
        assert_eq!(standings(&it), [Standing::Unranked; 2]);
        assert_eq!(it.cells[1].difference, None);
        let third = vec![Some(8.0), Some(9.0), Some(10.1)];
        let it = compare(column(), &[whole, stopped.clone(), third], false);
        assert_eq!(it.outcome, Outcome::Separated);
        assert_eq!(standings(&it), [Standing::Best, Standing::Unranked, Standing::Behind]);
        // One value each, of several seeds.
        let other = vec![Some(1.0), None, None];
        let it = compare(column(), &[other, stopped], false);
        assert_eq!((it.outcome, it.best), (Outcome::NotRanked, None));
    }

    #[test]
    fn noise_is_no_difference() {
        let it = row(&[&[10.0, 12.0, 11.0], &[11.0, 11.0, 11.5]], Better::Lower);
        assert_eq!(it.outcome, Outcome::NoDifference);
        assert_eq!(standings(&it), [Standing::Best, Standing::Tied]);
    }

    #[test]
    fn one_seed_claims_nothing_beyond_it() {
        let it = row(&[&[1.0], &[2.0], &[1.0]], Better::Lower);
        assert_eq!(it.outcome, Outcome::OneSeed);
        assert_eq!(standings(&it), [Standing::Best, Standing::Behind, Standing::Tied]);
        assert_eq!(it.cells[1].ci95_half, None);
        assert_eq!(it.cells[1].difference.unwrap().p_holm, None);
    }

    #[test]
    fn equal_policies_have_no_best() {
        let it = row(&[&[3.0, 4.0], &[3.0, 4.0]], Better::Lower);
        assert_eq!((it.outcome, it.best), (Outcome::Equal, None));
    }

    #[test]
    fn columns_without_direction_are_not_ranked() {
        let it = row(&[&[3.0, 4.0], &[5.0, 6.0]], Better::Neither);
        assert_eq!((it.outcome, it.best), (Outcome::NotRanked, None));
    }

    #[test]
    fn holm_corrects_for_many_policies() {
        // One comparison of p ≈ 0.03 separates alone, and not among nine others of no effect.
        let best = [0.0, 0.0, 0.0, 0.0];
        let shifted = [1.0, 2.0, 1.1, 3.0];
        let alone = row(&[&best, &shifted], Better::Lower);
        let p = alone.cells[1].difference.unwrap().p_holm.unwrap();
        assert!((0.02..0.05).contains(&p), "{p}");
        assert_eq!(standings(&alone)[1], Standing::Behind);
        let noise = [1.0, -0.9, 0.5, -0.5];
        let many = row(&[&best, &shifted, &noise, &noise, &noise], Better::Lower);
        assert_eq!(standings(&many)[1], Standing::Tied);
        let again = many.cells[1].difference.unwrap();
        assert!((again.p_holm.unwrap() - p * 4.0).abs() < 1e-9);
        assert!(again.corrected_half.unwrap() > again.ci95_half.unwrap());
    }

    #[test]
    fn a_missing_value_is_left_out_and_not_zero() {
        let column = Column::new("x", Unit::Share, Better::Lower, "x", "x");
        let values = vec![
            vec![Some(5.0), Some(6.0), Some(7.0)],
            vec![None, None, None],
            vec![Some(8.0), None, Some(10.0)],
        ];
        let it = compare(column, &values, false);
        assert_eq!(standings(&it), [Standing::Best, Standing::Unranked, Standing::Behind]);
        assert_eq!((it.cells[1].n, it.cells[1].mean), (0, None));
        assert_eq!(it.cells[2].difference.unwrap().n, 2);
    }
}
