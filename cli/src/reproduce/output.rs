//! What is printed and written.

use super::verdict::Verdict;
use super::{Done, Found, RANDOM, Values};
use crate::error::Failure;
use crate::output::{MANIFEST, command_line, write_json};
use crate::print;
use reports::figures::over_load::{self, Line, OverLoad};
use reports::figures::{png, svg};
use reports::write::write_file;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;

/// Prints it for people.
pub(super) fn table(found: &Found, out: Option<&Path>) -> Result<(), Failure> {
    print::line(&format!("{}\n", found.source))?;
    let header =
        ["trace", "policy", "ours", "seeds", "values", "allocated", "fragmented", "dropped", ""];
    let mut table = print::columns(&header);
    table.set_width(120);
    for it in &found.results {
        let off = |off: f64, most: f64| match it.policy == RANDOM {
            _ if it.values == 0 => "-".to_owned(),
            true => format!("{off:.2} of {most:.2}"),
            false => format!("{off:.4}"),
        };
        table.add_row([
            it.trace.clone(),
            it.policy.to_owned(),
            it.ours.split(':').next().unwrap_or(it.ours).to_owned(),
            it.seeds.to_string(),
            it.values.to_string(),
            off(it.allocated_off_max_pp, it.allocated_tolerance_pp),
            off(it.fragmented_off_max_pp, it.fragmented_tolerance_pp),
            it.dropped_off_max.map_or("-".to_owned(), |it| it.to_string()),
            match it.agrees {
                None => "nothing published",
                Some(true) => "agrees",
                Some(false) => "MISSED",
            }
            .to_owned(),
        ]);
    }
    print::line(&table.to_string())?;
    let compared = found.results.iter().filter_map(|it| it.agrees);
    let agree = compared.clone().filter(|it| *it).count();
    print::line(&format!(
        "\nLargest differences: points of percent of GPUs allocated, points of the fragmented share of \
         free GPUs, pods dropped.\n{agree} of {} agree with what was published.",
        compared.count()
    ))?;
    if let Some(out) = out {
        print::line(&format!("Figures and all values are in {}.", out.display()))?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Manifest {
    version: &'static str,
    command: String,
    runs: Vec<Run>,
}

#[derive(Serialize)]
struct Run {
    trace: String,
    policy: &'static str,
    seed: u64,
    dropped: u64,
    fingerprint: String,
}

/// Writes values, figures and what they come from.
pub(super) fn write(dir: &Path, found: &Found) -> Result<(), Failure> {
    let run = |it: &Verdict, done: &Done| Run {
        trace: it.trace.clone(),
        policy: it.ours,
        seed: done.seed,
        dropped: done.dropped,
        fingerprint: done.fingerprint.clone(),
    };
    let manifest = Manifest {
        version: env!("CARGO_PKG_VERSION"),
        command: command_line(),
        runs: found
            .results
            .iter()
            .flat_map(|it| it.runs.iter().map(|done| run(it, done)))
            .collect(),
    };
    write_json(&dir.join(MANIFEST), &manifest)?;
    write_json(&dir.join("reproduce.json"), found)?;
    let mut curves = String::from(
        "trace,policy,seed,load_percent,gpu_allocated_percent,gpu_free_fragmented_percent\n",
    );
    for it in &found.results {
        for done in &it.runs {
            for (load, values) in done.curve.iter().enumerate() {
                if let Some(values) = values {
                    curves += &format!(
                        "{},{},{},{load},{:.4},{:.4}\n",
                        it.trace, it.policy, done.seed, values.allocated, values.fragmented
                    );
                }
            }
        }
    }
    write_file(&dir.join("curves.csv"), curves.as_bytes())?;
    let traces: BTreeSet<&str> = found.results.iter().map(|it| it.trace.as_str()).collect();
    for trace in traces {
        let of_trace = || found.results.iter().filter(|it| it.trace == trace);
        let line = |it: &Verdict| {
            let points = |value: fn(&Values) -> f64| {
                let ours = it.curve.iter().map(|it| (it.load as f64, value(&it.ours))).collect();
                let known = it.curve.iter().filter_map(|it| Some((it.load as f64, it.published?)));
                (ours, known.map(|(load, it)| (load, value(&it))).collect())
            };
            let (allocated, allocated_known) = points(|it| it.allocated);
            let (fragmented, fragmented_known) = points(|it| it.fragmented);
            let name = it.ours.split(':').next().unwrap_or(it.ours).to_owned();
            Line { name, panels: [(allocated, allocated_known), (fragmented, fragmented_known)] }
        };
        let seeds = of_trace().map(|it| it.seeds).max().unwrap_or(0);
        let figure = OverLoad {
            title: format!("FGD, USENIX ATC 2023: trace {trace}"),
            load: "GPU asked for so far [% of all]".to_owned(),
            panels: [
                "GPU allocated [% of all]",
                "free GPU of no use to the usual pods [% of free]",
            ]
            .map(str::to_owned),
            note: format!("Lines: mean of {seeds} seeds here. Crosses: as published."),
            lines: of_trace().map(line).collect(),
        };
        let scene = over_load::draw(&figure);
        let path = |end: &str| dir.join("figures").join(format!("fgd-{trace}.{end}"));
        write_file(&path("svg"), svg::render(&scene).as_bytes())?;
        write_file(&path("png"), &png::render(&scene)?)?;
    }
    Ok(())
}
