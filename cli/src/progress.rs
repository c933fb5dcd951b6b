//! Progress bars: on long work, on a terminal, on standard error.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;

/// A bar that counts tasks over all runs, or nothing at all.
pub struct Bar(ProgressBar);

impl Bar {
    /// A bar over `total` tasks; hidden if told to be quiet or if standard error is no terminal.
    pub fn tasks(total: u64, quiet: bool) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), target(quiet));
        let style =
            "{elapsed_precise} [{bar:40}] {human_pos}/{human_len} tasks, {eta} left  {wide_msg}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self(bar)
    }

    /// A spinner for work of unknown length.
    pub fn spinner(message: &str, quiet: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, target(quiet));
        bar.set_message(message.to_owned());
        bar.enable_steady_tick(std::time::Duration::from_millis(120));
        Self(bar)
    }

    /// What there is to say.
    pub fn say(&self, message: String) {
        self.0.set_message(message);
    }

    /// So many more tasks.
    pub fn add(&self, tasks: u64) {
        self.0.inc(tasks);
    }

    /// So many tasks by now, and what there is to say.
    pub fn reached(&self, tasks: u64, message: String) {
        self.0.set_position(tasks);
        self.0.set_message(message);
    }

    /// A run is finished.
    pub fn finished(&self, run: &str) {
        self.0.set_message(format!("done: {run}"));
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}

fn target(quiet: bool) -> ProgressDrawTarget {
    if quiet || !std::io::stderr().is_terminal() {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    }
}
