//! "Not run": a test that this machine cannot run says so, loudly, and is neither passed nor failed.
//!
//! Tests run in many processes, so the sentences go to a file that `cargo xtask test` names in `MUSTER_NOT_RUN` and
//! prints at the end. Without it (a plain `cargo test`), the sentence goes to stderr.

use std::fs::OpenOptions;
use std::io::Write;

use crate::progress::say;

/// The variable that names the file.
pub const FILE_VARIABLE: &str = "MUSTER_NOT_RUN";

/// Notes that `test` was not run at all, and why: one sentence that names what is missing and what replaces it.
/// The test returns after this; the harness counts it as passed, and `cargo xtask test` counts it as skipped.
pub fn skip(test: &str, why: impl std::fmt::Display) {
    write(WHOLE, test, &why.to_string());
}

/// Notes that a part of `test` was not run, and why. The rest of the test goes on.
pub fn note(test: &str, why: impl std::fmt::Display) {
    write(PART, test, &why.to_string());
}

const WHOLE: &str = "skipped ";
const PART: &str = "partly ";

fn write(mark: &str, test: &str, why: &str) {
    let line = format!("{test}: {}\n", why.replace('\n', " "));
    if let Some(path) = std::env::var_os(FILE_VARIABLE) {
        // One write of one short line: appends of several processes do not mix.
        let written = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(format!("{mark}{line}").as_bytes()));
        if written.is_ok() {
            return;
        }
    }
    say(&format!("NOT RUN {}", line.trim_end()));
}

/// The sentences in such a file: of whole tests, and of parts.
#[must_use]
pub fn parse(text: &str) -> (Vec<String>, Vec<String>) {
    let marked = |mark: &str| {
        text.lines()
            .filter_map(|line| line.strip_prefix(mark))
            .map(str::to_owned)
            .collect()
    };
    (marked(WHOLE), marked(PART))
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
                $crate::not_run::skip($test, &error);
                return;
            }
            Err(error) => panic!("{error}"),
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_tests_and_parts_are_told_apart() {
        let (whole, parts) =
            parse("skipped a: no network\npartly b: not root\nskipped c: no apt\n");
        assert_eq!(whole, ["a: no network", "c: no apt"]);
        assert_eq!(parts, ["b: not root"]);
    }
}
