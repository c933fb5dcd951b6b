//! Explained decisions for people, and as rows.

use super::document::{Decision, Document, Node, Said};
use super::why_not::{Change, Reached, Standing, WhyNot};
use crate::args::Format;
use crate::error::Failure;
use crate::print;
use cluster::explain::{Number, Rejection, Term, Wins};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// More scored nodes than this are cut off, and more rejected ones of one kind are counted.
const SCORED_MAX: usize = 16;
const REJECTED_MAX: usize = 6;

/// Prints a document as it is asked for.
///
/// # Errors
///
/// If standard output cannot be written.
pub fn show(document: &Document, format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => print::json(document),
        Format::Csv => csv(document),
        Format::Table => {
            for (at, decision) in document.decisions.iter().enumerate() {
                let gap = if at == 0 { "" } else { "\n" };
                print::text(&format!("{gap}{}", text(decision, document)))?;
            }
            Ok(())
        }
    }
}

fn csv(document: &Document) -> Result<(), Failure> {
    let mut out = csv::Writer::from_writer(Vec::new());
    let mut rows = vec![
        ["task", "node", "verdict", "is_choice", "is_tied", "key", "terms", "reason"]
            .map(str::to_owned),
    ];
    for decision in &document.decisions {
        for it in &decision.nodes {
            let (verdict, key, terms, reason) = match &it.said {
                Said::Scored { terms, key } => {
                    let terms: Vec<String> =
                        terms.iter().map(|it| format!("{}={}", it.name, exact(it))).collect();
                    ("scored", numbers(key), terms.join("; "), String::new())
                }
                Said::Rejected { by } => ("rejected", String::new(), String::new(), reasons(by)),
                Said::NotLookedAt { why } => {
                    ("not_looked_at", String::new(), String::new(), why.clone())
                }
            };
            rows.push([
                decision.task.clone(),
                it.node.clone(),
                verdict.to_owned(),
                (decision.node.as_ref() == Some(&it.node)).to_string(),
                decision.tied.contains(&it.node).to_string(),
                key,
                terms,
                reason,
            ]);
        }
    }
    let written = rows.into_iter().try_for_each(|row| out.write_record(row));
    written.map_err(|it| Failure::new(format!("cannot make CSV: {it}")))?;
    let bytes = out.into_inner().map_err(|it| Failure::new(it.to_string()))?;
    print::text(&String::from_utf8_lossy(&bytes))
}

fn numbers(key: &[Number]) -> String {
    key.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn reasons(by: &[Rejection]) -> String {
    let said: Vec<String> = by.iter().map(|it| format!("{}: {}", it.filter, it.reason)).collect();
    said.join("; ")
}

/// One decision for people.
pub fn text(decision: &Decision, document: &Document) -> String {
    let mut text = head(decision, document);
    let scored: Vec<&Node> = best_first(decision);
    if !scored.is_empty() {
        text += &format!("\n{}\n", table(decision, &scored));
        if scored.len() > SCORED_MAX {
            text += &format!("{} more; JSON lists all\n", scored.len() - SCORED_MAX);
        }
    }
    text += &rejected(decision);
    text += &not_looked_at(decision);
    for note in &decision.notes {
        text += &format!("\nNote: {note}.\n");
    }
    if let Some(it) = &decision.why_not {
        text += &format!("\n{}", why_not(it, decision));
    }
    // Tables fill their last column with blanks.
    text.lines().map(|it| format!("{}\n", it.trim_end())).collect()
}

fn head(decision: &Decision, document: &Document) -> String {
    let Decision { task, node, devices, tied, tie, .. } = decision;
    let mut text = match (node, decision.outcome) {
        (Some(node), "makes_room") => format!("{task} goes to {node}, where others leave for it"),
        (Some(node), _) => format!("{task} goes to {node}"),
        (None, "fits_nowhere") => format!("{task} is not placed: it fits nowhere"),
        (None, "held_back") => {
            format!("{task} is not placed: it fits somewhere, but the policy takes no such node")
        }
        (None, _) => format!("the policy does not say where {task} goes"),
    };
    if !devices.is_empty() {
        let devices: Vec<String> = devices.iter().map(ToString::to_string).collect();
        text += &format!(", gpu {}", devices.join(" and "));
    }
    text += &format!(" ({}, seed {})\n", document.policy, document.seed);
    if tied.len() > 1 {
        let count = tied.len();
        text += &format!("{count} nodes are equally good: {}; decides: {tie}\n", some(tied, 12));
    }
    text
}

fn some(names: &[String], most: usize) -> String {
    let shown: Vec<&str> = names.iter().take(most).map(String::as_str).collect();
    let more = if names.len() > most { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// Scored nodes, the choice first, then the tied, then by key.
fn best_first(decision: &Decision) -> Vec<&Node> {
    let key = |it: &Node| match &it.said {
        Said::Scored { key, .. } => key.clone(),
        _ => Vec::new(),
    };
    let mut scored: Vec<&Node> =
        decision.nodes.iter().filter(|it| matches!(it.said, Said::Scored { .. })).collect();
    let place =
        |it: &Node| (decision.node.as_ref() != Some(&it.node), !decision.tied.contains(&it.node));
    scored.sort_by(|a, b| {
        let by_key = || {
            let pairs = decision.order.iter().zip(key(a).into_iter().zip(key(b)));
            pairs.fold(Ordering::Equal, |so_far, (criterion, (a, b))| {
                let order = compare(a, b);
                so_far.then(if criterion.wins == Wins::Lowest { order } else { order.reverse() })
            })
        };
        place(a).cmp(&place(b)).then_with(by_key)
    });
    scored
}

fn compare(a: Number, b: Number) -> Ordering {
    match (a, b) {
        (Number::Whole(a), Number::Whole(b)) => a.cmp(&b),
        (a, b) => float(a).total_cmp(&float(b)),
    }
}

fn float(number: Number) -> f64 {
    match number {
        Number::Whole(it) => it as f64,
        Number::Real(it) => it,
    }
}

fn table(decision: &Decision, scored: &[&Node]) -> String {
    let terms_of = |it: &Node| match &it.said {
        Said::Scored { terms, .. } => terms.clone(),
        _ => Vec::new(),
    };
    let mut names: Vec<String> = Vec::new();
    for it in scored {
        for term in terms_of(it) {
            if !names.contains(&term.name) {
                names.push(term.name);
            }
        }
    }
    // A criterion that is a term itself needs no second column.
    let sums: Vec<usize> =
        (0..decision.order.len()).filter(|it| !names.contains(&decision.order[*it].name)).collect();
    let mut header = vec!["node".to_owned(), String::new()];
    header.extend(sums.iter().map(|it| decision.order[*it].name.clone()));
    header.extend(names.iter().cloned());
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut table = print::columns(&header);
    for it in scored.iter().take(SCORED_MAX) {
        let Said::Scored { terms, key } = &it.said else { continue };
        let mark = if decision.node.as_ref() == Some(&it.node) {
            "chosen"
        } else if decision.tied.contains(&it.node) {
            "tied"
        } else {
            ""
        };
        let mut row = vec![it.node.clone(), mark.to_owned()];
        row.extend(sums.iter().map(|at| key.get(*at).map_or(String::new(), ToString::to_string)));
        row.extend(
            names.iter().map(|name| {
                terms.iter().find(|it| it.name == *name).map_or(String::new(), in_short)
            }),
        );
        table.add_row(row);
    }
    table.to_string()
}

/// `45 → 100 × 2 = 200`, as far as it has such parts.
fn exact(term: &Term) -> String {
    let mut text = term.raw.to_string();
    if let Some(it) = term.normalised {
        text += &format!(" → {it}");
    }
    if let Some(it) = term.weight {
        text += &format!(" × {it}");
    }
    if let Some(it) = term.weighted {
        text += &format!(" = {it}");
    }
    text
}

fn in_short(term: &Term) -> String {
    term.text.clone().unwrap_or_else(|| exact(term))
}

fn rejected(decision: &Decision) -> String {
    let mut groups: BTreeMap<Vec<&str>, Vec<(&str, &[Rejection])>> = BTreeMap::new();
    for it in &decision.nodes {
        if let Said::Rejected { by } = &it.said {
            let mut filters: Vec<&str> = by.iter().map(|it| it.filter.as_str()).collect();
            filters.dedup();
            groups.entry(filters).or_default().push((it.node.as_str(), by.as_slice()));
        }
    }
    if groups.is_empty() {
        return String::new();
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|it| std::cmp::Reverse(it.1.len()));
    let count: usize = groups.iter().map(|it| it.1.len()).sum();
    let mut table = print::columns(&["rejected", "by", "because"]);
    for (filters, nodes) in groups {
        let filters = filters.join(" and ");
        if nodes.len() <= REJECTED_MAX {
            for (node, by) in nodes {
                table.add_row([node, filters.as_str(), because(by).as_str()]);
            }
            continue;
        }
        let nearest = nodes.iter().min_by(|a, b| shortage(a.1).total_cmp(&shortage(b.1)));
        let nearest =
            nearest.map_or(String::new(), |(node, by)| format!("{node}: {}", because(by)));
        let is_counted = nodes.iter().any(|it| shortage(it.1) > 0.0);
        let which = if is_counted { "the nearest is" } else { "such as" };
        table.add_row([format!("{} nodes", nodes.len()), filters, format!("{which} {nearest}")]);
    }
    let nodes = if count == 1 { "node" } else { "nodes" };
    format!("\n{count} {nodes} rejected:\n{table}\n")
}

fn because(by: &[Rejection]) -> String {
    by.iter().map(|it| it.reason.as_str()).collect::<Vec<_>>().join("; ")
}

/// How far a node is from what is wanted: the sum of what is missing, each as a share of what is wanted.
fn shortage(by: &[Rejection]) -> f64 {
    let short = by.iter().flat_map(|it| &it.short);
    short.map(|it| it.short as f64 / it.wanted.max(1) as f64).sum()
}

fn not_looked_at(decision: &Decision) -> String {
    let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for it in &decision.nodes {
        if let Said::NotLookedAt { why } = &it.said {
            groups.entry(why).or_default().push(it.node.clone());
        }
    }
    let line = |(why, nodes): (&str, Vec<String>)| {
        format!("\nNot looked at: {} ({why})\n", some(&nodes, 8))
    };
    groups.into_iter().map(line).collect()
}

fn why_not(it: &WhyNot, decision: &Decision) -> String {
    let WhyNot { node, standing, changes } = it;
    let choice = decision.node.as_deref().unwrap_or("none");
    let mut text = match standing {
        Standing::Chosen => return format!("Why not {node}? It is the choice.\n"),
        Standing::Tied => format!(
            "Why not {node}? It is as good as {choice}; what decided is {}.\n",
            decision.tie
        ),
        Standing::Beaten => format!("Why not {node}? It would do, but {choice} is better.\n"),
        Standing::Rejected => format!("Why not {node}? It is rejected.\n"),
        Standing::NotLookedAt => format!("Why not {node}? It was not looked at.\n"),
    };
    if changes.is_empty() {
        let certainly = if *standing == Standing::Tied { " for certain" } else { "" };
        text += &format!(
            "No single change would bring the task there{certainly}: neither more or less free there, a \
             smaller request, one task less, nor the node's state, ports, attributes or taints.\n"
        );
        return text;
    }
    text += match changes[0].brings {
        Reached::Chosen => "It would go there with\n",
        Reached::Tied => "It would be one of those from which the seed draws with\n",
        _ => "No single change would bring the task there, but it would do with\n",
    };
    for Change { text: change, .. } in changes {
        text += &format!("  {change}\n");
    }
    text
}
