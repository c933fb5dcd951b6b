//! Bayplan's own format: two CSV files that people write by hand, `tasks.csv` and `nodes.csv`.
//!
//! A `tasks.csv` alone is a workload; its cluster is then given separately. A `nodes.csv` alone is a
//! cluster. Both begin with a line of column names, in any order. Units stand in the names. Numbers
//! may have decimals and are read exactly, without a float: 0.5 cores are 500 thousandths; cpu finer
//! than a thousandth of a core and times finer than a microsecond are refused; a part of a byte is
//! rounded to the nearest. The card counts blank cpu and memory cells, and names that stand there twice.
//!
//! # tasks.csv
//!
//! | column | holds | blank or missing |
//! |---|---|---|
//! | `id` or `name` | the task's name | its line's number |
//! | `arrival_s`, `arrival_ms`, `arrival_us` (or `submit_…`) | when it arrives | needed |
//! | `cpu_cores`, `cpu_milli` | cpu | none |
//! | `mem_gib`, `mem_mib`, `mem_bytes` (or `memory_…`) | memory | none |
//! | `disk_gib`, `disk_mib`, `disk_bytes` | disk | none |
//! | `duration_s`, `…_ms`, `…_us` (or `lifetime_…`) | how long it runs | until it is withdrawn |
//! | `estimate_…` | how long its user says | no estimate |
//! | `withdrawn_…` | the moment at which its user takes it back | never |
//! | `group` | what it is counted together with | no group |
//! | `kind` | `job` or `service` | `job` |
//! | `priority` | a whole number, higher is more important | 0 |
//! | `gpus` | number of GPU devices | 0 |
//! | `gpu_milli` | share of each device, in thousandths | 1000 |
//! | `gpu_models` | models that will do, `T4\|V100` | any |
//! | `ports` | host ports, `80/tcp\|53/udp` | none |
//! | `requires` | tests of attributes, `rack=a\|b;ssd`; see [`requirement`](crate::requirement) | none |
//! | `resident_on` | the node it runs on when the workload begins | it is submitted |
//! | `on_loss` | `restart` or `end`: what happens when its node is lost | `restart` |
//! | `count` | that many tasks alike, named `id/0`, `id/1`, … | 1 |
//! | `cpu_limit_…`, `mem_limit_…` (or `memory_limit_…`) | hard limits; what is asked for is the limit where nothing else is said | none |
//! | `image` | its container's image | not known |
//! | `namespace` | where its labels are known | the default one |
//! | `labels` | what rules find it by, `app=web;tier=front` | none |
//! | `tolerations` | taints it does not mind, `gpu=yes:NoSchedule;spot`, or `*` | none |
//! | `definition` | an entry of `definitions.json` | the row's own columns |
//!
//! A cpu or memory cell of `0` asks for nothing in so many words, a blank one says nothing: some policies take that for
//! a little. Whatever needs more than a cell (several containers, affinity, spread, limits, preferences) stands in
//! `definitions.json` beside `tasks.csv`: an object of definitions by name, as in
//! [`Document::definitions`](crate::scenario::model::Document::definitions). A row that names one says nothing else of what
//! it asks for: its columns from `cpu` to `tolerations` are blank, so that nothing is overridden and what one reads in
//! one place is all. Budgets stand in `budgets.json` beside it, a list as in
//! [`Document::budgets`](crate::scenario::model::Document::budgets).
//!
//! Lines should be in order of arrival; if not, they are sorted, and those of one moment keep the order
//! of the file.
//!
//! # nodes.csv
//!
//! | column | holds | blank or missing |
//! |---|---|---|
//! | `name` (or `id`) | the node's name | needed |
//! | `zone` | availability zone | no zone |
//! | cpu, memory, disk columns as above | what it has | none |
//! | `gpus`, `gpu_model` | devices and their model (several: `T4\|T4\|V100`) | none, `GPU` |
//! | `rank` | place in an order that breaks ties, lowest first | its place in the file |
//! | `reserved_ports` | ports that tasks may not take, `22/tcp` | none |
//! | `taints` | marks that keep tasks away, `gpu=yes:NoSchedule;spot:NoExecute` | none |
//! | `images` | images that are there, `nginx:1.27@180MiB\|redis,redis:7@40MiB` (several names of one: with commas, in quotes) | none |
//! | `label:NAME` | a label or further failure domain, such as `label:rack` | the label is not there (`""` is an empty one) |
//! | `count` | that many nodes alike, named `name-0`, `name-1`, … | 1 |
//! | `at_s`, `at_ms`, `at_us` | when something happens to it | 0 |
//! | `event` | `join`, `lost`, `returned`, `draining`, `updated` | `join` |
//!
//! An `updated` line gives the node's new capacity in full.

mod columns;
mod nodes;
mod tasks;
mod usual;
mod write;

pub use write::{file_names, write};

use crate::error::TraceError;
use crate::format::{Format, Request, Role, Sample};
use crate::scenario;
use crate::workload::Draft;
use cluster::event::Event;
use cluster::units::Instant;
use columns::{Column, known_columns};
use std::path::{Path, PathBuf};

/// Task definitions by name, beside `tasks.csv`.
const DEFINITIONS: &str = "definitions.json";

/// Disruption budgets, beside `tasks.csv`.
const BUDGETS: &str = "budgets.json";

/// Files that are read with the task list they stand beside, and are no trace of their own.
pub const COMPANIONS: [&str; 2] = [DEFINITIONS, BUDGETS];

/// The file of that name beside another, perhaps with `.gz`, if it is there.
fn beside(file: &Path, name: &str) -> Option<PathBuf> {
    let names = [name.to_owned(), format!("{name}.gz")];
    names.into_iter().map(|it| file.with_file_name(it)).find(|it| it.is_file())
}

/// The format.
pub const FORMAT: Format = Format {
    name: "bayplan",
    summary: "Bayplan's own: tasks.csv and nodes.csv, made to be written by hand",
    source: "this project",
    options: &[],
    guide: "\
tasks.csv, with or without nodes.csv beside it; units stand in the column names.

  tasks.csv   id|name, arrival_{s,ms,us} (needed; or submit_…), cpu_{cores,milli},
              mem_{gib,mib,bytes} (or memory_…), disk_{gib,mib,bytes}, duration_{s,ms,us} (or
              lifetime_…; blank: never ends), estimate_…, withdrawn_… (a moment), group,
              kind (job|service), priority, gpus, gpu_milli, gpu_models (T4|V100),
              ports (80/tcp|53/udp), requires (rack=a|b;ssd;!gpu;zone!=c;cores>4;type~t2.*),
              resident_on (node),
              on_loss (restart|end), count, cpu_limit_…, mem_limit_…, image, namespace,
              labels (app=web;tier=front), tolerations (gpu=yes:NoSchedule;spot),
              definition (an entry of definitions.json; all cells of what it says are blank)
  nodes.csv   name (needed), zone, cpu, mem and disk as above, gpus, gpu_model, rank,
              reserved_ports, label:NAME (any number), count, at_{s,ms,us},
              event (join|lost|returned|draining|updated), taints (gpu=yes:NoSchedule),
              images (nginx:1.27@180MiB|redis@40MiB)

  definitions.json beside tasks.csv holds what no cell can: {NAME: {containers, affinity,
  spread, limits, …}}, as in `bayplan trace formats scenario`; budgets.json a list of budgets.

  Cpu finer than 0.001 cores and times finer than a microsecond are refused. A blank cpu or
  memory cell asks for nothing, and an id may stand there twice: the card counts both. Rows out of time
  order are sorted and counted.

  id,arrival_s,cpu_cores,mem_gib,duration_s
  web,0,0.5,2,
  batch,1.25,4,8,600",
    recognise,
    uses: |request| {
        let mut files = request.all()?;
        for tasks in request.files(Role::Tasks).filter(|_| !request.nodes_only) {
            files.extend(COMPANIONS.iter().filter_map(|it| beside(&tasks.path, it)));
        }
        Ok(files)
    },
    read,
};

fn recognise(sample: &Sample) -> Option<Role> {
    let header = sample.header();
    let has = |role: Role, wanted: fn(&Column) -> bool| {
        let known = known_columns(role);
        header.iter().any(|it| known.iter().any(|(name, column)| name == it && wanted(column)))
    };
    if has(Role::Tasks, |it| matches!(it, Column::Arrival(_))) {
        return Some(Role::Tasks);
    }
    let has_amounts = has(Role::Nodes, |it| matches!(it, Column::Cpu(_) | Column::Memory(_)));
    // A task list that lacks the arrival column is told so, and not taken for nodes.
    let for_nodes = known_columns(Role::Nodes);
    let for_tasks_only = known_columns(Role::Tasks).into_iter().any(|(name, _)| {
        header.contains(&name.as_str()) && !for_nodes.iter().any(|it| it.0 == name)
    });
    if has_amounts && for_tasks_only {
        return Some(Role::Tasks);
    }
    let names_nodes = has(Role::Nodes, |it| *it == Column::Name);
    (names_nodes && has_amounts).then_some(Role::Nodes)
}

fn read(request: &Request<'_>, draft: &mut Draft) -> Result<(), TraceError> {
    let mut nodes = None;
    if let Some(file) = request.single(Role::Nodes, FORMAT.name)? {
        nodes = Some(file.name().to_owned());
        nodes::read_nodes(&file.path, draft)?;
    }
    if request.nodes_only {
        return Ok(());
    }
    let Some(file) = request.single(Role::Tasks, FORMAT.name)? else {
        return Err(TraceError::Empty { path: request.path.into(), wanted: "tasks.csv" });
    };
    tasks::read_tasks(&file.path, draft)?;
    if let Some(path) = beside(&file.path, BUDGETS) {
        let budgets = scenario::read_budgets(&path)?;
        draft.card.set_count("disruption budgets", budgets.len() as u64);
        draft.told.extend(budgets.into_iter().map(|it| (Instant::ZERO, Event::BudgetPut(it))));
    }
    if nodes.is_none() && !draft.residents.is_empty() {
        draft.card.assume("resident_on names nodes of the cluster that is given separately");
    }
    Ok(())
}
