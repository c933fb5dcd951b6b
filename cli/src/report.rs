//! `bayplan report`.

use crate::args::{Global, Report};
use crate::error::Failure;
use crate::print;
use reports::comparison::Comparison;
use reports::write::write_all;

/// Builds a folder's report again from its files.
///
/// # Errors
///
/// If the folder is none of ours or cannot be written.
pub fn report(args: &Report, global: &Global) -> Result<(), Failure> {
    let comparison = Comparison::load(&args.dir)?;
    let written = write_all(&args.dir, &comparison)?;
    print::comparison(&comparison, global, comparison.runs().len() > 1)?;
    if global.format == crate::args::Format::Table
        && !global.quiet
        && let Some(page) = written.page()
    {
        print::line(&format!("\nwrote {}", page.display()))?;
    }
    Ok(())
}
