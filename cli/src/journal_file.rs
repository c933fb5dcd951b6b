//! Journals as files: a header that says how the run was made, the records, and an end mark.
//!
//! ```text
//! "bayplan journal 1\n"
//! u32 length, header as JSON
//! repeated: u32 length (at least 1), one record
//! u32 zero, u64 number of records, u128 fingerprint, u64 end of the run in microseconds,
//! u8 whether the run was stopped before its end
//! ```
//!
//! All numbers are little-endian. A file without the end mark was cut off; what is there is whole up to
//! the last record.

use crate::error::{Failure, io};
use cluster::arrival::StreamError;
use cluster::journal::{Fingerprint, Record};
use cluster::rules::Rules;
use cluster::units::Instant;
use serde::{Deserialize, Serialize};
use sim::startup::Startup;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 18] = b"bayplan journal 1\n";
/// No record or header is longer; a larger number means that the file is damaged.
const LENGTH_MAX: u32 = 1 << 28;

/// How the run was made, as far as replaying needs it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Version of the tool.
    pub version: String,
    /// Canonical text of the policy.
    pub policy: String,
    /// The run's seed.
    pub seed: u64,
    /// The manager's options.
    pub rules: Rules,
    /// The start-up model, for what the journal does not know.
    pub startup: Startup,
    /// The workload, for people.
    pub trace: String,
    /// The trace's card, for people.
    pub card: String,
    /// How zones were made up, if they were.
    pub synthetic_zones: Option<String>,
    /// When the run was to end at the latest.
    pub until: Option<Instant>,
}

/// How a journal ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The hash over all records.
    pub fingerprint: Fingerprint,
    /// The last moment of the run; nothing happened after the last record.
    pub at: Instant,
    /// Whether the run was stopped before its end.
    pub was_stopped: bool,
}

/// Writes a journal beside its place; [`Writer::finish`] puts it there. One that is dropped before leaves
/// nothing.
pub struct Writer {
    file: BufWriter<File>,
    part: PathBuf,
    path: PathBuf,
    records: u64,
}

impl Writer {
    /// Begins a journal.
    ///
    /// # Errors
    ///
    /// If the file cannot be made.
    pub fn create(path: &Path, header: &Header) -> Result<Self, Failure> {
        let part = path.with_extension("part");
        let failed = |error: std::io::Error| io("write", path, &error);
        let header = serde_json::to_vec(header).map_err(|it| failed(it.into()))?;
        let mut file = BufWriter::with_capacity(1 << 20, File::create(&part).map_err(failed)?);
        file.write_all(MAGIC).map_err(failed)?;
        file.write_all(&length(&header).to_le_bytes()).map_err(failed)?;
        file.write_all(&header).map_err(failed)?;
        Ok(Self { file, part, path: path.to_owned(), records: 0 })
    }

    /// Adds one encoded record.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn record(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        self.records += 1;
        self.file
            .write_all(&length(bytes).to_le_bytes())
            .and_then(|()| self.file.write_all(bytes))
            .map_err(|it| io("write", &self.path, &it).into())
    }

    /// Ends the journal and puts it in its place.
    ///
    /// # Errors
    ///
    /// If what is left cannot be written.
    pub fn finish(mut self, last: End) -> Result<(), Failure> {
        let mut end = || -> std::io::Result<()> {
            self.file.write_all(&0u32.to_le_bytes())?;
            self.file.write_all(&self.records.to_le_bytes())?;
            self.file.write_all(&last.fingerprint.0.to_le_bytes())?;
            self.file.write_all(&last.at.0.to_le_bytes())?;
            self.file.write_all(&[u8::from(last.was_stopped)])?;
            self.file.flush()?;
            self.file.get_ref().sync_all()?;
            std::fs::rename(&self.part, &self.path)
        };
        end().map_err(|it| io("write", &self.path, &it))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // After `finish` there is nothing of that name; that it cannot be removed changes nothing.
        let _ = std::fs::remove_file(&self.part);
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("no record is 4 GiB long")
}

/// Reads a journal record by record.
#[derive(Debug)]
pub struct Reader {
    file: BufReader<File>,
    path: PathBuf,
    /// How the run was made.
    pub header: Header,
    records: u64,
    end: Option<End>,
}

impl Reader {
    /// Opens a journal.
    ///
    /// # Errors
    ///
    /// If it cannot be read or is no journal.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| io("read", path, &error);
        let file = File::open(path).map_err(failed)?;
        let mut file = BufReader::with_capacity(1 << 20, file);
        let foreign = || {
            Failure::new(format!("{} is no journal of this version", path.display()))
                .help("journals are written by `bayplan simulate --record-journal`")
        };
        let mut magic = [0; MAGIC.len()];
        file.read_exact(&mut magic).map_err(|_| foreign())?;
        if &magic != MAGIC {
            return Err(foreign());
        }
        let mut reader = Self {
            file,
            path: path.to_owned(),
            header: Header {
                version: String::new(),
                policy: String::new(),
                seed: 0,
                rules: Rules::default(),
                startup: Startup::None,
                trace: String::new(),
                card: String::new(),
                synthetic_zones: None,
                until: None,
            },
            records: 0,
            end: None,
        };
        let bytes = reader.frame()?.ok_or_else(foreign)?;
        reader.header = serde_json::from_slice(&bytes).map_err(|it| {
            Failure::new(format!("{}: the header cannot be read: {it}", path.display()))
                .help("replay it with the version of bayplan that wrote it")
        })?;
        Ok(reader)
    }

    fn cut(&self, error: &std::io::Error) -> Failure {
        let text =
            format!("{} ends within record {}: {error}", self.path.display(), self.records + 1);
        Failure::new(text).help("the run was cut off, or the file was: record it again")
    }

    /// The next frame's bytes; `None` at the end mark.
    fn frame(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let mut word = [0; 4];
        self.file.read_exact(&mut word).map_err(|it| self.cut(&it))?;
        let length = u32::from_le_bytes(word);
        if length == 0 {
            return Ok(None);
        }
        if length > LENGTH_MAX {
            let why = std::io::Error::other(format!("a length of {length} bytes"));
            return Err(self.cut(&why));
        }
        let mut bytes = vec![0; length as usize];
        self.file.read_exact(&mut bytes).map_err(|it| self.cut(&it))?;
        Ok(Some(bytes))
    }

    /// The next record, encoded and decoded, or `None` at the end.
    ///
    /// # Errors
    ///
    /// If the file is damaged or cut off.
    pub fn next(&mut self) -> Result<Option<(Vec<u8>, Record)>, Failure> {
        if self.end.is_some() {
            return Ok(None);
        }
        match self.frame()? {
            Some(bytes) => {
                let record = Record::from_bytes(&bytes).map_err(|error| {
                    let number = self.records + 1;
                    Failure::new(format!("{}: record {number}: {error}", self.path.display()))
                        .help("the file is damaged, or of another version: record it again")
                })?;
                self.records += 1;
                Ok(Some((bytes, record)))
            }
            None => {
                let (mut count, mut print, mut at, mut flag) = ([0; 8], [0; 16], [0; 8], [0; 1]);
                for part in [&mut count[..], &mut print[..], &mut at[..], &mut flag[..]] {
                    self.file.read_exact(part).map_err(|it| self.cut(&it))?;
                }
                let count = u64::from_le_bytes(count);
                if count != self.records {
                    let text = format!(
                        "{} holds {} records, but its end mark counts {count}",
                        self.path.display(),
                        self.records
                    );
                    return Err(Failure::new(text).help("the file is damaged: record it again"));
                }
                self.end = Some(End {
                    fingerprint: Fingerprint(u128::from_le_bytes(print)),
                    at: Instant(u64::from_le_bytes(at)),
                    was_stopped: flag != [0],
                });
                Ok(None)
            }
        }
    }

    /// The end mark, once the end was reached.
    pub fn end(&self) -> Option<End> {
        self.end
    }
}
