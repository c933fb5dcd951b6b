//! `bayplan policies`.

use crate::args::{Format, Global, Policies};
use crate::error::{Failure, did_you_mean};
use crate::print;
use schedulers::ALL;
use schedulers::card::Card;
use serde::Serialize;

#[derive(Serialize)]
struct Page<'a> {
    name: &'a str,
    summary: &'a str,
    source: &'a str,
    differs: &'a str,
    cost: &'a str,
    example: &'a str,
    parameters: Vec<Parameter<'a>>,
}

#[derive(Serialize)]
struct Parameter<'a> {
    name: &'a str,
    values: &'a str,
    default: &'a str,
    summary: &'a str,
}

fn page(card: &'static Card) -> Page<'static> {
    let parameters = card
        .parameters
        .iter()
        .map(|it| Parameter {
            name: it.name,
            values: it.values,
            default: it.default,
            summary: it.summary,
        })
        .collect();
    Page {
        name: card.name,
        summary: card.summary,
        source: card.source,
        differs: card.differs,
        cost: card.cost,
        example: card.example,
        parameters,
    }
}

/// Lists the policies or describes one.
///
/// # Errors
///
/// If there is none of that name.
pub fn policies(args: &Policies, global: &Global) -> Result<(), Failure> {
    let cards = || ALL.iter().map(|it| it.card);
    match &args.name {
        None => list(cards().map(page).collect(), global),
        Some(name) => {
            // A whole policy will do, too: its name is what stands before the colon.
            let word = name.split(':').next().unwrap_or(name);
            let Some(card) = cards().find(|it| it.name == word) else {
                let meant = did_you_mean(word, cards().map(|it| it.name));
                return Err(Failure::new(format!("there is no policy {word:?}"))
                    .help(format!("{meant}`bayplan policies` lists them")));
            };
            describe(&page(card), global)
        }
    }
}

fn list(pages: Vec<Page<'_>>, global: &Global) -> Result<(), Failure> {
    match global.format {
        Format::Json => print::json(&pages),
        Format::Csv => {
            let mut out = csv::Writer::from_writer(Vec::new());
            let rows = pages.iter().map(|it| [it.name, it.summary, it.source, it.example]);
            let written = out
                .write_record(["name", "summary", "source", "example"])
                .and_then(|()| rows.into_iter().try_for_each(|row| out.write_record(row)));
            written.map_err(|it| Failure::new(format!("cannot make CSV: {it}")))?;
            let bytes = out.into_inner().map_err(|it| Failure::new(it.to_string()))?;
            print::text(&String::from_utf8_lossy(&bytes))
        }
        Format::Table => {
            let mut table = print::columns(&["policy", "places a task on", "example"]);
            for it in &pages {
                table.add_row([it.name, it.summary, it.example]);
            }
            print::line(&table.to_string())?;
            print::line("\nbayplan policies NAME tells parameters, source and cost.")
        }
    }
}

fn describe(page: &Page<'_>, global: &Global) -> Result<(), Failure> {
    if global.format == Format::Json {
        return print::json(page);
    }
    print::no_csv(global)?;
    let mut text = print::columns(&[]);
    for (name, value) in [
        ("policy", page.name),
        ("places on", page.summary),
        ("source", page.source),
        ("differs", page.differs),
        ("cost", page.cost),
        ("example", page.example),
    ] {
        text.add_row([name, value]);
    }
    print::line(&text.to_string())?;
    if page.parameters.is_empty() {
        return print::line("\nIt takes no parameters.");
    }
    let mut parameters = print::columns(&["parameter", "values", "default", "meaning"]);
    for it in &page.parameters {
        parameters.add_row([it.name, it.values, it.default, it.summary]);
    }
    print::line(&format!("\n{parameters}"))
}
