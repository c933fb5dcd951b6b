//! What a controller is started with and told to run: hosts, policy, rules, app files.

use super::args::Founding;
use super::place::Place;
use crate::app_input::member_of;
use crate::args::Global;
use crate::error::{Failure, io};
use crate::output::quoted;
use crate::workloads::hex;
use crate::{live_error, plan};
use cluster::rules::{LostAfter, Rules};
use cluster::scheduler::Scheduler;
use runtime::app::App;
use runtime::controller::{self, HostsFile, Setup};
use runtime::plan::Plan;
use runtime::store::Header;
use runtime::{agent, hosts};
use schedulers::policy::Policy;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The policy of a cluster that names none.
const POLICY: &str = "ecs";
/// The name of a cluster that has none.
const CLUSTER: &str = "bayplan";

/// What a controller is set up with: what was asked for on a new state folder, what it holds already on
/// another.
///
/// # Errors
///
/// If a file or an option cannot be read, if a controller runs there already, or if the folder is that of
/// a cluster that was founded otherwise.
pub fn setup(args: &Founding, place: &Place, global: &Global) -> Result<Setup, Failure> {
    let policy = args.policy.as_deref().map(plan::policy).transpose()?;
    let rules = Asked::read(args)?;
    if let Some(name) = &args.cluster {
        check_name(name)?;
    }
    let hosts = args.hosts.as_deref().map(hosts_file).transpose()?;
    let header = place.header()?;
    match &header {
        Some(header) => agrees(header, args, policy.as_ref(), &rules, place)?,
        None if hosts.is_none() => {
            return Err(Failure::new(format!(
                "{} holds no cluster yet, and no hosts were named for a new one",
                place.dir.display()
            ))
            .help(
                "name them with --hosts hosts.toml; `bayplan testbed up 3` raises three on this \
                 machine and writes their hosts.toml",
            ));
        }
        None => {}
    }
    let policy = policy.map_or_else(|| POLICY.to_owned(), |it| it.to_string());
    Ok(Setup {
        dir: place.dir.clone(),
        hosts,
        founding: controller::Founding {
            cluster: args.cluster.clone().unwrap_or_else(|| CLUSTER.to_owned()),
            policy,
            seed: global.seed,
            rules: rules.over(Rules::default()),
        },
        contact: agent::Contact::default(),
        limits: agent::Limits::default(),
    })
}

/// As [`setup`], on a folder that is known to hold a state, with what it holds.
pub fn setup_as_found(header: &Header, place: &Place) -> Setup {
    Setup {
        dir: place.dir.clone(),
        hosts: None,
        founding: controller::Founding {
            cluster: header.cluster.clone(),
            policy: header.policy.clone(),
            seed: header.seed,
            rules: header.rules,
        },
        contact: agent::Contact::default(),
        limits: agent::Limits::default(),
    }
}

/// The scheduler of a cluster.
///
/// # Errors
///
/// If its policy is none of this version.
pub fn scheduler(header: &Header) -> Result<Box<dyn Scheduler>, String> {
    let policy: Policy = header.policy.parse().map_err(|error| {
        format!("its policy {:?} is none of this version: {error}", header.policy)
    })?;
    Ok(policy.build(header.seed))
}

/// The rules that were asked for; the others are left as they are.
struct Asked {
    order: Option<cluster::rules::QueueOrder>,
    unfit: Option<cluster::rules::Unfit>,
    overcommit: Option<cluster::nodes::Overcommit>,
    lost_after: Option<LostAfter>,
}

impl Asked {
    fn read(args: &Founding) -> Result<Self, Failure> {
        let lost_after = args.lost_after.as_deref();
        Ok(Self {
            order: args.queue.as_deref().map(plan::queue_order).transpose()?,
            unfit: args.unfit.as_deref().map(plan::unfit).transpose()?,
            overcommit: args.overcommit.as_deref().map(plan::overcommit).transpose()?,
            lost_after: lost_after
                .map(|it| plan::span("--lost-after", it))
                .transpose()?
                .map(LostAfter),
        })
    }

    fn over(&self, rules: Rules) -> Rules {
        Rules {
            order: self.order.unwrap_or(rules.order),
            unfit: self.unfit.unwrap_or(rules.unfit),
            overcommit: self.overcommit.unwrap_or(rules.overcommit),
            lost_after: self.lost_after.unwrap_or(rules.lost_after),
            ..rules
        }
    }
}

/// A cluster keeps what it was founded with, for its whole life: that is what makes its journal replayable.
fn agrees(
    header: &Header,
    args: &Founding,
    policy: Option<&Policy>,
    rules: &Asked,
    place: &Place,
) -> Result<(), Failure> {
    let (dir, flag) = (quoted(&place.dir.to_string_lossy()), &place.flag);
    let other = |what: String, option: &str| {
        Err(Failure::new(what).help(format!(
            "leave {option} out to go on with it; for another cluster name another folder with \
             --state, and remove this one with `bayplan live down{flag}`; `bayplan replay {dir} \
             --policy P` tells what another policy would have done"
        )))
    };
    let shown = place.dir.display();
    if let Some(asked) = policy
        && header.policy.parse::<Policy>().is_ok_and(|it| it != *asked)
    {
        let what = format!("the cluster in {shown} is run by {}, not by {asked}", header.policy);
        return other(what, "--policy");
    }
    if let Some(asked) = &args.cluster
        && *asked != header.cluster
    {
        return other(
            format!("the cluster in {shown} is named {:?}, not {asked:?}", header.cluster),
            "--cluster",
        );
    }
    let is = header.rules;
    for (differs, option) in [
        (rules.order.is_some_and(|it| it != is.order), "--queue"),
        (rules.unfit.is_some_and(|it| it != is.unfit), "--unfit"),
        (rules.overcommit.is_some_and(|it| it != is.overcommit), "--overcommit"),
        (rules.lost_after.is_some_and(|it| it != is.lost_after), "--lost-after"),
    ] {
        if differs {
            return other(format!("the cluster in {shown} was made with another {option}"), option);
        }
    }
    Ok(())
}

/// It becomes part of names and labels of containers.
fn check_name(name: &str) -> Result<(), Failure> {
    let fits = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
    let begins = name.starts_with(|it: char| it.is_ascii_alphanumeric());
    if begins && name.chars().all(fits) && name.len() <= 40 {
        return Ok(());
    }
    Err(Failure::new(format!("--cluster is {name:?}, which is no name for containers to bear"))
        .help("write up to 40 letters, digits, hyphens, underscores and dots, a letter first"))
}

fn read(what: &str, path: &Path) -> Result<String, Failure> {
    let bytes = std::fs::read(path).map_err(|it| io(&format!("read {what}"), path, &it))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..valid].iter().filter(|it| **it == b'\n').count() + 1;
        Failure::new(format!("{}:{line}: not UTF-8 text", path.display()))
            .help("save the file as UTF-8")
    })
}

fn hosts_file(path: &Path) -> Result<HostsFile, Failure> {
    let text = read("the hosts file", path)?;
    let name = path.display().to_string();
    if let Err(error) = hosts::read(&text, &name) {
        return Err(live_error::hosts(&error, &text));
    }
    Ok(HostsFile { text, path: name })
}

/// App files, in a controller's words.
pub struct Apps {
    /// What shall happen.
    pub plan: Plan,
    /// Of all files together.
    pub digest: String,
    /// What is left out, with its place.
    pub warnings: Vec<String>,
}

/// Reads app files as one; `None` if there are none.
///
/// # Errors
///
/// The first thing that is wrong with one, with its place.
pub fn apps(paths: &[PathBuf]) -> Result<Option<Apps>, Failure> {
    if paths.is_empty() {
        return Ok(None);
    }
    let mut files = Vec::new();
    let mut hash = Sha256::new();
    for path in paths {
        let text = read("the app file", path)?;
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(&text);
        files.push((text, path.display().to_string()));
    }
    let borrowed: Vec<(&str, &str)> = files.iter().map(|it| (&*it.0, &*it.1)).collect();
    let app = App::read_all(&borrowed, &member_of).map_err(|it| live_error::app(&it, &borrowed))?;
    let mut plan = Plan::from(&app);
    // A controller may stand in another folder than who asks it.
    let here = std::env::current_dir().map_err(|it| io("find", Path::new("."), &it))?;
    for container in plan.definitions.iter_mut().flat_map(|it| &mut it.program.containers) {
        if let Some(archive) = &mut container.archive {
            *archive = here.join(&*archive);
        }
    }
    let warnings = app.warnings.iter().map(ToString::to_string).collect();
    Ok(Some(Apps { plan, digest: hex(&hash.finalize()), warnings }))
}
