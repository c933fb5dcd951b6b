//! What was found of one policy on one trace, against what was published.

use super::published::{Means, Published};
use super::{Done, RANDOM, Values};
use serde::Serialize;

/// What may differ, in points of percent, of the policies that do not draw: the last digit that was
/// published of a mean of rounded values.
const EXACT: Values = Values { allocated: 0.01, fragmented: 0.001 };
/// Of the means over all seeds of the one that draws.
const OF_DRAWS: Values = Values { allocated: 0.35, fragmented: 1.5 };

/// Numbers are read from decimal text.
const SLACK: f64 = 1e-9;

/// One policy on one trace.
#[derive(Serialize)]
pub(super) struct Verdict {
    pub(super) trace: String,
    /// As published.
    pub(super) policy: &'static str,
    /// Ours.
    pub(super) ours: &'static str,
    pub(super) seeds: usize,
    /// Published values that were compared.
    pub(super) values: usize,
    /// Largest differences.
    pub(super) allocated_off_max_pp: f64,
    pub(super) fragmented_off_max_pp: f64,
    /// `None` where no count was published.
    pub(super) dropped_off_max: Option<u64>,
    /// What may differ.
    pub(super) allocated_tolerance_pp: f64,
    pub(super) fragmented_tolerance_pp: f64,
    /// `None` if nothing was compared.
    pub(super) agrees: Option<bool>,
    pub(super) misses: Vec<String>,
    /// Mean over the seeds, per load, with what was published where it was.
    #[serde(skip)]
    pub(super) curve: Vec<Point>,
    #[serde(skip)]
    pub(super) runs: Vec<Done>,
}

/// Means over the seeds.
#[derive(Clone, Copy)]
pub(super) struct Point {
    pub(super) load: usize,
    pub(super) ours: Values,
    pub(super) published: Option<Values>,
}

impl Verdict {
    /// Compares runs of one policy on one trace.
    pub(super) fn of(
        published: &Published,
        trace: &str,
        theirs: &'static str,
        ours: &'static str,
        runs: Vec<Done>,
    ) -> Self {
        let tolerance = if theirs == RANDOM { OF_DRAWS } else { EXACT };
        let mut this = Self {
            trace: trace.to_owned(),
            policy: theirs,
            ours,
            seeds: runs.len(),
            values: 0,
            allocated_off_max_pp: 0.0,
            fragmented_off_max_pp: 0.0,
            dropped_off_max: None,
            allocated_tolerance_pp: tolerance.allocated,
            fragmented_tolerance_pp: tolerance.fragmented,
            agrees: None,
            misses: Vec::new(),
            curve: Vec::new(),
            runs: Vec::new(),
        };
        if theirs != RANDOM {
            runs.iter().for_each(|it| this.compare_run(published, it));
        }
        this.compare_means(published.means.get(&(trace.to_owned(), theirs.to_owned())), &runs);
        this.runs = runs;
        let is_compared = this.values > 0 || !this.misses.is_empty();
        this.agrees = is_compared.then_some(this.misses.is_empty());
        this
    }

    /// Value by value, and the pods dropped.
    fn compare_run(&mut self, published: &Published, done: &Done) {
        let key = (self.trace.clone(), self.policy.to_owned(), done.seed);
        let who = format!("{}, {}, seed {}", self.trace, self.policy, done.seed);
        for &(load, want) in published.runs.get(&key).into_iter().flatten() {
            // Published values are rounded to hundredths.
            let got = done.curve.get(load).copied().flatten().map(|it| Values {
                allocated: (it.allocated * 100.0).round_ties_even() / 100.0,
                ..it
            });
            self.compare(&who, load, got, want, EXACT);
        }
        if let Some(&want) = published.dropped.get(&key) {
            let off = done.dropped.abs_diff(want);
            let worst = self.dropped_off_max.get_or_insert(0);
            *worst = off.max(*worst);
            self.values += 1;
            if off > 0 {
                let got = done.dropped;
                self.misses.push(format!("{who}: {got} pods dropped, published {want}"));
            }
        }
    }

    /// Means over the seeds, and the curve of them. Those of policies that do not draw are compared if there
    /// are as many runs as were published.
    fn compare_means(&mut self, means: Option<&Means>, runs: &[Done]) {
        let published = |load| means.and_then(|it| it.loads.iter().find(|it| it.0 == load));
        let loads = runs.iter().map(|it| it.curve.len()).max().unwrap_or(0);
        for (load, ours) in (0..loads).filter_map(|load| Some((load, mean(runs, load)?))) {
            self.curve.push(Point { load, ours, published: published(load).map(|it| it.1) });
        }
        let draws = self.policy == RANDOM;
        let Some(means) = means.filter(|it| draws || it.seeds == runs.len()) else { return };
        let who = format!("{}, {}, mean of {} seeds", self.trace, self.policy, runs.len());
        for &(load, want, sd) in &means.loads {
            let tolerance =
                if draws { tolerance_of_draws(sd, runs.len(), means.seeds) } else { EXACT };
            self.allocated_tolerance_pp = self.allocated_tolerance_pp.max(tolerance.allocated);
            self.fragmented_tolerance_pp = self.fragmented_tolerance_pp.max(tolerance.fragmented);
            self.compare(&who, load, mean(runs, load), want, tolerance);
        }
    }

    fn compare(
        &mut self,
        who: &str,
        load: usize,
        got: Option<Values>,
        want: Values,
        tolerance: Values,
    ) {
        let Some(got) = got else {
            self.misses.push(format!("{who}: no pod arrives at {load} %"));
            return;
        };
        self.values += 2;
        let allocated = (got.allocated - want.allocated).abs();
        let fragmented = (got.fragmented - want.fragmented).abs();
        self.allocated_off_max_pp = self.allocated_off_max_pp.max(allocated);
        self.fragmented_off_max_pp = self.fragmented_off_max_pp.max(fragmented);
        for (what, off, most, got, want) in [
            ("allocated", allocated, tolerance.allocated, got.allocated, want.allocated),
            ("fragmented", fragmented, tolerance.fragmented, got.fragmented, want.fragmented),
        ] {
            if off > most + SLACK {
                self.misses.push(format!(
                    "{who}: at {load} % {got:.4} % {what}, published {want} % (may differ by {most})"
                ));
            }
        }
    }
}

/// The mean at a load, if all runs have a value there.
fn mean(runs: &[Done], load: usize) -> Option<Values> {
    let at = |it: &Done| it.curve.get(load).copied().flatten();
    let there: Vec<Values> = runs.iter().map(at).collect::<Option<_>>()?;
    let count = there.len() as f64;
    Some(Values {
        allocated: there.iter().map(|it| it.allocated).sum::<f64>() / count,
        fragmented: there.iter().map(|it| it.fragmented).sum::<f64>() / count,
    })
}

/// What the mean of so many runs that draw may differ by: the fixed tolerance for as many as were
/// published; for fewer four standard errors of the difference, if that is more.
fn tolerance_of_draws(sd: Values, seeds: usize, published: usize) -> Values {
    let (seeds, published) = (seeds.max(1) as f64, published.max(1) as f64);
    let error = |sd: f64| if seeds < published { 4.0 * sd * (2.0 / seeds).sqrt() } else { 0.0 };
    Values {
        allocated: OF_DRAWS.allocated.max(error(sd.allocated)),
        fragmented: OF_DRAWS.fragmented.max(error(sd.fragmented)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(allocated: f64, fragmented: f64) -> Values {
        Values { allocated, fragmented }
    }

    /// A run that drops 3 pods, with one value at load 1.
    fn run(seed: u64, at_one: Values) -> Done {
        let curve = vec![None, Some(at_one)];
        Done { seed, curve, dropped: 3, fingerprint: String::new() }
    }

    /// Of runs of seeds 1 and 2 on trace `a`.
    #[track_caller]
    fn check(policy: &'static str, published: &Published, got: [Values; 2], misses: &[&str]) {
        let runs = vec![run(1, got[0]), run(2, got[1])];
        let verdict = Verdict::of(published, "a", policy, "ours", runs);
        assert_eq!(verdict.misses, misses);
        assert_eq!(verdict.agrees, Some(misses.is_empty()));
    }

    fn published(policy: &str) -> Published {
        let key = |seed| ("a".to_owned(), policy.to_owned(), seed);
        let means = Means { seeds: 2, loads: vec![(1, values(50.0, 20.0), values(0.1, 0.2))] };
        Published {
            runs: [1, 2].map(|it| (key(it), vec![(1, values(50.0, 20.0))])).into(),
            means: [(("a".to_owned(), policy.to_owned()), means)].into(),
            dropped: [(key(1), 3)].into(),
        }
    }

    #[test]
    fn policies_that_do_not_draw_must_be_equal_to_the_last_digit() {
        let (policy, want) = ("05-BestFit", published("05-BestFit"));
        check(policy, &want, [values(50.0, 20.0); 2], &[]);
        check(policy, &want, [values(50.0149, 20.0009), values(49.986, 20.0)], &[]);
        check(
            policy,
            &want,
            [values(50.02, 20.0), values(49.98, 20.0)],
            &[
                "a, 05-BestFit, seed 1: at 1 % 50.0200 % allocated, published 50 % (may differ by 0.01)",
                "a, 05-BestFit, seed 2: at 1 % 49.9800 % allocated, published 50 % (may differ by 0.01)",
            ],
        );
        check(
            policy,
            &want,
            [values(50.0, 20.002), values(50.0, 19.999)],
            &[
                "a, 05-BestFit, seed 1: at 1 % 20.0020 % fragmented, published 20 % (may differ by 0.001)",
            ],
        );
    }

    #[test]
    fn dropped_pods_must_be_as_many() {
        let mut want = published("05-BestFit");
        want.dropped.values_mut().for_each(|it| *it = 5);
        let miss = "a, 05-BestFit, seed 1: 3 pods dropped, published 5";
        check("05-BestFit", &want, [values(50.0, 20.0); 2], &[miss]);
    }

    #[test]
    fn a_load_that_no_pod_reaches_is_a_miss() {
        let mut want = published("05-BestFit");
        want.runs.clear();
        want.means.values_mut().for_each(|it| it.loads[0].0 = 2);
        let miss = "a, 05-BestFit, mean of 2 seeds: no pod arrives at 2 %";
        check("05-BestFit", &want, [values(50.0, 20.0); 2], &[miss]);
    }

    #[test]
    fn draws_are_compared_by_their_mean() {
        let want = published(RANDOM);
        check(RANDOM, &want, [values(51.3, 25.0), values(49.3, 18.0)], &[]);
        check(
            RANDOM,
            &want,
            [values(51.0, 20.0), values(49.8, 20.0)],
            &[
                "a, 01-Random, mean of 2 seeds: at 1 % 50.4000 % allocated, published 50 % (may differ by 0.35)",
            ],
        );
    }

    #[test]
    fn what_is_not_published_is_neither_right_nor_wrong() {
        let runs = || vec![run(1, values(1.0, 1.0)), run(9, values(2.0, 2.0))];
        let other = Verdict::of(&published("05-BestFit"), "b", "05-BestFit", "ours", runs());
        assert_eq!((other.agrees, other.values, other.curve.len()), (None, 0, 1));
        // A mean of other seeds, and fewer.
        let one = vec![run(9, values(1.0, 1.0))];
        let other = Verdict::of(&published("05-BestFit"), "a", "05-BestFit", "ours", one);
        assert_eq!((other.agrees, other.values), (None, 0));
    }

    #[test]
    fn fewer_seeds_may_differ_by_more() {
        let sd = Values { allocated: 0.3, fragmented: 0.1 };
        let all = tolerance_of_draws(sd, 10, 10);
        assert_eq!((all.allocated, all.fragmented), (0.35, 1.5));
        let two = tolerance_of_draws(sd, 2, 10);
        assert_eq!((two.allocated, two.fragmented), (1.2, 1.5));
    }
}
