//! `bayplan trace`: inspect, convert, generate, formats.

use crate::args::{Form, Format, Global, Trace, TraceCommand, TraceInput};
use crate::error::{Failure, did_you_mean, io};
use crate::progress::Bar;
use crate::runner::STOP;
use crate::{plan, print};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use traces::columns::{self, Converted, Step, Watch};
use traces::error::TraceError;
use traces::format::COMMON_OPTIONS;
use traces::generate::Recipe;
use traces::source::{ReadOptions, Source};
use traces::transform::TimeScale;
use traces::workload::Workload;
use traces::zones::Zones;
use traces::{FORMATS, generate};

/// Runs `bayplan trace`.
///
/// # Errors
///
/// Bad input.
pub fn trace(args: &Trace, global: &Global) -> Result<(), Failure> {
    print::no_csv(global)?;
    match &args.command {
        TraceCommand::Inspect(input) => {
            let workload = read(input, global)?;
            match global.format {
                Format::Json => print::json(&workload.card),
                _ => print::text(&workload.card.to_string()),
            }
        }
        TraceCommand::Convert { input, out, to, gzip } => {
            let is_named_so = out.extension().is_some_and(|it| it == "bpc");
            let form = to.unwrap_or(if is_named_so { Form::Columns } else { Form::Csv });
            match (form, gzip) {
                (Form::Csv, _) => write(&read(input, global)?, out, *gzip, global),
                (Form::Columns, false) => convert(input, out, global),
                (Form::Columns, true) => Err(Failure::new(
                    "--gzip is for nodes.csv and tasks.csv: a column file is mapped as it is",
                )
                .help("leave --gzip out")),
            }
        }
        TraceCommand::Generate { recipe, print_recipe, out, gzip } => {
            let recipe = recipe_of(recipe)?;
            if *print_recipe {
                return print::line(&recipe.to_json());
            }
            let Some(out) = out else { return Ok(()) };
            let spinner = Bar::spinner("generating", global.quiet);
            let workload = generate::workload(&recipe, global.seed)?;
            spinner.clear();
            write(&workload, out, *gzip, global)
        }
        TraceCommand::Formats { name: None } => list(global),
        TraceCommand::Formats { name: Some(name) } => describe(name, global),
    }
}

fn read(input: &TraceInput, global: &Global) -> Result<Workload, Failure> {
    let (source, options) = source_of(input, global)?;
    let spinner = Bar::spinner(&format!("reading {}", input.trace), global.quiet);
    let workload = traces::read(&source, &options);
    spinner.clear();
    Ok(workload?)
}

fn source_of(input: &TraceInput, global: &Global) -> Result<(Source, ReadOptions), Failure> {
    let options = ReadOptions {
        zones: input.zones.as_deref().map(Zones::parse).transpose()?,
        time_scale: input.time_scale.as_deref().map(TimeScale::parse).transpose()?,
        static_fill: input.static_fill,
        until: plan::time("--until", input.until.as_deref())?,
        limit: input.limit,
        seed: global.seed,
        ..ReadOptions::default()
    };
    Ok((Source::parse(&input.trace)?, options))
}

/// Writes a column file, in a way that can be interrupted.
fn convert(input: &TraceInput, out: &Path, global: &Global) -> Result<(), Failure> {
    if out.exists() {
        return Err(Failure::new(format!("{} exists", out.display()))
            .help("name another file with --out, or move it away"));
    }
    let (source, options) = source_of(input, global)?;
    let says = !global.quiet && global.format == Format::Table;
    let part = columns::part_folder(out);
    let was_interrupted = part.exists();
    let bar = Bar::spinner(&format!("reading {}", input.trace), global.quiet);
    let watch = Watch {
        is_stopped: &|| STOP.load(Ordering::Relaxed),
        says: &|step| match step {
            Step::Part { done, of, .. } => bar.say(format!("read {done} of {of} parts")),
            Step::Tasks { done, of } => bar.say(format!("wrote {done} of {of} tasks")),
        },
    };
    let converted = columns::convert(&source, &options, out, &watch);
    bar.clear();
    let Converted { tasks, bytes, parts_kept } = match converted {
        Err(error @ TraceError::Interrupted { .. }) => {
            return Err(Failure::from(error).interrupted());
        }
        converted => converted?,
    };
    if says {
        let mib = bytes as f64 / f64::from(1 << 20);
        print::line(&format!("wrote {}: {tasks} tasks, {mib:.1} MiB", out.display()))?;
        if parts_kept > 0 {
            print::line(&format!("{parts_kept} parts had been read by an interrupted call"))?;
        } else if was_interrupted {
            print::line("nothing that an interrupted call has left was of use: begun anew")?;
        }
    }
    Ok(())
}

/// A built-in recipe by name, or one from a JSON file.
fn recipe_of(name: &str) -> Result<Recipe, Failure> {
    let path = Path::new(name);
    if !path.exists() {
        let known = generate::builtin_name(name)?;
        let builtin = generate::BUILTINS.iter().find(|it| it.name == known);
        return Ok((builtin.expect("it was found by this name").recipe)());
    }
    let text = std::fs::read_to_string(path).map_err(|it| io("read", path, &it))?;
    Recipe::from_json(&text).map_err(|error| {
        let mut failure = Failure::from(error);
        failure.what = format!("{name}: {}", failure.what);
        failure
    })
}

fn write(workload: &Workload, out: &Path, gzip: bool, global: &Global) -> Result<(), Failure> {
    let names = traces::bayplan::file_names(workload, gzip);
    let files: Vec<PathBuf> = names.iter().map(|it| out.join(it)).collect();
    // What stands beside the tasks would be read with them.
    let companions = traces::bayplan::COMPANIONS.iter();
    let companions = companions.flat_map(|it| [out.join(it), out.join(format!("{it}.gz"))]);
    if let Some(there) = files.iter().cloned().chain(companions).find(|it| it.exists()) {
        return Err(Failure::new(format!("{} exists", there.display()))
            .help("name another folder with --out, or move the file away"));
    }
    std::fs::create_dir_all(out).map_err(|it| io("make the folder", out, &it))?;
    traces::bayplan::write(workload, out, gzip)?;
    if !global.quiet && global.format == Format::Table {
        for file in files {
            print::line(&format!("wrote {}", file.display()))?;
        }
        for sentence in workload.lost_in_csv() {
            print::line(&format!("what the files do not hold: {sentence}"))?;
        }
    }
    Ok(())
}

fn list(global: &Global) -> Result<(), Failure> {
    if global.format == Format::Json {
        let names: Vec<_> = FORMATS
            .iter()
            .map(|it| serde_json::json!({"name": it.name, "summary": it.summary, "source": it.source}))
            .collect();
        return print::json(&names);
    }
    let mut text = print::columns(&["format", "what", "from"]);
    for it in FORMATS {
        text.add_row([it.name, it.summary, it.source]);
    }
    print::line(&text.to_string())?;
    print::line(
        "\nA format is found from what is in the files, or forced with FORMAT:PATH. \
         bayplan trace formats NAME tells columns, units and options.",
    )
}

fn describe(name: &str, global: &Global) -> Result<(), Failure> {
    let Some(format) = FORMATS.iter().find(|it| it.name == name) else {
        let meant = did_you_mean(name, FORMATS.iter().map(|it| it.name));
        return Err(Failure::new(format!("there is no trace format {name:?}"))
            .help(format!("{meant}`bayplan trace formats` lists them")));
    };
    if global.format == Format::Json {
        let options: Vec<_> = format
            .options
            .iter()
            .chain(COMMON_OPTIONS)
            .map(|it| serde_json::json!({"name": it.name, "summary": it.summary}))
            .collect();
        return print::json(&serde_json::json!({
            "name": format.name, "summary": format.summary, "source": format.source,
            "guide": format.guide, "options": options,
        }));
    }
    print::line(&format!(
        "{}: {}\n{}\n\n{}\n",
        format.name, format.summary, format.source, format.guide
    ))?;
    let mut options = print::columns(&["option", "meaning"]);
    for it in format.options.iter().chain(COMMON_OPTIONS) {
        options.add_row([it.name, it.summary]);
    }
    print::line(&options.to_string())
}
