//! Runs a controller in the foreground, and removes what it ran.

use super::args::Up;
use super::ask::{compact, tell_removed};
use super::inputs::{self, Apps};
use super::place::{Place, Talk, strange};
use super::show;
use crate::args::{Format, Global};
use crate::error::Failure;
use crate::print;
use crate::progress::Bar;
use crate::runner::STOP;
use runtime::control::{Answer, Removed, Request};
use runtime::controller::{self, ControllerError, Notice};
use runtime::store::StoreError;
use serde_json::json;
use std::cell::{Cell, RefCell};
use std::sync::atomic::Ordering;

/// Runs a controller until it is told to end.
///
/// # Errors
///
/// If something is wrong with the input, or with exit code 130 if Ctrl-C ends it: its tasks run on.
pub fn up(args: &Up, place: &Place, global: &Global) -> Result<(), Failure> {
    print::no_csv(global)?;
    let apps = inputs::apps(&args.apps)?;
    let setup = inputs::setup(&args.founding, place, global)?;
    let teller = Teller::new(place, global);
    let mut first = Vec::new();
    if let Some(Apps { plan, digest, warnings }) = apps {
        warnings.into_iter().for_each(|it| teller.tell(&Notice::Warning(it)));
        first.push(Request::Apply { plan, once: Some(digest) });
    }
    let refused: Cell<Option<Failure>> = Cell::new(None);
    let should_end = Cell::new(false);
    let removed = RefCell::new(None);
    let ended = controller::run(
        setup,
        &inputs::scheduler,
        first,
        &|| STOP.load(Ordering::Relaxed) || should_end.get(),
        &mut |notice| match notice {
            Notice::Answered(Answer::Refused { what, help }) => {
                refused.set(Some(Failure::new(what).help(help)));
                should_end.set(true);
            }
            Notice::Answered(Answer::Down(hosts)) => *removed.borrow_mut() = Some(hosts),
            notice => teller.tell(&notice),
        },
    );
    ended.map_err(|it| controller_failure(&it, place))?;
    if let Some(refused) = refused.take() {
        return Err(refused);
    }
    if let Some(hosts) = removed.take() {
        return tell_removed(hosts, place, global);
    }
    let flag = &place.flag;
    if STOP.load(Ordering::Relaxed) {
        return Err(Failure::new("interrupted: the controller has ended, its tasks run on")
            .help(format!(
                "`bayplan live up{flag}` goes on where it left off, `bayplan live down{flag}` removes \
                 everything"
            ))
            .interrupted());
    }
    teller.end()
}

/// An error of a controller, with the command that helps.
pub fn controller_failure(error: &ControllerError, place: &Place) -> Failure {
    match error {
        ControllerError::Store(error) => place.store_failure(error),
        other => Failure::new(other.to_string()).help(other.help()),
    }
}

/// Says what a controller does, in short lines or as JSON, one line each.
struct Teller<'a> {
    place: &'a Place,
    global: &'a Global,
}

impl<'a> Teller<'a> {
    fn new(place: &'a Place, global: &'a Global) -> Self {
        Self { place, global }
    }

    /// That standard output cannot be written is no reason to end a controller.
    fn tell(&self, notice: &Notice) {
        let line = match self.global.format {
            _ if self.global.quiet => return,
            Format::Json => self.as_json(notice),
            Format::Table | Format::Csv => self.as_text(notice),
        };
        let _ = print::line(&line);
    }

    fn as_json(&self, notice: &Notice) -> String {
        let value = match notice {
            Notice::Opened { header, records, is_new } => json!({ "opened": {
                "state": self.place.dir,
                "cluster": header.cluster,
                "owner": header.owner,
                "policy": header.policy,
                "seed": header.seed,
                "records": records,
                "is_new": is_new,
            }}),
            Notice::Listening => json!({ "listening": true }),
            Notice::Recorded(it) => json!({ "recorded": it }),
            Notice::Warning(it) => json!({ "warning": it }),
            Notice::Answered(it) => json!({ "answered": it }),
        };
        value.to_string()
    }

    fn as_text(&self, notice: &Notice) -> String {
        let Place { dir, flag } = self.place;
        match notice {
            Notice::Opened { header, records, is_new } => {
                let whence = if *is_new {
                    "new".to_owned()
                } else {
                    format!("going on after {}", show::count(*records, "record"))
                };
                format!(
                    "cluster {} ({}) in {}: {whence}, policy {}, seed {}",
                    header.cluster,
                    header.owner,
                    dir.display(),
                    header.policy,
                    header.seed
                )
            }
            Notice::Listening => format!(
                "listening: `bayplan live ps{flag}` in another terminal; Ctrl-C ends the controller and \
                 leaves its tasks running"
            ),
            Notice::Recorded(it) => show::event(it).trim_end().to_owned(),
            Notice::Warning(it) => format!("warning: {it}"),
            Notice::Answered(Answer::Applied(it)) => show::applied(it),
            Notice::Answered(it) => compact(it).unwrap_or_default(),
        }
    }

    /// It was told to end.
    fn end(&self) -> Result<(), Failure> {
        let flag = &self.place.flag;
        match self.global.format {
            _ if self.global.quiet => Ok(()),
            Format::Json => print::line(&json!({ "ended": true }).to_string()),
            Format::Table | Format::Csv => print::line(&format!(
                "the controller has ended as asked, its tasks run on; `bayplan live up{flag}` goes on, \
                 `bayplan live down{flag}` removes everything"
            )),
        }
    }
}

/// Removes everything of a cluster from its hosts, by its controller or, if none runs, by one of its own.
///
/// # Errors
///
/// If there is no cluster; with exit code 1, if it is not known that nothing is left.
pub fn down(place: &Place, global: &Global) -> Result<(), Failure> {
    let bar = Bar::spinner("removing everything from all hosts", global.quiet);
    let removed = remove(place);
    bar.clear();
    tell_removed(removed?, place, global)
}

/// What was removed, by host.
fn remove(place: &Place) -> Result<Vec<Removed>, Failure> {
    if let Some(mut talk) = Talk::try_open(place) {
        return match talk.ask(Request::Down)? {
            Answer::Down(hosts) => {
                place.wait_until_free();
                Ok(hosts)
            }
            other => Err(strange(&other)),
        };
    }
    let Some(header) = place.header()? else {
        let missing = StoreError::Missing { dir: place.dir.clone() };
        return Err(place.store_failure(&missing));
    };
    let removed = RefCell::new(None);
    controller::run(
        inputs::setup_as_found(&header, place),
        &inputs::scheduler,
        vec![Request::Down],
        &|| STOP.load(Ordering::Relaxed),
        &mut |notice| {
            if let Notice::Answered(Answer::Down(hosts)) = notice {
                *removed.borrow_mut() = Some(hosts);
            }
        },
    )
    .map_err(|it| controller_failure(&it, place))?;
    removed.take().ok_or_else(|| {
        Failure::new("interrupted before everything was removed")
            .help(format!("run `bayplan live down{}` again", place.flag))
            .interrupted()
    })
}
