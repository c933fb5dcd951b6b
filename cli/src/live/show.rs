//! What a controller answers, for people and for machines.

use super::place::strange;
use crate::args::{Format, Global};
use crate::error::Failure;
use crate::print;
use comfy_table::{ContentArrangement, Table};
use runtime::control::{
    Answer, Applied, EventView, Explanation, NodeState, NodeView, Removed, ServiceView, Status,
    TaskState, TaskView,
};
use serde::Serialize;
use serde_json::json;
use std::fmt::Write as _;

/// Prints an answer as it is asked for. `now_us` is the cluster's time, from which ages are counted.
///
/// # Errors
///
/// If it cannot be printed, or not in that form.
pub fn answer(answer: &Answer, now_us: u64, global: &Global) -> Result<(), Failure> {
    match (global.format, answer) {
        (Format::Json, Answer::Done { notes }) => print::json(&json!({ "notes": notes })),
        (Format::Json, Answer::Status(it)) => print::json(it),
        (Format::Json, Answer::Applied(it)) => print::json(it),
        (Format::Json, Answer::Tasks(it)) => print::json(it),
        (Format::Json, Answer::Nodes(it)) => print::json(it),
        (Format::Json, Answer::Services(it)) => print::json(it),
        (Format::Json, Answer::Events(it)) => print::json(it),
        (Format::Json, Answer::Logs(it)) => print::json(it),
        (Format::Json, Answer::Explained(it)) => print::json(it),
        (Format::Json, Answer::Down(it)) => print::json(it),
        (Format::Csv, Answer::Tasks(it)) => tasks_csv(it),
        (Format::Csv, Answer::Nodes(it)) => nodes_csv(it),
        (Format::Csv, Answer::Services(it)) => services_csv(it),
        (Format::Csv, Answer::Events(it)) => events_csv(it),
        (Format::Csv, Answer::Down(it)) => removed_csv(it),
        (Format::Csv, _) => print::no_csv(global),
        (Format::Table, Answer::Done { notes }) => notes.iter().try_for_each(|it| print::line(it)),
        (Format::Table, Answer::Status(it)) => status(it),
        (Format::Table, Answer::Applied(it)) => print::line(&applied(it)),
        (Format::Table, Answer::Tasks(it)) => tasks(it, now_us),
        (Format::Table, Answer::Nodes(it)) => nodes(it),
        (Format::Table, Answer::Services(it)) => services(it, now_us),
        (Format::Table, Answer::Events(it)) => print::text(&events(it)),
        (Format::Table, Answer::Logs(it)) => {
            print::text(it)?;
            if it.is_empty() || it.ends_with('\n') { Ok(()) } else { print::line("") }
        }
        (Format::Table, Answer::Explained(it)) => explained(it, now_us),
        (Format::Table, Answer::Down(it)) => removed(it),
        (_, Answer::Refused { .. }) => Err(strange(answer)),
    }
}

/// A table that is as wide as what stands in it: lines of `ps` are to be searched, not wrapped.
fn wide(header: &[&str]) -> Table {
    let mut table = print::columns(header);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// Prints a table without the blanks that fill up its last column.
fn lines(table: &Table) -> Result<(), Failure> {
    // A table without a header still has a line for it.
    let header = usize::from(table.header().is_none_or(|it| it.cell_count() == 0));
    print::text(&table.lines().skip(header).fold(String::new(), |mut out, line| {
        out.push_str(line.trim_end());
        out.push('\n');
        out
    }))
}

/// How long ago, as `12s`, `3m`, `5h` or `2d`.
pub fn age(now_us: u64, since_us: u64) -> String {
    let secs = now_us.saturating_sub(since_us) / 1_000_000;
    match secs {
        0..=119 => format!("{secs}s"),
        120..=7_199 => format!("{}m", secs / 60),
        7_200..=172_799 => format!("{}h", secs / 3600),
        _ => format!("{}d", secs / 86_400),
    }
}

/// Memory with the largest unit that leaves at least one of it: `512MiB`, `1.5GiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match UNITS.into_iter().find(|it| bytes >> it.1 > 0) {
        None => format!("{bytes}B"),
        Some((unit, shift)) => {
            let tenths = (u128::from(bytes) * 10) >> shift;
            if tenths.is_multiple_of(10) || tenths >= 1000 {
                format!("{}{unit}", tenths / 10)
            } else {
                format!("{}.{}{unit}", tenths / 10, tenths % 10)
            }
        }
    }
}

/// Thousandths of a core as cores.
pub fn cores(milli: u64) -> String {
    let text = format!("{}.{:03}", milli / 1000, milli % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A moment since the cluster was made, in seconds.
fn moment(at_us: u64) -> String {
    format!("{}.{:03}s", at_us / 1_000_000, at_us / 1000 % 1000)
}

/// `1 task`, `2 tasks`.
pub fn count(number: u64, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {what}{s}")
}

/// Its word in JSON, for tables.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(it)) => it,
        _ => String::new(),
    }
}

fn health(is_healthy: Option<bool>) -> &'static str {
    match is_healthy {
        Some(true) => "healthy",
        Some(false) => "unhealthy",
        None => "",
    }
}

fn text(it: Option<&String>) -> &str {
    it.map_or("", String::as_str)
}

fn tasks(tasks: &[TaskView], now_us: u64) -> Result<(), Failure> {
    let mut table = wide(&[
        "task",
        "definition",
        "service",
        "node",
        "zone",
        "state",
        "health",
        "age",
        "ports",
        "reason",
    ]);
    for it in tasks {
        table.add_row([
            &*it.task,
            &it.definition,
            text(it.service.as_ref()),
            text(it.node.as_ref()),
            text(it.zone.as_ref()),
            &word(&it.state),
            health(it.is_healthy),
            &age(now_us, it.since_us),
            &it.ports.join(" "),
            &it.reason,
        ]);
    }
    lines(&table)
}

fn nodes(nodes: &[NodeView]) -> Result<(), Failure> {
    let mut table = wide(&[
        "node",
        "zone",
        "state",
        "tasks",
        "cpu free",
        "memory free",
        "gpus",
        "docker",
        "address",
        "reason",
    ]);
    for it in nodes {
        let is_known = it.state != NodeState::Unknown;
        let of = |free: String, all: String| {
            if is_known { format!("{free} of {all}") } else { String::new() }
        };
        table.add_row([
            &*it.node,
            text(it.zone.as_ref()),
            &word(&it.state),
            &it.tasks.to_string(),
            &of(cores(it.cpu_milli_free), cores(it.cpu_milli)),
            &of(size(it.memory_bytes_free), size(it.memory_bytes)),
            &it.gpus.to_string(),
            text(it.docker.as_ref()),
            text(it.address.as_ref()),
            &it.reason,
        ]);
    }
    lines(&table)
}

fn services(services: &[ServiceView], now_us: u64) -> Result<(), Failure> {
    let mut table = wide(&[
        "service",
        "definition",
        "desired",
        "running",
        "starting",
        "pending",
        "leaving",
        "failures",
        "next try",
    ]);
    for it in services {
        let next = it.throttled_until_us.filter(|it| *it > now_us);
        table.add_row([
            &*it.service,
            &it.definition,
            &it.desired.to_string(),
            &it.running.to_string(),
            &it.starting.to_string(),
            &it.pending.to_string(),
            &it.leaving.to_string(),
            &it.failures.to_string(),
            &next.map_or(String::new(), |next| format!("in {}", age(next, now_us))),
        ]);
    }
    lines(&table)
}

fn status(it: &Status) -> Result<(), Failure> {
    let sum = |parts: Vec<(String, u32)>| {
        let parts: Vec<String> = parts.iter().map(|it| format!("{} {}", it.1, it.0)).collect();
        if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
    };
    let nodes = it.nodes.iter().map(|(state, count)| (word(state), *count)).collect();
    let tasks = it.tasks.iter().map(|(state, count)| (word(state), *count)).collect();
    let mut table = print::columns(&[]);
    let next = it.next_due_us.map(|due| format!(", the next in {}", age(due, it.now_us)));
    for (name, value) in [
        ("cluster", it.cluster.clone()),
        ("owner", it.owner.clone()),
        ("policy", format!("{} (seed {})", it.policy, it.seed)),
        ("age", age(it.now_us, 0)),
        ("nodes", sum(nodes)),
        ("tasks", sum(tasks)),
        ("ended", it.ended.to_string()),
        ("agenda", format!("{} to do{}", it.agenda, next.unwrap_or_default())),
        ("journal", format!("{}, {}", count(it.records, "record"), it.fingerprint)),
    ] {
        table.add_row([name, &value]);
    }
    lines(&table)
}

/// What became of a plan, in a line.
pub fn applied(it: &Applied) -> String {
    if it.was_known {
        return "it was applied before; nothing to do".to_owned();
    }
    let mut line = format!("applied {}", count(it.definitions.len() as u64, "definition"));
    if let (Some(first), Some(last)) = (it.tasks.first(), it.tasks.last()) {
        let _ = write!(line, ", {}", count(it.tasks.len() as u64, "task"));
        if it.tasks.len() == 1 {
            let _ = write!(line, " ({first})");
        } else {
            let _ = write!(line, " ({first} to {last})");
        }
    }
    if it.later > 0 {
        let _ = write!(line, ", {} for later", count(it.later, "step"));
    }
    line
}

/// A record in a line or two.
pub fn event(it: &EventView) -> String {
    let EventView { number, at_us, what, actions } = it;
    let answer =
        if actions.is_empty() { String::new() } else { format!(" → {}", actions.join(", ")) };
    format!("{number:>5} {:>10}  {what}{answer}\n", moment(*at_us))
}

fn events(events: &[EventView]) -> String {
    events.iter().map(event).collect()
}

fn explained(it: &Explanation, now_us: u64) -> Result<(), Failure> {
    let Explanation { task, why, history, nodes } = it;
    tasks(std::slice::from_ref(task), now_us)?;
    print::line(&format!("\n{why}"))?;
    if !task.exit_codes.is_empty() {
        let codes: Vec<String> =
            task.exit_codes.iter().map(|(name, code)| format!("{name} {code}")).collect();
        print::line(&format!("\nexit codes: {}", codes.join(", ")))?;
    }
    if !nodes.is_empty() {
        let mut table = print::columns(&["node", "now", "because"]);
        for it in nodes {
            table.add_row([&it.node, &it.verdict, &it.because]);
        }
        print::line(&format!("\n{table}"))?;
    }
    if history.is_empty() { Ok(()) } else { print::text(&format!("\n{}", events(history))) }
}

fn removed(hosts: &[Removed]) -> Result<(), Failure> {
    for Removed { host, containers, left } in hosts {
        let left = left.as_ref().map_or("nothing is left".to_owned(), |why| {
            format!("it is not known whether something is left: {why}")
        });
        print::line(&format!("{host}: {} removed, {left}", count(*containers, "container")))?;
    }
    Ok(())
}

fn csv<const N: usize>(
    header: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> Result<(), Failure> {
    let mut out = csv::Writer::from_writer(Vec::new());
    let mut rows = rows;
    let written =
        out.write_record(header).and_then(|()| rows.try_for_each(|row| out.write_record(row)));
    written.map_err(|it| Failure::new(format!("cannot make CSV: {it}")))?;
    let bytes = out.into_inner().map_err(|it| Failure::new(it.to_string()))?;
    print::text(&String::from_utf8_lossy(&bytes))
}

fn cell(it: Option<&impl ToString>) -> String {
    it.map_or(String::new(), ToString::to_string)
}

fn tasks_csv(tasks: &[TaskView]) -> Result<(), Failure> {
    let header = [
        "task",
        "definition",
        "service",
        "group",
        "node",
        "zone",
        "state",
        "is_healthy",
        "attempt",
        "since_us",
        "ports",
        "reason",
        "exit_codes",
    ];
    let row = |it: &TaskView| {
        let codes: Vec<String> =
            it.exit_codes.iter().map(|(name, code)| format!("{name}={code}")).collect();
        [
            it.task.clone(),
            it.definition.clone(),
            cell(it.service.as_ref()),
            cell(it.group.as_ref()),
            cell(it.node.as_ref()),
            cell(it.zone.as_ref()),
            word(&it.state),
            cell(it.is_healthy.as_ref()),
            it.attempt.to_string(),
            it.since_us.to_string(),
            it.ports.join(" "),
            it.reason.clone(),
            codes.join(" "),
        ]
    };
    csv(header, tasks.iter().map(row))
}

fn nodes_csv(nodes: &[NodeView]) -> Result<(), Failure> {
    let header = [
        "node",
        "zone",
        "state",
        "address",
        "tasks",
        "cpu_milli",
        "cpu_milli_free",
        "memory_bytes",
        "memory_bytes_free",
        "gpus",
        "docker",
        "reason",
    ];
    let row = |it: &NodeView| {
        [
            it.node.clone(),
            cell(it.zone.as_ref()),
            word(&it.state),
            cell(it.address.as_ref()),
            it.tasks.to_string(),
            it.cpu_milli.to_string(),
            it.cpu_milli_free.to_string(),
            it.memory_bytes.to_string(),
            it.memory_bytes_free.to_string(),
            it.gpus.to_string(),
            cell(it.docker.as_ref()),
            it.reason.clone(),
        ]
    };
    csv(header, nodes.iter().map(row))
}

fn services_csv(services: &[ServiceView]) -> Result<(), Failure> {
    let header = [
        "service",
        "definition",
        "desired",
        "running",
        "starting",
        "pending",
        "leaving",
        "failures",
        "throttled_until_us",
    ];
    let row = |it: &ServiceView| {
        [
            it.service.clone(),
            it.definition.clone(),
            it.desired.to_string(),
            it.running.to_string(),
            it.starting.to_string(),
            it.pending.to_string(),
            it.leaving.to_string(),
            it.failures.to_string(),
            cell(it.throttled_until_us.as_ref()),
        ]
    };
    csv(header, services.iter().map(row))
}

fn events_csv(events: &[EventView]) -> Result<(), Failure> {
    let row = |it: &EventView| {
        [it.number.to_string(), it.at_us.to_string(), it.what.clone(), it.actions.join("; ")]
    };
    csv(["number", "at_us", "what", "actions"], events.iter().map(row))
}

fn removed_csv(hosts: &[Removed]) -> Result<(), Failure> {
    let row = |it: &Removed| [it.host.clone(), it.containers.to_string(), cell(it.left.as_ref())];
    csv(["host", "containers", "left"], hosts.iter().map(row))
}

/// How many tasks stand in a state.
pub fn standing(tasks: &[TaskView], state: TaskState) -> u64 {
    tasks.iter().filter(|it| it.state == state).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_sizes_are_short() {
        for (secs, want) in
            [(0, "0s"), (119, "119s"), (120, "2m"), (7_199, "119m"), (7_200, "2h"), (172_800, "2d")]
        {
            assert_eq!(age(secs * 1_000_000 + 7, 7), want);
        }
        assert_eq!(age(0, 5), "0s", "clocks that disagree make no large number");
        for (bytes, want) in [
            (0, "0B"),
            (1023, "1023B"),
            (6 << 20, "6MiB"),
            (3 << 29, "1.5GiB"),
            ((24 << 30) + 1, "24GiB"),
            (u64::MAX, "16777215TiB"),
        ] {
            assert_eq!(size(bytes), want);
        }
        for (milli, want) in [(0, "0"), (10, "0.01"), (1500, "1.5"), (2000, "2"), (10_000, "10")] {
            assert_eq!(cores(milli), want);
        }
    }

    #[test]
    fn what_became_of_a_plan_is_one_line() {
        let mut it = Applied {
            was_known: false,
            definitions: vec!["web:1".into()],
            tasks: vec!["t4".into(), "t5".into()],
            later: 1,
        };
        assert_eq!(applied(&it), "applied 1 definition, 2 tasks (t4 to t5), 1 step for later");
        it.tasks.pop();
        it.later = 0;
        assert_eq!(applied(&it), "applied 1 definition, 1 task (t4)");
        it.was_known = true;
        assert_eq!(applied(&it), "it was applied before; nothing to do");
    }
}
