//! Progress for people: one bar or spinner per step on a terminal, one line per step elsewhere.
//!
//! Everything goes to stderr, so that a command with `--json` keeps stdout for its one object.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// One step that is under way.
#[derive(Debug)]
pub struct Step {
    what: String,
    bar: Option<ProgressBar>,
    started: Instant,
    done: bool,
}

impl Step {
    /// Begins a step and shows it.
    #[must_use]
    pub fn begin(what: impl Into<String>) -> Self {
        let what = what.into();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(100);
            bar.set_style(
                ProgressStyle::with_template(
                    "  {spinner} {msg:<46} {wide_bar} {percent:>3}% {elapsed:>4}",
                )
                .unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar.set_message(what.clone());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self {
            what,
            bar,
            started: Instant::now(),
            done: false,
        }
    }

    /// Moves the bar.
    pub fn percent(&self, percent: f64) {
        if let Some(bar) = &self.bar {
            // In range by the clamp.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            bar.set_position(percent.clamp(0.0, 100.0) as u64);
        }
    }

    /// Ends the step; `result` is a few words, such as a version.
    pub fn end(mut self, result: &str) {
        self.finish(if result.is_empty() { "done" } else { result });
    }

    fn finish(&mut self, result: &str) {
        self.done = true;
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        say(&format!(
            "  {:<46} {result} ({:.1} s)",
            self.what,
            self.started.elapsed().as_secs_f64()
        ));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.done {
            self.finish("stopped");
        }
    }
}

/// A line for the person who started us. A closed stderr is no reason to stop.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
