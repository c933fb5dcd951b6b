//! The comparison in words: what it shows, and what it does not.

use crate::column::Better;
use crate::comparison::{ALPHA, Comparison, MetricRow, Outcome, Standing, is_level};
use crate::number::Scale;
use serde::Serialize;

/// What can honestly be said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// One sentence.
    pub sentence: String,
    /// What it rests on.
    pub support: Vec<String>,
}

impl Comparison {
    /// The comparison in words, from the headline metrics alone.
    pub fn verdict(&self) -> Verdict {
        let rows: Vec<&MetricRow> = self.headlines().collect();
        let mut support: Vec<String> = rows.iter().filter_map(|row| self.clause(row)).collect();
        let sentence = match (self.runs().len(), self.policies()) {
            (0, _) | (_, []) => "No run finished: there is nothing to compare.".to_owned(),
            (_, [only]) => format!(
                "{only} ran alone ({}): there is nothing to compare it with.",
                seeds_text(self.seeds().len())
            ),
            (_, policies) => self.sentence(&rows, policies),
        };
        if self.policies().len() > 1 {
            support.push(self.basis());
        }
        Verdict { sentence, support }
    }

    fn sentence(&self, rows: &[&MetricRow], policies: &[String]) -> String {
        let differing: Vec<&&MetricRow> = rows
            .iter()
            .filter(|it| {
                matches!(it.outcome, Outcome::Separated | Outcome::Exact | Outcome::OneSeed)
            })
            .collect();
        let n = self.seeds().len();
        let scope = match () {
            _ if n == 1 => format!("On this one input (seed {})", self.seeds()[0]),
            _ if self.is_exact() => "Exactly, whatever the seed".to_owned(),
            _ => format!("Beyond the spread of {n} seeds"),
        };
        if differing.is_empty() {
            return self.no_difference(rows);
        }
        let count = differing.len();
        let metrics = match &differing[..] {
            [only] => format!("the one headline metric that differs ({})", only.column.title),
            _ => format!("all {count} headline metrics that differ"),
        };
        let champions: Vec<usize> = (0..policies.len())
            .filter(|&it| differing.iter().all(|row| is_best_or_tied(row, it)))
            .collect();
        let said = match champions[..] {
            [one] if differing.iter().all(|row| leads(row, one)) => {
                format!("{} leads in {metrics}", policies[one])
            }
            [one] => format!("{} is best or level with the best in {metrics}", policies[one]),
            [] => format!("no policy is best at everything: {}", shared_out(&differing, policies)),
            _ => {
                let names: Vec<&str> = champions.iter().map(|&it| policies[it].as_str()).collect();
                let who = match names.len() {
                    ..=3 => listed(names),
                    more => format!("{more} of {} policies", policies.len()),
                };
                format!("{who} are each best or level with the best in {metrics}")
            }
        };
        match n {
            1 => format!("{scope}, {said}; with one seed nothing is claimed beyond it."),
            _ => format!("{scope}, {said}."),
        }
    }

    /// The sentence where no headline metric has a policy behind.
    fn no_difference(&self, rows: &[&MetricRow]) -> String {
        let count = self.policies().len();
        let n = self.seeds().len();
        let open = rows.iter().filter(|it| it.outcome == Outcome::NoDifference);
        match open.clone().count() {
            0 if rows.iter().any(|it| lacks_seeds(it)) => {
                "No comparison: the policies share too few seeds.".to_owned()
            }
            0 => format!(
                "No difference: all {count} policies give the same value in every headline metric."
            ),
            _ if open.clone().all(|it| are_all_level(it)) => format!(
                "No difference: no headline metric sets any of the {count} policies 0.05 % or more \
                 apart from the best."
            ),
            _ => format!(
                "No difference: no headline metric tells the {count} policies apart beyond the \
                 spread of {n} seeds."
            ),
        }
    }

    /// One headline metric in one sentence.
    fn clause(&self, row: &MetricRow) -> Option<String> {
        let scale = Scale::of_row(row);
        let title = &row.column.title;
        let policy = |it: usize| self.policies()[it].as_str();
        let value = |it: usize| {
            let cell = &row.cells[it];
            let mean = cell.mean.unwrap_or_default();
            match cell.ci95_half {
                Some(half) if !self.is_exact() => {
                    format!("{} ± {}", scale.full(mean), scale.spread(half))
                }
                _ => scale.full(mean),
            }
        };
        let means = |wanted: fn(Standing) -> bool| -> Vec<(usize, f64)> {
            let cells = row.cells.iter().enumerate().filter(|(_, it)| wanted(it.standing));
            cells.filter_map(|(at, it)| Some((at, it.mean?))).collect()
        };
        let range = |known: &[(usize, f64)]| {
            let low = known.iter().map(|it| it.1).fold(f64::INFINITY, f64::min);
            let high = known.iter().map(|it| it.1).fold(f64::NEG_INFINITY, f64::max);
            if scale.bare(low) == scale.bare(high) {
                return scale.full(low);
            }
            format!("from {} to {}", scale.bare(low), scale.full(high))
        };
        let unranked = means(|it| it == Standing::Unranked);
        let Some(best) = row.best else {
            return Some(match unranked[..] {
                [] => return None,
                [(only, _)] => format!("{title}: {}.", value(only)),
                [(_, first), ..] if unranked.iter().all(|it| it.1 == first) => {
                    format!("{title}: {} for every policy.", scale.full(first))
                }
                _ if lacks_seeds(row) => {
                    format!("{title}: {}, with too few shared seeds to compare.", range(&unranked))
                }
                _ => format!("{title}: {} (not ranked).", range(&unranked)),
            });
        };
        let missing = match unranked[..] {
            [] => String::new(),
            [(one, _)] => format!("; {} shares too few seeds to compare", policy(one)),
            _ => format!("; {} others share too few seeds to compare", unranked.len()),
        };
        let known = means(|it| it != Standing::Unranked);
        if row.outcome == Outcome::NoDifference {
            return Some(if are_all_level(row) {
                format!("{title}: {}, all within 0.05 % of the best{missing}.", range(&known))
            } else {
                let n = self.seeds().len();
                let range = range(&known);
                format!("{title}: no difference beyond the spread of {n} seeds ({range}){missing}.")
            });
        }
        let mut text = format!("{title}: {} {}", policy(best), value(best));
        let tied: Vec<&str> =
            means(|it| it == Standing::Tied).into_iter().map(|it| policy(it.0)).collect();
        if !tied.is_empty() {
            text += &format!(", {} level with it", counted(&tied));
        }
        let behind = means(|it| it == Standing::Behind);
        let is_higher = row.column.better == Better::Higher;
        let badness = |mean: f64| if is_higher { -mean } else { mean };
        if let Some(&(worst, mean)) =
            behind.iter().max_by(|a, b| badness(a.1).total_cmp(&badness(b.1)))
        {
            let printed = scale.bare(mean);
            let sharing = behind.iter().filter(|it| scale.bare(it.1) == printed).count();
            text += &match (behind.len(), sharing) {
                (1, _) => format!("; {} behind with {}", policy(worst), value(worst)),
                (count, 1) => format!(
                    "; {count} behind, the furthest {} with {}",
                    policy(worst),
                    value(worst)
                ),
                (count, all) if count == all => {
                    format!("; {count} behind with {}", scale.full(mean))
                }
                (count, _) => format!("; {count} behind, at worst with {}", scale.full(mean)),
            };
        }
        Some(text + &missing + ".")
    }

    /// What the claims rest on.
    fn basis(&self) -> String {
        let n = self.seeds().len();
        let percent = 100.0 * (1.0 - ALPHA);
        match n {
            1 => "One seed: marks show the order on this input, not a claim about others; use \
                  --seeds to learn the spread."
                .to_owned(),
            _ if self.is_exact() => format!(
                "Exact: input and policy do not depend on the seed (all {n} runs of each policy are \
                 equal), so there is no spread and no interval."
            ),
            _ => format!(
                "± is half of the {percent:.0} % interval over {n} seeds (Student's t). Policies are \
                 compared pairwise on the same seeds with the best of each metric (durations and \
                 slowdowns as ratios: of (1 s + value) for durations), corrected for their number \
                 after Holm. Less than 0.05 % from the best is level with it."
            ),
        }
    }

    /// What the reader must know before the numbers: made-up zones, missing runs, notes of the runs.
    pub fn warnings(&self) -> Vec<String> {
        let manifest = self.manifest();
        let mut all = Vec::new();
        if let Some(how) = &manifest.synthetic_zones {
            all.push(format!("Zones are synthetic, not from the input: {how}."));
        }
        if manifest.interrupted {
            all.push(format!(
                "The command was stopped early: {} of {} runs finished.",
                manifest.runs_finished, manifest.runs_planned
            ));
        }
        let seeds = self.seeds().len();
        for policy in self.policies() {
            let there = self.runs_of(policy).count();
            if there < seeds {
                all.push(format!("{policy} has {there} of {seeds} seeds."));
            }
        }
        let open = self.runs().iter().filter_map(|it| it.report.value("wait_open_tasks"));
        let open = open.fold(0.0, f64::max);
        if open > 0.0 {
            all.push(format!(
                "Up to {open} tasks of a run still waited for their first placement when it ended: \
                 their waits are lower bounds."
            ));
        }
        let notes = self.runs().iter().flat_map(|it| &it.report.notes);
        for note in manifest.warnings.iter().chain(notes) {
            if !all.contains(note) {
                all.push(note.clone());
            }
        }
        all
    }
}

fn is_best_or_tied(row: &MetricRow, policy: usize) -> bool {
    matches!(row.cells[policy].standing, Standing::Best | Standing::Tied)
}

/// Whether a policy is best and all others are behind it.
fn leads(row: &MetricRow, policy: usize) -> bool {
    let mut cells = row.cells.iter().enumerate();
    row.best == Some(policy)
        && cells.all(|(at, it)| at == policy || it.standing == Standing::Behind)
}

/// Whether all that were compared are level by size, not only for want of seeds.
fn are_all_level(row: &MetricRow) -> bool {
    let best = row.best.and_then(|it| row.cells[it].mean);
    let mut cells = row.cells.iter().filter(|it| it.standing != Standing::Unranked);
    cells.all(|it| it.mean.zip(best).is_some_and(|(mean, best)| is_level(mean, best)))
}

/// Whether policies that have values were not compared, though the column has a good direction.
fn lacks_seeds(row: &MetricRow) -> bool {
    row.outcome == Outcome::NotRanked
        && row.column.better != Better::Neither
        && row.cells.iter().filter(|it| it.mean.is_some()).count() > 1
}

/// Who is best where: first the policy that is best or level with the best in most metrics, then who is
/// so in most of the others, until none is left.
fn shared_out(rows: &[&&MetricRow], policies: &[String]) -> String {
    let mut left: Vec<&MetricRow> = rows.iter().map(|it| **it).collect();
    let mut parts: Vec<String> = Vec::new();
    while !left.is_empty() {
        let covered = |it: usize| left.iter().filter(|row| is_best_or_tied(row, it)).count();
        let Some(most) = (0..policies.len()).max_by_key(|&it| (covered(it), usize::MAX - it))
        else {
            break;
        };
        let (of_policy, others): (Vec<&MetricRow>, Vec<&MetricRow>) =
            left.iter().partition(|row| is_best_or_tied(row, most));
        if of_policy.is_empty() {
            break;
        }
        let (alone, level): (Vec<&MetricRow>, Vec<&MetricRow>) =
            of_policy.iter().partition(|row| leads(row, most));
        let said = |verb: &str, rows: &[&MetricRow]| {
            let titles = listed(rows.iter().map(|it| it.column.title.as_str()));
            (!rows.is_empty()).then(|| format!("{verb} in {titles}"))
        };
        let said = [said("leads", &alone), said("is best or level with the best", &level)];
        let said: Vec<String> = said.into_iter().flatten().collect();
        parts.push(format!("{} {}", policies[most], said.join(" and ")));
        left = others;
    }
    parts.join("; ")
}

/// `1 seed`, `3 seeds`.
pub(crate) fn seeds_text(n: usize) -> String {
    if n == 1 { "1 seed".to_owned() } else { format!("{n} seeds") }
}

/// `a, b and c`.
fn listed<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let texts: Vec<&str> = texts.into_iter().collect();
    match texts.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// Up to three by name, more by number.
fn counted(names: &[&str]) -> String {
    if names.len() <= 3 { listed(names.iter().copied()) } else { format!("{} others", names.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::{Column, Unit};
    use crate::comparison::RunKey;
    use crate::manifest::Manifest;
    use crate::run_report::RunReport;

    /// Policies `a`, `b`, … and metrics `m0`, `m1`, …: `metrics[metric][policy][seed]`.
    fn said(metrics: &[&[&[f64]]]) -> String {
        let column = |at: usize| {
            Column::new(format!("m{at}"), Unit::Share, Better::Lower, format!("m{at}"), "x")
                .headline()
        };
        let columns: Vec<Column> = (0..metrics.len()).map(column).collect();
        let mut runs = Vec::new();
        for (policy, name) in ["a", "b", "c", "d"].iter().enumerate().take(metrics[0].len()) {
            for seed in 0..metrics[0][policy].len() {
                let values = metrics.iter().map(|it| Some(it[policy][seed])).collect();
                let report = RunReport::of_values(columns.clone(), values);
                runs.push((RunKey { policy: (*name).to_owned(), seed: seed as u64 }, report));
            }
        }
        let verdict = Comparison::new(Manifest::default(), runs).verdict();
        let (_, clauses) = verdict.support.split_last().unwrap();
        format!("{}\n{}", verdict.sentence, clauses.join("\n"))
    }

    #[test]
    fn only_who_separates_from_all_others_leads() {
        // `b` is level with the best in m0 and alone ahead in m1; `a` only ahead in m2.
        let text = said(&[
            &[&[0.10], &[0.10], &[0.30]],
            &[&[0.20], &[0.10], &[0.30]],
            &[&[0.10], &[0.20], &[0.20]],
        ]);
        insta::assert_snapshot!(text, @r"
        On this one input (seed 0), no policy is best at everything: a leads in m2 and is best or level with the best in m0; b leads in m1; with one seed nothing is claimed beyond it.
        m0: a 10.0 %, b level with it; c behind with 30.0 %.
        m1: b 10.0 %; 2 behind, the furthest c with 30.0 %.
        m2: a 10.0 %; 2 behind with 20.0 %.
        ");
    }

    #[test]
    fn the_furthest_is_one_of_those_behind() {
        // `b` has the worst mean of all, and a spread that allows no claim.
        let text = said(&[&[
            &[0.10, 0.11, 0.12],
            &[0.02, 0.90, 0.30],
            &[0.15, 0.16, 0.171],
            &[0.13, 0.14, 0.151],
        ]]);
        insta::assert_snapshot!(text, @r"
        Beyond the spread of 3 seeds, a and b are each best or level with the best in the one headline metric that differs (m0).
        m0: a 11.0 % ± 2.5, b level with it; 2 behind, the furthest c with 16.0 % ± 2.6.
        ");
    }

    #[test]
    fn nobody_is_singled_out_of_equals() {
        let text = said(&[
            &[&[0.10], &[0.30], &[0.30], &[0.20]],
            &[&[0.10], &[0.30], &[0.30], &[0.30]],
            &[&[0.10], &[0.30], &[0.10], &[0.10]],
            &[&[0.10], &[0.100_01], &[0.10], &[0.10]],
        ]);
        insta::assert_snapshot!(text, @r"
        On this one input (seed 0), a is best or level with the best in all 3 headline metrics that differ; with one seed nothing is claimed beyond it.
        m0: a 10.0 %; 3 behind, at worst with 30.0 %.
        m1: a 10.0 %; 3 behind with 30.0 %.
        m2: a 10.0 %, c and d level with it; b behind with 30.0 %.
        m3: 10.0 %, all within 0.05 % of the best.
        ");
    }

    #[test]
    fn a_policy_that_was_stopped_is_not_compared() {
        let whole = [0.10, 0.11, 0.12];
        insta::assert_snapshot!(said(&[&[&whole, &[0.30]]]), @r"
        No comparison: the policies share too few seeds.
        m0: from 11.0 to 30.0 %, with too few shared seeds to compare.
        ");
        insta::assert_snapshot!(said(&[&[&whole, &[0.30], &[0.2, 0.21, 0.222]]]), @r"
        Beyond the spread of 3 seeds, a is best or level with the best in the one headline metric that differs (m0).
        m0: a 11.0 % ± 2.5; c behind with 21.1 % ± 2.7; b shares too few seeds to compare.
        ");
    }
}
