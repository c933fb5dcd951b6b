//! A recorded run, wherever it is kept: a journal file, or the state folder of a live cluster.

use crate::error::Failure;
use crate::journal_file::{End, Header, Reader};
use crate::workloads::{digest, hex};
use crate::{live_error, plan};
use cluster::event::{Action, Change};
use cluster::journal::{Input, Record};
use cluster::manager::Manager;
use cluster::observer::Observer;
use cluster::state::State;
use cluster::units::{Instant, Span};
use reports::collector::{Collector, CollectorConfig};
use reports::manifest::InputFile;
use reports::run_report::RunReport;
use runtime::store::StoreReader;
use sha2::{Digest, Sha256};
use sim::replay::{Collecting, Counterfactual, Difference, Verifier};
use sim::startup::Startup;
use std::path::{Path, PathBuf};

/// A run that was recorded, with how it was made.
pub struct Recording {
    /// How it was made.
    pub header: Header,
    path: PathBuf,
    kept: Kept,
}

enum Kept {
    File,
    Live(Box<StoreReader>),
}

/// A recording that was fed back without a difference, and what was seen meanwhile.
pub struct Verified {
    /// Number of records.
    pub records: u64,
    /// The hash over all records.
    pub fingerprint: String,
    /// Its numbers.
    pub report: RunReport,
    /// How many of them asked for decisions.
    pub decisions: u64,
    /// The last moment of the run.
    pub end: Instant,
    /// Whether it was stopped before its end.
    pub was_stopped: bool,
}

/// Gathers what it takes to run the input of a recording again. Grows with its length.
#[derive(Debug, Default)]
pub struct Gathering {
    collecting: Collecting,
    decided: Vec<Instant>,
    /// The first event that asks for a decision yet to come.
    asked: Option<Instant>,
    delays: Vec<Span>,
}

/// What it takes to run the input of a recording again.
pub struct Gathered {
    /// What would have come under any policy.
    pub what_if: Counterfactual,
    /// When its decisions were made.
    pub decided: Vec<Instant>,
    /// Half of its decisions came this long, or less, after the first event that asked for one.
    pub decide_after: Span,
}

impl Gathering {
    fn answered(&mut self, now: Instant, is_decision: bool, manager: &Manager) {
        if is_decision {
            self.decided.push(now);
            self.delays.extend(self.asked.take().map(|it| now.since(it)));
        } else if self.asked.is_none() && manager.wants_decision(now) {
            self.asked = Some(now);
        }
    }

    /// When all records were seen.
    pub fn finish(mut self) -> Gathered {
        self.delays.sort_unstable();
        let decide_after = self.delays.get(self.delays.len() / 2).copied().unwrap_or(Span::ZERO);
        Gathered { what_if: self.collecting.finish(), decided: self.decided, decide_after }
    }
}

struct Watching<'a> {
    collector: Collector,
    gathering: Option<&'a mut Gathering>,
    more: &'a mut dyn Observer,
}

impl Observer for Watching<'_> {
    fn advance(&mut self, to: Instant, state: &State) {
        self.collector.advance(to, state);
        self.more.advance(to, state);
    }

    fn observe(&mut self, now: Instant, changes: &[Change], state: &State) {
        self.collector.observe(now, changes, state);
        if let Some(it) = &mut self.gathering {
            it.collecting.observe(now, changes, state);
        }
        self.more.observe(now, changes, state);
    }
}

impl Recording {
    /// Opens a journal file, or a folder with a live state.
    ///
    /// # Errors
    ///
    /// If it is neither, cannot be read, or a controller runs on it.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        if !path.is_dir() {
            let header = Reader::open(path)?.header;
            return Ok(Self { header, path: path.to_owned(), kept: Kept::File });
        }
        let journal = path.join("journal");
        if journal.is_file() {
            return Err(Failure::new(format!("{} is a folder, not a journal", path.display()))
                .help(format!("name the file in it: {}", journal.display())));
        }
        let store = StoreReader::open(path).map_err(live_error::store)?;
        let of = store.header();
        let header = Header {
            version: String::new(),
            policy: of.policy.clone(),
            seed: of.seed,
            rules: of.rules,
            startup: Startup::None,
            trace: format!("the live cluster {}", of.cluster),
            card: format!("What the controller of the live cluster {} recorded.", of.cluster),
            synthetic_zones: None,
            until: None,
        };
        Ok(Self { header, path: path.to_owned(), kept: Kept::Live(Box::new(store)) })
    }

    /// Whether it was recorded on real hosts.
    pub fn is_live(&self) -> bool {
        matches!(self.kept, Kept::Live(_))
    }

    /// Shows every record, encoded and decoded, in order. The end mark comes back, if there is one: a
    /// live journal goes on.
    ///
    /// # Errors
    ///
    /// If it cannot be read to its end, or what `visit` says.
    pub fn each(
        &self,
        mut visit: impl FnMut(&[u8], Record) -> Result<(), Failure>,
    ) -> Result<Option<End>, Failure> {
        match &self.kept {
            Kept::File => {
                let mut reader = Reader::open(&self.path)?;
                while let Some((bytes, record)) = reader.next()? {
                    visit(&bytes, record)?;
                }
                Ok(reader.end())
            }
            Kept::Live(store) => {
                for numbered in store.records(1).map_err(live_error::store)? {
                    let numbered = numbered.map_err(live_error::store)?;
                    let bytes = numbered.entry.record;
                    let record = Record::from_bytes(&bytes).map_err(|error| {
                        let (path, number) = (self.path.display(), numbered.number);
                        Failure::new(format!("{path}: record {number}: {error}"))
                            .help("use the version of bayplan that wrote it, or restore a backup")
                    })?;
                    visit(&bytes, record)?;
                }
                Ok(None)
            }
        }
    }

    /// Digest of what is read: of the file, or of a live journal's records one after the other.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn digest(&self) -> Result<InputFile, Failure> {
        let path = match self.kept {
            Kept::File => return digest(&self.path),
            Kept::Live(_) => format!("{} (its journal)", self.path.display()),
        };
        let (mut hash, mut bytes) = (Sha256::new(), 0);
        self.each(|record, _| {
            hash.update(record);
            bytes += record.len() as u64;
            Ok(())
        })?;
        Ok(InputFile { path, sha256: hex(&hash.finalize()), bytes })
    }

    /// Feeds it to a manager under the recorded policy and compares every answer, byte for byte.
    /// `gathering` and `more` see all of it; without them, memory does not grow with its length.
    ///
    /// # Errors
    ///
    /// If it cannot be read; or the first difference, with exit code 1.
    pub fn verify(
        &self,
        gathering: Option<&mut Gathering>,
        more: &mut dyn Observer,
    ) -> Result<Verified, Failure> {
        let header = &self.header;
        let policy = plan::policy(&header.policy)?;
        let manager = Manager::new(header.rules, policy.build(header.seed));
        // As when it was recorded, so that samples are taken at the same moments.
        let config = CollectorConfig { horizon: header.until, ..CollectorConfig::default() };
        let collector = Collector::new(config);
        let watching = Watching { collector, gathering, more };
        let mut verifier = Verifier::new(manager, watching);
        let (mut now, mut decisions) = (Instant::ZERO, 0);
        let mark = self.each(|bytes, record| {
            now = record.at;
            let is_decision = record.input == Input::Decide;
            decisions += u64::from(is_decision);
            if let Some(it) = &mut verifier.observer().gathering {
                it.collecting.input(record.at, &record.input);
            }
            verifier.feed(record).map_err(|it| self.differs(&it))?;
            let (manager, watching) = verifier.parts();
            if let Some(it) = &mut watching.gathering {
                it.answered(now, is_decision, manager);
            }
            if verifier.manager().last_record() == bytes {
                return Ok(());
            }
            let number = verifier.records();
            Err(Failure::new(format!(
                "record {number} is answered alike, but encoded otherwise now"
            ))
            .help(self.suspect())
            .found())
        })?;
        let fingerprint = verifier.manager().fingerprint();
        let records = verifier.records();
        if let Some(end) = mark
            && end.fingerprint != fingerprint
        {
            return Err(Failure::new(format!(
                "all {records} records are answered as recorded, but their fingerprint is \
                 {fingerprint}, not {}",
                end.fingerprint
            ))
            .help("the journal's end mark is damaged")
            .found());
        }
        let end = mark.map_or(now, |it| it.at);
        let (mut watching, state) = verifier.finish();
        if end > now {
            watching.advance(end, &state);
        }
        Ok(Verified {
            records,
            decisions,
            fingerprint: fingerprint.to_string(),
            report: watching.collector.finish(end, &state),
            end,
            was_stopped: mark.is_some_and(|it| it.was_stopped),
        })
    }

    fn differs(&self, difference: &Difference) -> Failure {
        let Difference { number, recorded, replayed } = difference;
        let show = |actions: &[Action]| {
            let record = Record {
                at: recorded.at,
                input: recorded.input.clone(),
                actions: actions.to_vec(),
            };
            record.to_string()
        };
        let (recorded, replayed) = (show(&recorded.actions), show(replayed));
        Failure::new(format!(
            "record {number} is answered otherwise now\n  recorded: {recorded}\n  now:      {replayed}"
        ))
        .help(self.suspect())
        .found()
    }

    /// What may be the reason for a difference.
    fn suspect(&self) -> String {
        let version = env!("CARGO_PKG_VERSION");
        match &self.kept {
            Kept::File if self.header.version != version => {
                format!("the journal was written by version {}, this is {version}", self.header.version)
            }
            Kept::File => "the policy does not decide alike twice, or its code changed since the journal \
                           was written"
                .to_owned(),
            Kept::Live(_) => "the policy does not decide alike twice, or its code changed since; a \
                              controller of this version goes on from the state all the same, because it \
                              applies what was recorded"
                .to_owned(),
        }
    }
}
