//! Writing column files, in a way that can be interrupted.
//!
//! Everything is made in a folder `FILE.part` beside the file. What formats keep there of parts that are read ([`Keep`]) is found by
//! the digest of the part, whoever left it. The file itself is written anew each time, block by block, and renamed when it is whole.

use super::layout::{BLOCK_TASKS, Front, Making, VERSION, aligned};
use super::{Header, Input, KeptCard, Origin};
use crate::error::TraceError;
use crate::source::{self, ReadOptions, Source};
use crate::workload::Workload;
use crate::zones::ZonesBy;
use cluster::ids::TaskId;
use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// What a conversion tells on its way, and asks.
pub struct Watch<'a> {
    /// Whether to stop, leaving what another call can go on from.
    pub is_stopped: &'a dyn Fn() -> bool,
    /// How far it has come.
    pub says: &'a dyn Fn(Step),
}

/// How far a conversion has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A part of the trace is read.
    Part {
        /// How many are.
        done: usize,
        /// How many there are.
        of: usize,
        /// Whether an earlier call had read it.
        was_kept: bool,
    },
    /// Tasks are written.
    Tasks {
        /// How many are.
        done: u64,
        /// How many there are.
        of: u64,
    },
}

/// What came of a conversion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// Tasks in the file.
    pub tasks: u64,
    /// Its length.
    pub bytes: u64,
    /// Parts of the trace that an earlier call had read.
    pub parts_kept: usize,
}

/// Where a format keeps what it has made of parts, until the whole is written.
pub(crate) struct Keep<'a> {
    folder: PathBuf,
    watch: &'a Watch<'a>,
    parts: Cell<usize>,
    parts_kept: Cell<usize>,
}

impl Keep<'_> {
    /// What was kept under a name, if anything was.
    pub(crate) fn find(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.folder.join(name)).ok()
    }

    /// Keeps bytes under a name.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> Result<(), TraceError> {
        let (path, half) = (self.folder.join(name), self.folder.join("half"));
        fs::write(&half, bytes).map_err(|it| unwritable(&half, &it))?;
        fs::rename(&half, &path).map_err(|it| unwritable(&path, &it))
    }

    /// A part of the trace is read. Stops if that is wanted.
    pub(crate) fn part_done(
        &self,
        done: usize,
        of: usize,
        was_kept: bool,
    ) -> Result<(), TraceError> {
        self.parts.set(done);
        self.parts_kept.set(self.parts_kept.get() + usize::from(was_kept));
        (self.watch.says)(Step::Part { done, of, was_kept });
        self.go_on()
    }

    /// An error if the user wants to stop.
    pub(crate) fn go_on(&self) -> Result<(), TraceError> {
        if !(self.watch.is_stopped)() {
            return Ok(());
        }
        Err(TraceError::Interrupted {
            folder: self.folder.display().to_string(),
            parts: self.parts.get(),
        })
    }
}

/// The folder in which a file is made.
pub fn part_folder(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    out.with_file_name(name)
}

/// Reads a trace and writes it as a column file. Goes on from what an interrupted call for the same file has left, as far as
/// the format keeps parts; the file is the same as if it had not been interrupted.
///
/// # Errors
///
/// Whatever is wrong with the trace; [`TraceError::Unwritable`]; [`TraceError::Interrupted`].
pub fn convert(
    source: &Source,
    options: &ReadOptions,
    out: &Path,
    watch: &Watch<'_>,
) -> Result<Converted, TraceError> {
    let keep =
        Keep { folder: part_folder(out), watch, parts: Cell::new(0), parts_kept: Cell::new(0) };
    fs::create_dir_all(&keep.folder).map_err(|it| unwritable(&keep.folder, &it))?;
    let workload = source::read_keeping(source, options, Some(&keep))?;
    keep.go_on()?;
    let mut inputs = Vec::new();
    for path in source.files()? {
        inputs.push(input(&path)?);
    }
    let origin = Origin {
        source: source.to_string(),
        format: workload.card.format.clone(),
        options: options.said(),
        inputs,
    };
    let half = keep.folder.join("columns");
    let bytes = write(&workload, origin, &half, &keep)?;
    fs::rename(&half, out).map_err(|it| unwritable(out, &it))?;
    // The name must survive a crash, too. Where folders cannot be synchronised, there is nothing to be done.
    let beside = out.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let _ = File::open(beside).and_then(|it| it.sync_all());
    // What is left is of no use to anybody; that it cannot be removed does no harm.
    let _ = fs::remove_dir_all(&keep.folder);
    let tasks = workload.task_count() as u64;
    Ok(Converted { tasks, bytes, parts_kept: keep.parts_kept.get() })
}

/// Writes a workload as a column file, and returns its length.
fn write(
    workload: &Workload,
    origin: Origin,
    path: &Path,
    keep: &Keep<'_>,
) -> Result<u64, TraceError> {
    let failed = |error: io::Error| unwritable(path, &error);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).map_err(failed)?);
    file.write_all(&[0; Front::BYTES]).map_err(failed)?;
    let (mut making, mut blocks, mut at) = (Making::default(), Vec::new(), Front::BYTES as u64);
    let tasks = workload.task_count() as u64;
    let mut rows = workload.rows().zip(0..).peekable();
    while let Some((row, id)) = rows.next() {
        making.push(row, workload.name_in_trace(TaskId(id)));
        if making.tasks() < BLOCK_TASKS && rows.peek().is_some() {
            continue;
        }
        let start = aligned(at);
        let (block, bytes) = making.finish(start);
        let gap = (start - at) as usize;
        file.write_all(&[0; 64][..gap]).and_then(|()| file.write_all(bytes)).map_err(failed)?;
        at = start + bytes.len() as u64;
        blocks.push(block);
        (keep.watch.says)(Step::Tasks { done: id + 1, of: tasks });
        keep.go_on()?;
    }
    drop(rows);
    let header = Header {
        origin,
        card: KeptCard::of(&workload.card),
        zones: workload.zones().map(|it| {
            let label = match &it.by {
                ZonesBy::Hash => None,
                ZonesBy::Label(label) => Some(label.clone()),
            };
            (it.count, label)
        }),
        frame: workload.frame(),
        groups: workload.group_numbers(),
        stats: workload.task_stats(),
        blocks,
    };
    let bytes = postcard::to_stdvec(&header).expect("a header can be written");
    file.write_all(&bytes).map_err(failed)?;
    let front = Front {
        version: VERSION,
        header_at: at,
        header_bytes: bytes.len() as u64,
        header_digest: xxh3_64(&bytes),
        tasks,
    };
    let mut file = file.into_inner().map_err(|it| failed(it.into_error()))?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    file.write_all(&front.bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(at + bytes.len() as u64)
}

/// A file that was read, with its digest.
pub(crate) fn input(path: &Path) -> Result<Input, TraceError> {
    let failed = |error: io::Error| TraceError::Unreadable {
        path: path.display().to_string(),
        reason: error.to_string(),
    };
    let mut file = File::open(path).map_err(failed)?;
    let (mut hash, mut buffer, mut bytes) = (Xxh3::new(), vec![0; 1 << 20], 0);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                hash.update(&buffer[..count]);
                bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(Input { path: path.display().to_string(), bytes, digest: hash.digest128() })
}

fn unwritable(path: &Path, error: &io::Error) -> TraceError {
    TraceError::Unwritable { path: path.display().to_string(), reason: error.to_string() }
}
