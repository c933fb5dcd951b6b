//! Commands that ask a running controller.

use super::args::{LiveCommand, Run};
use super::place::{Place, Talk, strange};
use super::{inputs, show};
use crate::args::{Format, Global};
use crate::error::Failure;
use crate::print;
use crate::runner::STOP;
use runtime::control::{Answer, EventView, Removed, Request};
use runtime::program::Overrides;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Between two looks at what was recorded.
const FOLLOW_EVERY: Duration = Duration::from_millis(300);
/// Records asked for at once.
const EVENTS_MAX: u32 = 1000;

/// Asks the controller of a cluster and prints what it answers.
///
/// # Errors
///
/// If there is none, if it refuses, or if something is left after `down`.
pub fn ask(command: &LiveCommand, place: &Place, global: &Global) -> Result<(), Failure> {
    let request = match command {
        LiveCommand::Run(args) => return run(args, place, global),
        LiveCommand::Stop { names } => return stop(names, place, global),
        LiveCommand::Events { last, follow } => return events(*last, *follow, place, global),
        LiveCommand::End => return end(place, global),
        LiveCommand::Scale { service, desired } => {
            Request::Scale { service: service.clone(), desired: *desired }
        }
        LiveCommand::Drain { node, undo } => Request::Drain { node: node.clone(), undo: *undo },
        LiveCommand::Ps { all } => Request::Tasks { ended: *all },
        LiveCommand::Nodes => Request::Nodes,
        LiveCommand::Services => Request::Services,
        LiveCommand::Status => Request::Status,
        LiveCommand::Logs { task, container, tail } => {
            Request::Logs { task: task.clone(), container: container.clone(), lines: *tail }
        }
        LiveCommand::Explain { task } => Request::Explain { task: task.clone() },
        LiveCommand::Up(_) | LiveCommand::Replay(_) | LiveCommand::Down => {
            unreachable!("these have files of their own")
        }
    };
    let lists = matches!(request, Request::Tasks { .. } | Request::Nodes | Request::Services);
    if !lists {
        print::no_csv(global)?;
    }
    let mut talk = Talk::open(place)?;
    let answer = talk.ask(request)?;
    let now_us = if global.format == Format::Table { now_us(&mut talk)? } else { 0 };
    show::answer(&answer, now_us, global)
}

/// The cluster's time, in microseconds since it was made.
fn now_us(talk: &mut Talk) -> Result<u64, Failure> {
    match talk.ask(Request::Status)? {
        Answer::Status(it) => Ok(it.now_us),
        other => Err(strange(&other)),
    }
}

fn run(args: &Run, place: &Place, global: &Global) -> Result<(), Failure> {
    if let Some(apps) = inputs::apps(&args.apps)? {
        print::no_csv(global)?;
        let mut talk = Talk::open(place)?;
        let answer = talk.ask(Request::Apply { plan: apps.plan, once: None })?;
        if !global.quiet {
            apps.warnings.iter().for_each(|it| print::note(it));
        }
        return show::answer(&answer, 0, global);
    }
    let Some(definition) = args.definition.clone() else {
        return Err(Failure::new("nothing to run").help("name a definition, or a file with --app"));
    };
    let request = Request::Run {
        definition,
        count: args.count,
        group: args.group.clone(),
        overrides: overrides(args)?,
    };
    let mut talk = Talk::open(place)?;
    let answer = talk.ask(request)?;
    let now_us = if global.format == Format::Table { now_us(&mut talk)? } else { 0 };
    show::answer(&answer, now_us, global)
}

/// What tasks change of their definition. A change that names no container goes to the container named
/// "": the controller knows which one that is.
fn overrides(args: &Run) -> Result<Overrides, Failure> {
    let mut overrides = Overrides::default();
    for text in &args.env {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let (container, variable) = name.rsplit_once(':').unwrap_or(("", name));
        if variable.is_empty() || !text.contains('=') {
            return Err(Failure::new(format!("--env is {text:?}, which sets no variable"))
                .help("write NAME=VALUE, or CONTAINER:NAME=VALUE where there are several"));
        }
        let list = overrides.env.entry(container.to_owned()).or_default();
        list.push((variable.to_owned(), value.to_owned()));
    }
    if !args.words.is_empty() {
        let container = args.container.clone().unwrap_or_default();
        overrides.commands.insert(container, args.words.clone());
    }
    Ok(overrides)
}

/// Whether a name is that of a task: `t12`, `r3`.
fn is_task(name: &str) -> bool {
    name.strip_prefix(['t', 'r'])
        .is_some_and(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()))
}

fn stop(names: &[String], place: &Place, global: &Global) -> Result<(), Failure> {
    print::no_csv(global)?;
    let (tasks, services): (Vec<String>, Vec<String>) =
        names.iter().cloned().partition(|it| is_task(it));
    let mut talk = Talk::open(place)?;
    let mut notes = Vec::new();
    // Services first: a task that is stopped after its service is not run again.
    for request in [
        (!services.is_empty()).then_some(Request::DeleteServices { services }),
        (!tasks.is_empty()).then_some(Request::StopTasks { tasks }),
    ]
    .into_iter()
    .flatten()
    {
        match talk.ask(request)? {
            Answer::Done { notes: more } => notes.extend(more),
            other => return Err(strange(&other)),
        }
    }
    show::answer(&Answer::Done { notes }, 0, global)
}

fn events(last: u32, follow: bool, place: &Place, global: &Global) -> Result<(), Failure> {
    if follow {
        print::no_csv(global)?;
    }
    let mut talk = Talk::open(place)?;
    let mut ask = |from, limit| match talk.ask(Request::Events { from, limit })? {
        Answer::Events(it) => Ok(it),
        other => Err(strange(&other)),
    };
    let mut found: Vec<EventView> = ask(None, last)?;
    if !follow {
        return show::answer(&Answer::Events(found), 0, global);
    }
    let mut next = 1;
    while !STOP.load(Ordering::Relaxed) {
        for it in &found {
            let line = match global.format {
                Format::Json => compact(it)? + "\n",
                Format::Table | Format::Csv => show::event(it),
            };
            if !print::reaches(&line)? {
                return Ok(());
            }
            next = it.number + 1;
        }
        if found.len() < EVENTS_MAX as usize {
            std::thread::sleep(FOLLOW_EVERY);
        }
        found = match ask(Some(next), EVENTS_MAX) {
            Err(_) if STOP.load(Ordering::Relaxed) => break,
            other => other?,
        };
    }
    Ok(())
}

/// JSON on one line.
///
/// # Errors
///
/// Never, for what controllers say.
pub fn compact(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|it| Failure::new(format!("cannot make JSON: {it}")))
}

fn end(place: &Place, global: &Global) -> Result<(), Failure> {
    print::no_csv(global)?;
    let answer = Talk::open(place)?.ask(Request::End)?;
    place.wait_until_free();
    show::answer(&answer, 0, global)?;
    if global.format == Format::Table && !global.quiet {
        let flag = &place.flag;
        print::line(&format!(
            "its tasks run on; `bayplan live up{flag}` goes on, `bayplan live down{flag}` removes \
             everything"
        ))?;
    }
    Ok(())
}

/// Prints what was removed.
///
/// # Errors
///
/// With exit code 1, if it is not known that nothing is left.
pub fn tell_removed(hosts: Vec<Removed>, place: &Place, global: &Global) -> Result<(), Failure> {
    let left: Vec<String> =
        hosts.iter().filter_map(|it| Some(format!("{}: {}", it.host, it.left.as_ref()?))).collect();
    show::answer(&Answer::Down(hosts), 0, global)?;
    if left.is_empty() {
        return Ok(());
    }
    let flag = &place.flag;
    Err(Failure::new(format!("something may be left on {}", left.join("; ")))
        .help(format!("bring those hosts back, then run `bayplan live down{flag}` again"))
        .found())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_and_services_are_told_apart_by_name() {
        for (name, want) in [
            ("t12", true),
            ("r0", true),
            ("t", false),
            ("web", false),
            ("t1x", false),
            ("12", false),
        ] {
            assert_eq!(is_task(name), want, "{name}");
        }
    }

    fn args(env: &[&str], words: &[&str]) -> Run {
        Run {
            definition: Some("job".into()),
            count: 1,
            group: None,
            env: env.iter().map(ToString::to_string).collect(),
            container: None,
            apps: Vec::new(),
            words: words.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn variables_go_to_the_container_that_is_named() {
        let got = overrides(&args(&["A=1", "side:B=x=y:z", "C="], &["echo", "hi"])).unwrap();
        let of = |container: &str| got.env[container].clone();
        assert_eq!(of(""), [("A".into(), "1".into()), ("C".into(), String::new())]);
        assert_eq!(of("side"), [("B".to_owned(), "x=y:z".to_owned())]);
        assert_eq!(got.commands[""], ["echo", "hi"]);
        for bad in ["A", "=1", "side:=1", ""] {
            assert!(overrides(&args(&[bad], &[])).is_err(), "{bad}");
        }
    }
}
