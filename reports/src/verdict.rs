//! The comparison in words: what it shows, and what it does not.

use crate::comparison::{ALPHA, Comparison, MetricRow, Outcome, Standing};
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
            let count = policies.len();
            if rows.iter().all(|it| it.outcome != Outcome::NoDifference) {
                return format!(
                    "No difference: all {count} policies give the same value in every headline \
                     metric."
                );
            }
            return format!(
                "No difference: no headline metric tells the {count} policies apart beyond the \
                 spread of {n} seeds."
            );
        }
        let leads = |policy: usize, row: &MetricRow| {
            matches!(row.cells[policy].standing, Standing::Best | Standing::Tied)
        };
        let champions: Vec<&str> = (0..policies.len())
            .filter(|&it| differing.iter().all(|row| leads(it, row)))
            .map(|it| policies[it].as_str())
            .collect();
        let titles = listed(differing.iter().map(|it| it.column.title.as_str()));
        let count = differing.len();
        let metrics = if count == 1 {
            format!("the one headline metric that differs ({titles})")
        } else {
            format!("all {count} headline metrics that differ ({titles})")
        };
        let said = match champions[..] {
            [one] => format!("{one} is best or level with the best in {metrics}"),
            [] => {
                let mut parts = Vec::new();
                for (it, policy) in policies.iter().enumerate() {
                    let best_in = differing.iter().filter(|row| row.best == Some(it));
                    let titles: Vec<&str> = best_in.map(|row| row.column.title.as_str()).collect();
                    if !titles.is_empty() {
                        parts.push(format!("{policy} leads in {}", listed(titles)));
                    }
                }
                format!("no policy is best at everything: {}", parts.join("; "))
            }
            _ => format!(
                "{} are level with each other and best in {metrics}",
                listed(champions.iter().copied())
            ),
        };
        match n {
            1 => format!(
                "{scope}, {said}; with one seed the spread is unknown, and nothing is claimed beyond \
                 this input."
            ),
            _ => format!("{scope}, {said}."),
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
        let known: Vec<(usize, f64)> = row
            .cells
            .iter()
            .enumerate()
            .filter_map(|(it, cell)| cell.mean.map(|mean| (it, mean)))
            .collect();
        let low = known.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1))?;
        let high = known.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let range = format!("from {} to {}", scale.bare(low.1), scale.full(high.1));
        let Some(best) = row.best else {
            return Some(match () {
                _ if known.len() == 1 => format!("{title}: {}.", value(low.0)),
                _ if low.1 == high.1 => {
                    format!("{title}: {} for every policy.", scale.full(low.1))
                }
                _ => format!("{title}: {range} (not ranked)."),
            });
        };
        let with = |standing: Standing| {
            (0..row.cells.len()).filter(move |&it| row.cells[it].standing == standing)
        };
        let tied: Vec<&str> = with(Standing::Tied).map(policy).collect();
        let behind = with(Standing::Behind).count();
        Some(match row.outcome {
            Outcome::NoDifference => format!(
                "{title}: no difference beyond the spread of {} seeds ({range}).",
                self.seeds().len()
            ),
            _ => {
                let worst = if best == low.0 || row.cells[low.0].mean == row.cells[best].mean {
                    high.0
                } else {
                    low.0
                };
                let mut text = format!("{title}: {} {}", policy(best), value(best));
                if !tied.is_empty() {
                    text += &format!(", {} level with it", counted(&tied));
                }
                if behind > 0 {
                    text +=
                        &format!("; {behind} behind, {} last with {}", policy(worst), value(worst));
                }
                text + "."
            }
        })
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
                 compared pairwise on the same seeds with the best of each metric (durations as \
                 ratios), corrected for their number after Holm."
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
