//! One-dimensional bin packing instances of the OR-Library (`binpack1.txt` to `binpack8.txt`).
//!
//! Source: J. E. Beasley's OR-Library; instances of E. Falkenauer, "A Hybrid Grouping Genetic Algorithm
//! for Bin Packing", Journal of Heuristics, 1996.
//!
//! The file holds the number of instances, then for each a name, a line with capacity, number of items
//! and best known number of bins, and one size per line. Sizes may have decimals; they become
//! thousandths, exactly, in the cpu column. An instance of `n` items is `n` nodes of the capacity and
//! `n` tasks at time 0, in file order, that never end.

use crate::card::Units;
use crate::decimal::{self, Rounding};
use crate::error::TraceError;
use crate::format::{Format, FormatOption, Request, Role, Sample};
use crate::limits;
use crate::text::{Cell, Line, Lines};
use crate::workload::Draft;
use cluster::demand::{Amounts, Demand};
use cluster::event::NodeEvent;
use cluster::nodes::{NodeCapacity, NodeSpec};
use cluster::units::{Bytes, Instant, MilliCpu};
use std::path::Path;

/// The format.
pub const FORMAT: Format = Format {
    name: "orlib",
    summary: "OR-Library bin packing: items of one size, nodes of one capacity",
    source: "J. E. Beasley's OR-Library, files binpack1 to binpack8 (Falkenauer 1996)",
    options: &[FormatOption {
        name: "instance",
        summary: "which instance of the file, such as u120_00; needed if there are several",
    }],
    guide: "\
One file: the number of instances; then for each its name, a line `capacity items best`, and one size
per line. Sizes become thousandths in the cpu column. One node per item, all items at time 0.",
    recognise,
    uses: |request| request.all(),
    read,
};

fn recognise(sample: &Sample) -> Option<Role> {
    let [count, name, head, ..] = &sample.lines[..] else { return None };
    let is_count = count.trim().parse::<u32>().is_ok();
    let is_name = name.split_whitespace().count() == 1 && !decimal::is_number(name.trim());
    let is_head =
        head.split_whitespace().count() == 3 && head.split_whitespace().all(decimal::is_number);
    (is_count && is_name && is_head).then_some(Role::Tasks)
}

fn read(request: &Request<'_>, draft: &mut Draft) -> Result<(), TraceError> {
    let Some(file) = request.single(Role::Tasks, FORMAT.name)? else {
        return Err(TraceError::Empty { path: request.path.into(), wanted: "bin packing file" });
    };
    draft.card.units = Units::Sizes;
    draft.files.push(file.path.display().to_string());
    let (wanted, names) = (request.option("instance"), instance_names(&file.path)?);
    let chosen = match (wanted, &names[..]) {
        (Some(wanted), _) if names.iter().any(|it| it == wanted) => wanted,
        (Some(wanted), _) => {
            return Err(TraceError::unknown("instance", wanted, names.iter().map(String::as_str)));
        }
        (None, [only]) => only,
        (None, _) => {
            return Err(TraceError::Ambiguous {
                path: request.path.into(),
                what: "instances",
                choices: names
                    .iter()
                    .map(|it| format!("orlib:{}?instance={it}", file.path.display()))
                    .collect(),
            });
        }
    };
    walk(&file.path, &mut |part| match part {
        Part::Head { name, capacity, count, best, .. } if name == chosen => {
            let amounts = Amounts { cpu: MilliCpu(capacity), ..Amounts::default() };
            for row in 0..count {
                let node = NodeSpec {
                    name: format!("bin-{row:04}"),
                    capacity: NodeCapacity { amounts, gpus: vec![] },
                    ..NodeSpec::default()
                };
                draft.node_event(
                    Instant::ZERO,
                    &node.name.clone(),
                    NodeEvent::Joined(Box::new(node)),
                );
            }
            draft.card.count("best known number of bins", best);
        }
        Part::Item { name, size, number, line } if name == chosen => {
            let amounts = Amounts { cpu: MilliCpu(size), memory: Bytes(0), disk: Bytes(0) };
            let definition = draft.definition(Demand { amounts, ..Demand::default() });
            let name = draft.names.push(format_args!("{name}/{number}"));
            draft.tasks.push(draft.row(Instant::ZERO, definition, name, line));
            draft.card.rows_read += 1;
        }
        _ => {}
    })?;
    draft
        .card
        .assume("items arrive at time 0 in file order and never end; there is a bin per item");
    Ok(())
}

/// What stands in the file, in order.
enum Part<'a> {
    Head { name: &'a str, capacity: u64, count: u64, best: u64 },
    Item { name: &'a str, size: u64, number: u64, line: u64 },
}

fn instance_names(path: &Path) -> Result<Vec<String>, TraceError> {
    let mut names = Vec::new();
    walk(path, &mut |part| {
        if let Part::Head { name, .. } = part {
            names.push(name.to_owned());
        }
    })?;
    Ok(names)
}

/// Reads the whole file and checks that it is complete.
fn walk(path: &Path, visit: &mut dyn FnMut(Part<'_>)) -> Result<(), TraceError> {
    let mut lines = Lines::open(path)?;
    let path = lines.path().to_owned();
    let ends = |wanted| TraceError::Empty { path: path.clone(), wanted };

    let line = lines.next_filled()?.ok_or_else(|| ends("number of instances"))?;
    let instances = line.whole(single(&line)?, "number of instances")?;
    for _ in 0..instances {
        let line = lines.next_filled()?.ok_or_else(|| ends("name of the next instance"))?;
        let name = single(&line)?.text.to_owned();
        let line = lines.next_filled()?.ok_or_else(|| ends("capacity of the last instance"))?;
        let mut head = Vec::new();
        line.split_blanks(&mut head);
        let &[capacity, count, best] = &head[..] else {
            return Err(line.columns("orlib (capacity, items, best)", head.len(), 3));
        };
        let capacity = line.limited(capacity, "capacity", 1000, Rounding::Exact, limits::CPU)?;
        let count: u32 = line.small(count, "items", "a number of items below 2^32")?;
        let best = line.whole(best, "best")?;
        visit(Part::Head { name: &name, capacity, count: count.into(), best });
        for number in 0..u64::from(count) {
            let line = lines.next_filled()?.ok_or_else(|| ends("items of the last instance"))?;
            let size = line.limited(single(&line)?, "size", 1000, Rounding::Exact, limits::CPU)?;
            visit(Part::Item { name: &name, size, number, line: line.number });
        }
    }
    match lines.next_filled()? {
        None => Ok(()),
        Some(line) => {
            let cell = Cell { at: 0, text: line.text };
            Err(line.bad(cell, "line after the last instance", "the end of the file"))
        }
    }
}

fn single<'a>(line: &Line<'a>) -> Result<Cell<'a>, TraceError> {
    let mut cells = Vec::new();
    line.split_blanks(&mut cells);
    match cells[..] {
        [cell] => Ok(cell),
        _ => Err(line.columns("orlib", cells.len(), 1)),
    }
}
