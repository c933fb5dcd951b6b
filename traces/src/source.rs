//! From the text a user gives to a workload: `PATH`, `FORMAT:PATH?key=value&…`, `builtin:NAME`.

use crate::card::Card;
use crate::cluster_source::within;
use crate::columns::{self, Keep};
use crate::decimal::{self, Rounding};
use crate::error::TraceError;
use crate::format::{
    COMMON_OPTIONS, Format, FormatOption, Found, Options, Request, Role, Sample, plain_name,
};
use crate::limits;
use crate::transform::{self, TimeScale};
use crate::workload::{Draft, Oversized, Workload};
use crate::zones::Zones;
use crate::{FORMATS, bayplan, generate};
use cluster::units::Instant;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where a workload comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    kind: SourceKind,
    options: Options,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum SourceKind {
    Builtin(String),
    Path { format: Option<&'static str>, path: String },
}

/// The text that [`Source::parse`] reads back.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            SourceKind::Builtin(name) => write!(f, "builtin:{name}")?,
            SourceKind::Path { format: Some(format), path } => write!(f, "{format}:{path}")?,
            SourceKind::Path { format: None, path } => f.write_str(path)?,
        }
        for (at, (key, value)) in self.options.iter().enumerate() {
            write!(f, "{}{key}={value}", if at == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

impl Source {
    /// Reads `PATH`, `FORMAT:PATH` or `builtin:NAME`, each with `?key=value&…` or without.
    ///
    /// # Errors
    ///
    /// [`TraceError::Unknown`] for a format, built-in or option that does not exist;
    /// [`TraceError::BadOption`] for an option without a value.
    pub fn parse(text: &str) -> Result<Self, TraceError> {
        let (place, options) = split_options(text)?;
        let kind = match place.split_once(':') {
            Some(("builtin", name)) => {
                let name = generate::builtin_name(name)?;
                check_options(&options, generate::OPTIONS)?;
                SourceKind::Builtin(name.to_owned())
            }
            Some((prefix, path)) => match find_format(prefix) {
                Some(format) => {
                    check_options(&options, format.options)?;
                    SourceKind::Path { format: Some(format.name), path: path.to_owned() }
                }
                None if Path::new(place).exists() => {
                    SourceKind::Path { format: None, path: place.to_owned() }
                }
                None => return Err(unknown_format(prefix)),
            },
            None => SourceKind::Path { format: None, path: place.to_owned() },
        };
        Ok(Self { kind, options })
    }

    /// Files that are read for it, for digests. None for a built-in.
    ///
    /// # Errors
    ///
    /// As [`read`], as far as it depends on which files are there.
    pub fn files(&self) -> Result<Vec<PathBuf>, TraceError> {
        match &self.kind {
            SourceKind::Builtin(_) => Ok(Vec::new()),
            SourceKind::Path { format, path } => {
                let (format, files) = find_files(path, *format, false)?;
                let request =
                    Request { path, files, options: &self.options, nodes_only: false, keep: None };
                (format.uses)(&request)
            }
        }
    }

    /// Whether it is generated rather than read.
    pub fn is_builtin(&self) -> bool {
        matches!(self.kind, SourceKind::Builtin(_))
    }
}

fn find_format(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|it| it.name == name)
}

fn unknown_format(name: &str) -> TraceError {
    TraceError::unknown("trace format", name, FORMATS.iter().map(|it| it.name).chain(["builtin"]))
}

/// Splits `place?key=value&key=value`.
fn split_options(text: &str) -> Result<(&str, Options), TraceError> {
    let Some((place, list)) = text.rsplit_once('?') else { return Ok((text, Vec::new())) };
    let mut options = Options::new();
    for pair in list.split('&').filter(|it| !it.is_empty()) {
        let Some((key, value)) = pair.split_once('=').filter(|(_, value)| !value.is_empty()) else {
            return Err(TraceError::BadOption {
                option: pair.into(),
                found: pair.into(),
                wanted: "key=value",
            });
        };
        if options.iter().any(|it| it.0 == key) {
            return Err(TraceError::BadOption {
                option: key.into(),
                found: list.into(),
                wanted: "one value, given once",
            });
        }
        options.push((key.to_owned(), value.to_owned()));
    }
    Ok((place, options))
}

fn check_options(given: &[(String, String)], own: &[FormatOption]) -> Result<(), TraceError> {
    let known = || own.iter().chain(COMMON_OPTIONS).map(|it| it.name);
    match given.iter().find(|(key, _)| known().all(|it| it != key)) {
        Some((key, _)) => Err(TraceError::unknown("option", key, known())),
        None => Ok(()),
    }
}

/// How a workload is changed while it is read. Options of the [`Source`] itself win over these.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Makes synthetic zones, on the workload's own nodes and on those of
    /// [`Workload::set_cluster`].
    pub zones: Option<Zones>,
    /// Multiplies moments, but not lengths.
    pub time_scale: Option<TimeScale>,
    /// Keeps the order of arrivals only: one per second, and nothing ends.
    pub static_fill: bool,
    /// Permutes tasks over the arrival times by this seed.
    pub shuffle: Option<u64>,
    /// Leaves out what arrives later.
    pub until: Option<Instant>,
    /// The first that many tasks only.
    pub limit: Option<u64>,
    /// What [`Workload::enforce_fits`] does, once cluster and over-commit are known.
    pub oversized: Oversized,
    /// The seed of a generated workload.
    pub seed: u64,
}

impl ReadOptions {
    /// What is asked for, in words.
    pub(crate) fn said(&self) -> Vec<String> {
        let zones = self.zones.as_ref().map(|it| format!("zones: {it}"));
        let scale = self.time_scale.map(|it| format!("time scale: {it}"));
        let fill = self.static_fill.then(|| "static fill".to_owned());
        let shuffle = self.shuffle.map(|it| format!("shuffle: {it}"));
        let until = self.until.map(|it| format!("until: {it}"));
        let limit = self.limit.map(|it| format!("limit: {it}"));
        let seed = Some(format!("seed: {}", self.seed));
        [zones, scale, fill, shuffle, until, limit, seed].into_iter().flatten().collect()
    }

    /// With what the source's own options say.
    fn with(&self, options: &[(String, String)]) -> Result<Self, TraceError> {
        let mut all = self.clone();
        for (key, value) in options {
            match key.as_str() {
                "fill" if value == "static" => all.static_fill = true,
                "fill" => return Err(TraceError::unknown("kind of fill", value, ["static"])),
                "zones" => all.zones = Some(Zones::parse(value)?),
                "scale" => all.time_scale = Some(TimeScale::parse(value)?),
                "until" => all.until = Some(Instant(parse_duration_us("until", value)?)),
                "limit" => all.limit = Some(whole_option("limit", value)?),
                "shuffle" => all.shuffle = Some(whole_option("shuffle", value)?),
                _ => {}
            }
        }
        Ok(all)
    }
}

/// A whole number as an option.
pub(crate) fn whole_option(option: &str, found: &str) -> Result<u64, TraceError> {
    found.parse().map_err(|_| TraceError::BadOption {
        option: option.into(),
        found: found.into(),
        wanted: "a whole number",
    })
}

/// Reads `90`, `1.5s`, `250ms`, `90m`, `6h`, `2d` as microseconds; a bare number counts seconds.
///
/// # Errors
///
/// [`TraceError::BadOption`] for anything else.
pub fn parse_duration_us(option: &str, found: &str) -> Result<u64, TraceError> {
    const UNITS: [(&str, u64); 6] = [
        ("ms", 1_000),
        ("us", 1),
        ("s", 1_000_000),
        ("m", 60_000_000),
        ("h", 3_600_000_000),
        ("d", 86_400_000_000),
    ];
    let (number, units) = UNITS
        .iter()
        .find_map(|&(suffix, units)| Some((found.strip_suffix(suffix)?, units)))
        .unwrap_or((found, 1_000_000));
    let time = decimal::parse(number, units, Rounding::Exact);
    within(limits::TIME, time, option, found, "a time such as 90, 1.5s, 90m, 6h or 2d")
}

/// Reads a workload: finds the format, reads its files, applies `options`, fills the card.
///
/// # Errors
///
/// Whatever is wrong with the input: see [`TraceError`].
pub fn read(source: &Source, options: &ReadOptions) -> Result<Workload, TraceError> {
    read_keeping(source, options, None)
}

/// The same, for a conversion that can be interrupted.
pub(crate) fn read_keeping(
    source: &Source,
    options: &ReadOptions,
    keep: Option<&Keep<'_>>,
) -> Result<Workload, TraceError> {
    let options = options.with(&source.options)?;
    let mut workload = match &source.kind {
        SourceKind::Builtin(name) => generate::read(name, &source.options, options.seed)?,
        SourceKind::Path { format, path } => {
            let (format, files) = find_files(path, *format, false)?;
            check_options(&source.options, format.options)?;
            let request =
                Request { path, files, options: &source.options, nodes_only: false, keep };
            load(format, &request, &source.to_string())?
        }
    };
    let tasks = workload.task_count();
    transform::apply(&mut workload, &options)?;
    workload.check_sums()?;
    if workload.task_count() == 0 && tasks > 0 {
        let limit = options.limit.map(|it| format!("--limit {it}"));
        let until = options.until.map(|it| format!("--until {it}"));
        let option = [limit, until].into_iter().flatten().collect::<Vec<_>>().join(" with ");
        return Err(TraceError::NoneLeft { path: source.to_string(), option, tasks });
    }
    if tasks == 0 {
        return Err(TraceError::Empty { path: source.to_string(), wanted: "tasks" });
    }
    workload.measure();
    Ok(workload)
}

/// Reads only the nodes of a path, as a workload without tasks.
pub(crate) fn read_nodes(source: &PathSource) -> Result<Workload, TraceError> {
    let PathSource { format, path, options } = source;
    let (format, files) = find_files(path, *format, true)?;
    check_options(options, format.options)?;
    load(format, &Request { path, files, options, nodes_only: true, keep: None }, path)
}

/// What a format makes of files. A column file is a workload already.
fn load(
    format: &'static Format,
    request: &Request<'_>,
    source: &str,
) -> Result<Workload, TraceError> {
    if format.name == columns::FORMAT.name {
        return columns::open(request.path, source);
    }
    let mut draft = Draft::new(Card::new(source, format.name));
    (format.read)(request, &mut draft)?;
    Ok(draft.finish())
}

/// The files of a path that hold nodes.
pub(crate) fn node_files(source: &PathSource) -> Result<Vec<PathBuf>, TraceError> {
    let PathSource { format, path, options } = source;
    let (format, files) = find_files(path, *format, true)?;
    (format.uses)(&Request { path, files, options, nodes_only: true, keep: None })
}

/// A path, with the format if it is forced, and options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathSource {
    pub(crate) format: Option<&'static str>,
    pub(crate) path: String,
    pub(crate) options: Options,
}

/// `FORMAT:PATH?options` or `builtin:NAME?options` taken apart; the name stands as the path then.
pub(crate) fn split_path(text: &str) -> Result<PathSource, TraceError> {
    let Source { kind, options } = Source::parse(text)?;
    let (format, path) = match kind {
        SourceKind::Path { format, path } => (format, path),
        SourceKind::Builtin(name) => (None, name),
    };
    Ok(PathSource { format, path, options })
}

/// The format of a path, and the files there that belong to it.
fn find_files(
    path: &str,
    forced: Option<&'static str>,
    nodes_only: bool,
) -> Result<(&'static Format, Vec<Found>), TraceError> {
    let forced = forced.and_then(find_format);
    let root = Path::new(path);
    let meta = std::fs::metadata(root)
        .map_err(|error| TraceError::Unreadable { path: path.into(), reason: error.to_string() })?;
    if !meta.is_dir() {
        let is_columns =
            forced.map_or_else(|| columns::is_one(root), |it| it.name == columns::FORMAT.name);
        if is_columns {
            return Ok((&columns::FORMAT, vec![Found { path: path.into(), role: Role::Tasks }]));
        }
        return find_in_file(path, forced);
    }
    let paths = list_folder(root)?;
    let mut found: Vec<(&'static Format, Found)> = Vec::new();
    for path in &paths {
        // A folder may hold other things beside the trace. What is no text is not part of it; a damaged
        // gzip may be, and leaving it out in silence would change the trace.
        let sample = match Sample::of(path) {
            Err(TraceError::NotText { .. }) => continue,
            sample => sample?,
        };
        for format in FORMATS.iter().filter(|it| forced.is_none_or(|f| f.name == it.name)) {
            if let Some(role) = (format.recognise)(&sample) {
                found.push((format, Found { path: path.clone(), role }));
                break;
            }
        }
    }
    let needed = if nodes_only { Role::Nodes } else { Role::Tasks };
    let mut formats: Vec<&'static Format> = Vec::new();
    for (format, _) in found.iter().filter(|it| it.1.role == needed) {
        if formats.iter().all(|it| it.name != format.name) {
            formats.push(format);
        }
    }
    match formats[..] {
        [] if paths.is_empty() => {
            Err(TraceError::Empty { path: path.into(), wanted: "trace files" })
        }
        [] => Err(TraceError::NotRecognised { path: path.into(), found: listed(&paths) }),
        [format] => {
            let files = found.into_iter().filter(|it| it.0.name == format.name);
            Ok((format, files.map(|it| it.1).collect()))
        }
        _ => Err(TraceError::Ambiguous {
            path: path.into(),
            what: "formats",
            choices: formats.iter().map(|it| format!("{}:{path}", it.name)).collect(),
        }),
    }
}

fn find_in_file(
    path: &str,
    forced: Option<&'static Format>,
) -> Result<(&'static Format, Vec<Found>), TraceError> {
    let sample = Sample::of(Path::new(path))?;
    let Some(first) = sample.lines.first() else {
        return Err(TraceError::Empty { path: path.into(), wanted: "lines" });
    };
    let found = |role| vec![Found { path: path.into(), role }];
    if let Some(format) = forced {
        return Ok((format, found((format.recognise)(&sample).unwrap_or(Role::Tasks))));
    }
    for format in FORMATS {
        if let Some(role) = (format.recognise)(&sample) {
            return Ok((format, found(role)));
        }
    }
    let shown: String = first.chars().take(80).collect();
    Err(TraceError::NotRecognised {
        path: path.into(),
        found: format!("{shown:?} in its first line"),
    })
}

/// The files of a folder by name, and those of the folders in it that hold one table each
/// (`task_events/part-…`).
fn list_folder(folder: &Path) -> Result<Vec<PathBuf>, TraceError> {
    let mut files = Vec::new();
    for path in entries(folder)? {
        // What stands beside a task list is no trace of its own.
        if bayplan::COMPANIONS.contains(&plain_name(&path)) {
            continue;
        }
        if !path.is_dir() {
            files.push(path);
        } else if plain_name(&path).ends_with("_events") {
            files.extend(entries(&path)?.into_iter().filter(|it| it.is_file()));
        }
    }
    Ok(files)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, TraceError> {
    let unreadable = |error: std::io::Error| TraceError::Unreadable {
        path: folder.display().to_string(),
        reason: error.to_string(),
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        paths.push(entry.map_err(unreadable)?.path());
    }
    paths.sort();
    Ok(paths)
}

fn listed(paths: &[PathBuf]) -> String {
    let mut names: Vec<&str> = paths.iter().map(|it| plain_name(it)).take(5).collect();
    if paths.len() > names.len() {
        names.push("…");
    }
    format!("{} files ({})", paths.len(), names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_read_and_print_alike() {
        for text in
            ["a/b", "openb:a/b?pods=default&nodes=gpu", "builtin:small?seed=3", "swf:x?as=task"]
        {
            assert_eq!(Source::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Source::parse("builtin:hot").unwrap().to_string(), "builtin:default");
    }

    #[test]
    fn unknown_names_come_with_the_nearest() {
        #[track_caller]
        fn check(text: &str, what: &str, want: &str) {
            let error = Source::parse(text).unwrap_err();
            assert!(error.help().contains(want), "{error}: {}", error.help());
            assert!(error.to_string().contains(what), "{error}");
        }
        check("opneb:dir", "trace format", "openb");
        check("builtin:defualt", "built-in workload", "default");
        check("openb:dir?pod=default", "option", "pods");
        check("openb:dir?pods", "key=value", "key=value");
        check("openb:dir?pods=a&pods=b", "given once", "one value");
    }

    #[test]
    fn durations_have_units() {
        for (text, want) in
            [("90", 90_000_000), ("1.5s", 1_500_000), ("2d", 172_800_000_000), ("3us", 3)]
        {
            assert_eq!(parse_duration_us("until", text).unwrap(), want, "{text}");
        }
        for text in ["", "s", "1y", "-3", "1e300"] {
            assert!(parse_duration_us("until", text).is_err(), "{text}");
        }
    }
}
