//! "Not run": a test that this machine cannot run says so, loudly, and is neither passed nor failed.
//!
//! Tests run in many processes, so the sentences go to a file that `cargo xtask test` names in `MUSTER_NOT_RUN` and
//! prints at the end. Without it (a plain `cargo test`), the sentence goes to stderr.

use std::fs::OpenOptions;
use std::io::Write;

use crate::progress::say;

/// The variable that names the file.
pub const FILE_VARIABLE: &str = "MUSTER_NOT_RUN";

/// Notes that `test` was not run, and why: one sentence that names what is missing and what replaces it.
pub fn note(test: &str, why: impl std::fmt::Display) {
    let why = why.to_string().replace('\n', " ");
    let line = format!("{test}: {why}\n");
    if let Some(path) = std::env::var_os(FILE_VARIABLE) {
        // One write of one short line: appends of several processes do not mix.
        let written = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(line.as_bytes()));
        if written.is_ok() {
            return;
        }
    }
    say(&format!("NOT RUN {}", line.trim_end()));
}

/// Unwraps a result of the lab in a test: on [`crate::Error::Missing`] it notes the test as not run and returns from
/// it; any other error fails the test.
///
/// ```no_run
/// # use muster_lab::{Install, Kind};
/// # async fn test() {
/// let install = muster_lab::or_not_run!("link survives a restart", Install::get(Kind::MySql).await);
/// # }
/// ```
#[macro_export]
macro_rules! or_not_run {
    ($test:expr, $result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) if error.is_missing() => {
                $crate::not_run::note($test, &error);
                return;
            }
            Err(error) => panic!("{error}"),
        }
    };
}
