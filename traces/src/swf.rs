//! The Standard Workload Format, version 2.2, of the Parallel Workloads Archive.
//!
//! Source: Chapin et al., "Benchmarks and Standards for the Evaluation of Parallel Job Schedulers",
//! 1999; cs.huji.ac.il/labs/parallel/workload/swf.html.
//!
//! Lines that begin with `;` are comments, some of the form `; Key: value`. All others have 18 numbers
//! between blanks; -1 is unknown. Times are seconds, memory is KiB per processor.
//!
//! | field | is | here |
//! |---|---|---|
//! | 2 | submit | arrival, rounded down to a microsecond |
//! | 4 | run time | lifetime; a job that has none is refused |
//! | 5, 8 | processors allocated, requested | field 5 if above 0, else 8; neither: refused |
//! | 9 | time requested | estimate |
//! | 10 | memory requested per processor | memory |
//! | 3, 6, 7, 11 to 18 | | not used; statuses are counted |
//!
//! With `as=tasks` a job of p processors is p tasks of one core in one group; with `as=task` it is
//! one task of p cores, and the machine is one node.

use crate::decimal::{self, Rounding};
use crate::error::TraceError;
use crate::format::{Format, FormatOption, Request, Role, Sample};
use crate::limits;
use crate::text::{Cell, Line, Lines};
use crate::workload::Draft;
use cluster::demand::{Amounts, Demand};
use cluster::event::NodeEvent;
use cluster::nodes::{NodeCapacity, NodeSpec};
use cluster::units::{Bytes, Instant, MilliCpu, Span};

const FIELDS: usize = 18;

/// More processors than this in one job are a mistake.
const PROCESSORS_MAX: u64 = 1_000_000;

/// The format.
pub const FORMAT: Format = Format {
    name: "swf",
    summary: "Standard Workload Format 2.2: batch jobs of parallel machines",
    source: "Parallel Workloads Archive, cs.huji.ac.il/labs/parallel/workload",
    options: &[FormatOption {
        name: "as",
        summary: "`tasks`: a job of p processors is p tasks of one core in one group (unless given); \
                  `task`: it is one task of p cores, and the machine is one node",
    }],
    guide: "\
One file of lines with 18 blank-separated numbers, -1 for unknown, and header lines `; Key: value`.
Nodes come from MaxNodes and MaxProcs of the header. Jobs without run time or processors are refused.",
    recognise,
    uses: |request| request.all(),
    read,
};

fn recognise(sample: &Sample) -> Option<Role> {
    let first = sample.lines.first()?;
    if first.starts_with(';') {
        return Some(Role::Tasks);
    }
    // Too many or too few columns are still this format's business: it says what is wrong.
    let words: Vec<&str> = first.split_whitespace().collect();
    let is_job = words.len() >= 12 && words[..12].iter().all(|it| decimal::is_number(it));
    is_job.then_some(Role::Tasks)
}

/// What a job becomes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum JobAs {
    Tasks,
    Task,
}

#[derive(Default)]
struct Header {
    nodes: Option<u64>,
    processors: Option<u64>,
}

fn read(request: &Request<'_>, draft: &mut Draft) -> Result<(), TraceError> {
    let Some(file) = request.single(Role::Tasks, FORMAT.name)? else {
        return Err(TraceError::Empty { path: request.path.into(), wanted: "SWF file" });
    };
    let job_as = match request.option("as") {
        None | Some("tasks") => JobAs::Tasks,
        Some("task") => JobAs::Task,
        Some(other) => {
            return Err(TraceError::unknown("reading of a job", other, ["tasks", "task"]));
        }
    };
    let mut lines = Lines::open(&file.path)?;
    draft.files.push(file.path.display().to_string());
    let mut header = Header::default();
    let (mut memory_max, mut past_estimate) = (0, 0);
    while let Some(line) = lines.next_filled()? {
        if let Some(comment) = line.text.trim_start().strip_prefix(';') {
            header.read(comment);
            continue;
        }
        let mut cells = Vec::with_capacity(FIELDS);
        line.split_blanks(&mut cells);
        if cells.len() != FIELDS {
            return Err(line.columns(FORMAT.name, cells.len(), FIELDS));
        }
        draft.card.rows_read += 1;
        draft.card.count(&format!("jobs of status {}", cells[10].text), 1);
        match Job::read(&line, &cells)? {
            Ok(job) => {
                memory_max = memory_max.max(job.memory);
                past_estimate += u64::from(job.estimate.is_some_and(|it| it < job.run));
                job.add(draft, job_as, line.number);
            }
            Err(reason) => draft.card.refusals.add(line.path, line.number, reason),
        }
    }
    draft.card.set_count("jobs that ran longer than they had asked for", past_estimate);
    header.add_nodes(draft, job_as, memory_max);
    draft.card.assume(match job_as {
        JobAs::Tasks => {
            "a job of p processors is p tasks of one core in one group, started one by one"
        }
        JobAs::Task => "a job of p processors is one task of p cores",
    });
    Ok(())
}

impl Header {
    /// Takes what it knows from `Key: value`; anything else is a remark.
    fn read(&mut self, comment: &str) {
        let Some((key, value)) = comment.split_once(':') else { return };
        let number = value.split_whitespace().next().and_then(|it| it.parse().ok());
        match key.trim() {
            "MaxNodes" => self.nodes = number.filter(|&it| it > 0),
            "MaxProcs" => self.processors = number.filter(|&it| it > 0),
            _ => {}
        }
    }

    fn add_nodes(&self, draft: &mut Draft, job_as: JobAs, memory_max: u64) {
        let (nodes, processors) = match (self.nodes, self.processors) {
            (None, None) => {
                draft.card.assume("the header names no size of the machine: give a cluster");
                return;
            }
            (Some(nodes), Some(processors)) => (nodes, processors),
            (Some(nodes), None) => {
                draft.card.assume("MaxProcs is missing: every node has one processor");
                (nodes, nodes)
            }
            (None, Some(processors)) => {
                draft.card.assume("MaxNodes is missing: every processor is a node of its own");
                (processors, processors)
            }
        };
        if nodes > PROCESSORS_MAX || processors > PROCESSORS_MAX {
            draft.card.assume("the header's machine is too large to be true: give a cluster");
            return;
        }
        let nodes = if job_as == JobAs::Task { 1 } else { nodes };
        for row in 0..nodes {
            let cores = processors / nodes + u64::from(row < processors % nodes);
            let amounts = Amounts {
                cpu: MilliCpu::from_cores(cores),
                memory: Bytes(cores.saturating_mul(memory_max)),
                disk: Bytes(0),
            };
            let name = format!("node-{row:04}");
            let capacity = NodeCapacity { amounts, gpus: vec![] };
            let node = NodeSpec { name: name.clone(), capacity, ..NodeSpec::default() };
            draft.node_event(Instant::ZERO, &name, NodeEvent::Joined(Box::new(node)));
        }
        if memory_max > 0 {
            draft.card.assume(
                "nodes have enough memory for any jobs on all their cores (not in the log)",
            );
        }
    }
}

struct Job<'a> {
    id: &'a str,
    submit: Instant,
    run: Span,
    processors: u64,
    estimate: Option<Span>,
    /// Bytes per processor; zero if unknown.
    memory: u64,
}

impl<'a> Job<'a> {
    /// The job of a line, or why it is left out.
    fn read(line: &Line<'a>, cells: &[Cell<'a>]) -> Result<Result<Self, &'static str>, TraceError> {
        if let Some(cell) = cells.iter().find(|it| !decimal::is_number(it.text)) {
            return Err(line.bad(*cell, "field", "a number"));
        }
        // Unknown is -1; anything else below zero is as good as unknown.
        let known = |at: usize, name: &str, units: u64, limit| {
            if decimal::is_negative(cells[at].text) {
                Ok(None)
            } else {
                line.limited(cells[at], name, units, Rounding::Down, limit).map(Some)
            }
        };
        const SECOND: u64 = 1_000_000;
        let submit = known(1, "submit time", SECOND, limits::TIME)?;
        let run = known(3, "run time", SECOND, limits::TIME)?;
        let allocated = known(4, "processors", 1, limits::CPU)?.filter(|&it| it > 0);
        let requested = known(7, "processors requested", 1, limits::CPU)?.filter(|&it| it > 0);
        let estimate = known(8, "time requested", SECOND, limits::TIME)?.filter(|&it| it > 0);
        let memory = known(9, "memory requested", 1 << 10, limits::BYTES)?.unwrap_or(0);
        let Some(submit) = submit else { return Ok(Err("submit time unknown")) };
        let Some(run) = run else { return Ok(Err("run time unknown")) };
        let Some(processors) = allocated.or(requested) else {
            return Ok(Err("number of processors unknown"));
        };
        if processors > PROCESSORS_MAX {
            let cell = cells[if allocated.is_some() { 4 } else { 7 }];
            return Err(line.bad(cell, "processors", "at most a million"));
        }
        // The largest job asks for this on all its processors together.
        if memory.saturating_mul(processors) > limits::BYTES.most {
            return Err(line.bad(cells[9], "memory requested", limits::BYTES.wanted));
        }
        let id = cells[0].text;
        let (submit, run, estimate) = (Instant(submit), Span(run), estimate.map(Span));
        Ok(Ok(Self { id, submit, run, processors, estimate, memory }))
    }

    fn add(&self, draft: &mut Draft, job_as: JobAs, line: u64) {
        let (count, cores) = match job_as {
            JobAs::Tasks => (self.processors, 1),
            JobAs::Task => (1, self.processors),
        };
        let memory = Bytes(self.memory.saturating_mul(cores));
        let amounts = Amounts { cpu: MilliCpu::from_cores(cores), memory, disk: Bytes(0) };
        let definition = draft.definition(Demand { amounts, ..Demand::default() });
        let group = draft.groups.intern(self.id);
        draft.card.count("jobs", 1);
        for number in 0..count {
            let name = match job_as {
                JobAs::Tasks => draft.names.push(format_args!("{}/{number}", self.id)),
                JobAs::Task => draft.names.push(format_args!("{}", self.id)),
            };
            let mut row = draft.row(self.submit, definition, name, line);
            row.lifetime = Some(self.run);
            row.estimate = self.estimate;
            row.group = Some(group);
            draft.tasks.push(row);
        }
    }
}
