//! A workload as text, one line an arrival, for reading and comparing.

use cluster::arrival::{Arrival, What};
use cluster::event::{NodeEvent, OnLoss, TaskKind};
use cluster::nodes::NodeCapacity;
use traces::Workload;
use traces::error::TraceError;
use traces::source::{ReadOptions, Source};

/// Reads a source with every option at its default.
pub(crate) fn read(text: &str) -> Result<Workload, TraceError> {
    traces::read(&Source::parse(text)?, &ReadOptions::default())
}

/// A path below this crate.
pub(crate) fn here(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

/// Everything that a workload brings, in order.
pub(crate) fn story(workload: &Workload) -> Vec<String> {
    workload.stream().map(|it| line(workload, it)).collect()
}

/// Fails with both texts if they differ.
#[track_caller]
pub(crate) fn check(workload: &Workload, want: &str) {
    let got = story(workload).join("\n");
    let want: Vec<&str> = want.trim().lines().map(str::trim).collect();
    assert_eq!(got, want.join("\n"), "got:\n{got}");
}

fn line(workload: &Workload, Arrival { at, what }: Arrival) -> String {
    let what = match what {
        What::Definition { definition, spec } => format!("{definition} {}", spec.name),
        What::Node { node, event } => format!("{node} {}", node_text(event)),
        What::Told(event) => event.to_string(),
        What::Task(task) => {
            let submission = task.submission;
            let mut text = format!(
                "{} {} {}",
                submission.task,
                workload.name(submission.task),
                submission.definition
            );
            let mut add = |name: &str, value: Option<String>| {
                text.extend(value.map(|it| format!(" {name}={it}")));
            };
            add("life", task.lifetime.map(|it| it.to_string()));
            add("until", task.withdrawn.map(|it| it.to_string()));
            add("on", task.resident.map(|it| it.to_string()));
            add("estimate", submission.estimate.map(|it| it.to_string()));
            add("group", submission.group.map(|it| workload.group_name(it).into_owned()));
            add("priority", (submission.priority != 0).then(|| submission.priority.to_string()));
            add("kind", (submission.kind == TaskKind::Service).then(|| "service".into()));
            add("on_loss", (submission.on_loss == OnLoss::End).then(|| "end".into()));
            text
        }
    };
    format!("{at} {what}")
}

fn node_text(event: NodeEvent) -> String {
    match event {
        NodeEvent::Joined(spec) => {
            let mut text =
                format!("{} joins {} {}", spec.name, spec.zone, capacity(&spec.capacity));
            for (name, value) in &spec.attributes {
                text += &format!(" {name}={value}");
            }
            for port in &spec.reserved_ports {
                text += &format!(" not:{}", port.number);
            }
            text
        }
        NodeEvent::Updated(new) => format!("updated {}", capacity(&new)),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn capacity(capacity: &NodeCapacity) -> String {
    let amounts = capacity.amounts;
    format!("{}/{}/{}", amounts.cpu.0, amounts.memory.0, capacity.gpus.join("+"))
}
