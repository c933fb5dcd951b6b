//! `report.html`: the whole comparison on one page that opens offline.

use super::Entry;
use crate::column::{Better, Column};
use crate::comparison::{Comparison, MetricRow, Standing};
use crate::figures;
use crate::manifest::{InputFile, RunFingerprint, Setting, TraceInfo};
use crate::metrics;
use crate::number::Scale;
use crate::verdict::{Verdict, seeds_text};
use crate::write::ReportError;
use cluster::demand::Resource;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

pub(super) const ENTRY: Entry = Entry {
    name: "report-html",
    file: "report.html",
    summary: "the page for people: verdict, tables, figures, definitions",
    has_figures: true,
    render,
};

#[derive(Serialize)]
struct Page<'a> {
    title: String,
    subtitle: String,
    version: &'a str,
    verdict: Verdict,
    warnings: Vec<String>,
    legend: String,
    headline: TableView<'a>,
    figures: Vec<FigureView>,
    parts: Vec<TableView<'a>>,
    zones: Vec<ZoneView<'a>>,
    zone_resources: Vec<&'static str>,
    cards: Vec<CardView>,
    command: &'a str,
    trace: &'a TraceInfo,
    inputs: &'a [InputFile],
    cluster: &'a str,
    synthetic_zones: &'a Option<String>,
    policies: &'a [String],
    seeds: String,
    options: &'a [Setting],
    fingerprints: &'a [RunFingerprint],
    finished: String,
}

#[derive(Serialize)]
struct TableView<'a> {
    title: &'static str,
    columns: Vec<ColumnView>,
    rows: Vec<RowView<'a>>,
}

#[derive(Serialize)]
struct ColumnView {
    name: String,
    title: String,
    unit: &'static str,
    direction: &'static str,
    arrow: &'static str,
    summary: String,
}

#[derive(Serialize)]
struct RowView<'a> {
    /// In pieces, between which a line may break.
    policy: Vec<&'a str>,
    cells: Vec<CellView>,
}

#[derive(Serialize)]
struct CellView {
    value: String,
    spread: String,
    sign: &'static str,
    meaning: &'static str,
    class: &'static str,
}

#[derive(Serialize)]
struct FigureView {
    title: &'static str,
    caption: String,
    svg: String,
}

#[derive(Serialize)]
struct ZoneView<'a> {
    policy: Vec<&'a str>,
    zone: &'a str,
    nodes: String,
    tasks: String,
    shares: Vec<String>,
}

#[derive(Serialize)]
struct CardView {
    title: &'static str,
    definition: &'static str,
    source: &'static str,
    columns: Vec<ColumnView>,
}

fn render(comparison: &Comparison) -> Result<Vec<u8>, ReportError> {
    let failed = |it: minijinja::Error| ReportError::Make {
        name: ENTRY.file.to_owned(),
        why: format!("{it:#}"),
    };
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    // The name's ending turns escaping on.
    templates
        .add_template("report.html", include_str!("../../templates/report.html"))
        .map_err(failed)?;
    let template = templates.get_template("report.html").map_err(failed)?;
    let mut text = template.render(Serde(page(comparison))).map_err(failed)?;
    text.push('\n');
    Ok(text.into_bytes())
}

fn page(comparison: &Comparison) -> Page<'_> {
    let manifest = comparison.manifest();
    let count = comparison.policies().len();
    let policies = if count == 1 { "1 policy".to_owned() } else { format!("{count} policies") };
    let title = match (manifest.title.as_str(), manifest.trace.name.as_str()) {
        ("", "") => "Comparison of policies".to_owned(),
        ("", trace) => format!("{policies} on {trace}"),
        (title, _) => title.to_owned(),
    };
    let subtitle = match manifest.trace.name.as_str() {
        "" => format!("{policies}, {}", seeds_text(comparison.seeds().len())),
        trace => format!("{policies}, {}, trace {trace}", seeds_text(comparison.seeds().len())),
    };
    let seeds: Vec<String> = comparison.seeds().iter().map(u64::to_string).collect();
    let headline: Vec<&MetricRow> = comparison.headlines().collect();
    let zone_resources: Vec<Resource> = Resource::ALL
        .into_iter()
        .filter(|it| {
            let mut zones = comparison.runs().iter().flat_map(|run| &run.report.zones);
            zones.any(|zone| zone.allocated_share[it.row()].is_some())
        })
        .collect();
    Page {
        title,
        subtitle,
        version: &manifest.version,
        verdict: comparison.verdict(),
        warnings: comparison.warnings(),
        legend: legend(comparison),
        headline: table(comparison, "Headline", &headline),
        figures: figures::ALL
            .iter()
            .map(|it| FigureView {
                title: it.title,
                caption: caption(comparison),
                svg: figures::svg::render(&(it.draw)(comparison)),
            })
            .collect(),
        parts: parts(comparison),
        zones: zones(comparison, &zone_resources),
        zone_resources: zone_resources.iter().map(|it| it.name()).collect(),
        cards: metrics::ALL
            .iter()
            .map(|it| CardView {
                title: it.card.title,
                definition: it.card.definition,
                source: it.card.source,
                columns: (it.columns)().iter().map(|it| column(it, "")).collect(),
            })
            .collect(),
        command: &manifest.command,
        trace: &manifest.trace,
        inputs: &manifest.inputs,
        cluster: &manifest.cluster,
        synthetic_zones: &manifest.synthetic_zones,
        policies: comparison.policies(),
        seeds: seeds.join(", "),
        options: &manifest.options,
        fingerprints: &manifest.fingerprints,
        finished: match manifest.interrupted {
            true => format!(
                "stopped early, {} of {} runs finished",
                manifest.runs_finished, manifest.runs_planned
            ),
            false => format!("all {} runs finished", manifest.runs_finished),
        },
    }
}

fn legend(comparison: &Comparison) -> String {
    match comparison.seeds().len() {
        _ if comparison.policies().len() < 2 => "One policy: nothing is ranked.".to_owned(),
        1 => {
            "* best on this one input, = less than 0.05 % from it. One seed: the spread is unknown."
                .to_owned()
        }
        n if comparison.is_exact() => format!(
            "* best, = less than 0.05 % from it. Exact: input and policies do not depend on the seed (all {n} \
             runs of each policy are equal)."
        ),
        n => format!(
            "Mean of {n} seeds; ± is half of the 95 % interval. * best mean, = not told apart from \
             it (paired by seed, 95 %, Holm; durations and slowdowns as ratios)."
        ),
    }
}

/// What stands under every figure.
fn caption(comparison: &Comparison) -> String {
    let n = comparison.seeds().len();
    let mut text = match n {
        1 => "n = 1 seed, no interval.".to_owned(),
        _ if comparison.is_exact() => format!("n = {n} seeds, all alike: exact values."),
        _ => format!("n = {n} seeds; intervals, where shown, are 95 % (Student's t)."),
    };
    if comparison.manifest().synthetic_zones.is_some() {
        text += " Zones are synthetic.";
    }
    text
}

/// One table per metric that has any value.
fn parts(comparison: &Comparison) -> Vec<TableView<'_>> {
    metrics::ALL
        .iter()
        .filter_map(|entry| {
            let rows: Vec<&MetricRow> = (entry.columns)()
                .iter()
                .filter_map(|it| comparison.metric(&it.name))
                .filter(|row| row.cells.iter().any(|it| it.mean.is_some()))
                .collect();
            (!rows.is_empty()).then(|| table(comparison, entry.card.title, &rows))
        })
        .collect()
}

fn table<'a>(
    comparison: &'a Comparison,
    title: &'static str,
    rows: &[&MetricRow],
) -> TableView<'a> {
    let columns = rows.iter().map(|it| column(&it.column, Scale::of_row(it).label())).collect();
    let rows = comparison.policies().iter().enumerate().map(|(at, policy)| RowView {
        policy: pieces(policy),
        cells: rows.iter().map(|row| cell(comparison, row, at)).collect(),
    });
    TableView { title, columns, rows: rows.collect() }
}

fn column(column: &Column, unit: &'static str) -> ColumnView {
    let (direction, arrow) = match column.better {
        Better::Lower => ("lower is better", "↓"),
        Better::Higher => ("higher is better", "↑"),
        Better::Neither => ("not ranked", ""),
    };
    ColumnView {
        name: column.name.clone(),
        title: column.title.clone(),
        unit,
        direction,
        arrow,
        summary: column.summary.clone(),
    }
}

fn cell(comparison: &Comparison, row: &MetricRow, policy: usize) -> CellView {
    let scale = Scale::of_row(row);
    let cell = &row.cells[policy];
    let (sign, meaning, class) = match cell.standing {
        Standing::Best => ("*", "best", "best"),
        Standing::Tied => ("=", "not told apart from the best", "tied"),
        Standing::Behind | Standing::Unranked => ("", "", ""),
    };
    CellView {
        value: cell.mean.map(|it| scale.bare(it)).unwrap_or_default(),
        spread: match cell.ci95_half {
            Some(half) if !comparison.is_exact() => scale.spread(half),
            _ => String::new(),
        },
        sign,
        meaning,
        class,
    }
}

/// Per policy and zone, means over seeds; nothing if there is one zone only.
fn zones<'a>(comparison: &'a Comparison, resources: &[Resource]) -> Vec<ZoneView<'a>> {
    let mut out = Vec::new();
    for policy in comparison.policies() {
        let runs: Vec<_> = comparison.runs_of(policy).map(|it| &it.report.zones).collect();
        let Some(first) = runs.first().filter(|it| it.len() >= 2) else { continue };
        for zone in first.iter() {
            let rows: Vec<_> =
                runs.iter().filter_map(|it| it.iter().find(|it| it.zone == zone.zone)).collect();
            let mean = |values: Vec<f64>| {
                (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
            };
            let percent =
                |value: Option<f64>| value.map_or(String::new(), |it| format!("{:.1}", it * 100.0));
            let count = |value: Option<f64>| value.map_or(String::new(), |it| format!("{it:.1}"));
            let shares = resources.iter().flat_map(|it| {
                let at = it.row();
                [
                    percent(mean(rows.iter().filter_map(|it| it.allocated_share[at]).collect())),
                    percent(mean(rows.iter().filter_map(|it| it.utilised_share[at]).collect())),
                ]
            });
            out.push(ZoneView {
                policy: pieces(policy),
                zone: &zone.zone,
                nodes: count(mean(rows.iter().map(|it| it.nodes_mean).collect())),
                tasks: count(mean(rows.iter().map(|it| it.tasks_mean).collect())),
                shares: shares.collect(),
            });
        }
    }
    out
}

/// A policy's name in pieces that end in punctuation.
fn pieces(policy: &str) -> Vec<&str> {
    policy.split_inclusive(['(', ')', ',', ':', ';']).collect()
}
