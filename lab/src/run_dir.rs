//! One folder under the temporary directory for everything that a running server or agent writes.
//!
//! Its name holds our pid and the time at which our process started, so that the next run can sweep what a killed one
//! left, and never touches a living one's. It is kept short: the path of a unix socket has 107 bytes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::cleanup::Cleanup;
use crate::error::{Error, Result};

const PREFIX: &str = "muster-lab.";
/// A file that says: not to be swept.
const KEPT: &str = "kept";

/// A private folder, removed on drop.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    cleanup: Option<Cleanup>,
}

impl RunDir {
    /// Makes one.
    pub fn new() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        sweep_once();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("{PREFIX}{}.{number}", owner()));
        fs::create_dir(&path).map_err(Error::io("create", &path))?;
        let undone = path.clone();
        let cleanup = Cleanup::new(move || {
            let _ = fs::remove_dir_all(undone);
        });
        Ok(Self {
            path,
            cleanup: Some(cleanup),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the folder in place, for a demo that is kept or a failure that is looked into.
    pub fn keep(&mut self) -> &Path {
        // What the sweep of a later run looks for.
        let _ = fs::write(self.path.join(KEPT), "");
        if let Some(cleanup) = self.cleanup.take() {
            cleanup.forget();
        }
        &self.path
    }
}

/// `PID-START`: who we are, such that no other process is ever the same.
pub(crate) fn owner() -> String {
    let pid = std::process::id();
    format!("{pid}-{}", start_time(pid).unwrap_or(0))
}

/// Whether the process of an [`owner`] string still runs.
pub(crate) fn is_alive(owner: &str) -> bool {
    let Some((pid, start)) = owner.split_once('-') else {
        return true;
    };
    let (Ok(pid), Ok(start)) = (pid.parse::<u32>(), start.parse::<u64>()) else {
        return true;
    };
    start_time(pid) == Some(start)
}

/// When a process started, in clock ticks after boot.
pub(crate) fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name is in parentheses and may hold anything; field 22 is the 20th after it.
    stat.rsplit_once(')')?
        .1
        .split_ascii_whitespace()
        .nth(19)?
        .parse()
        .ok()
}

/// Removes, once per process, the folders of processes that no longer run.
fn sweep_once() {
    static SWEPT: std::sync::Once = std::sync::Once::new();
    SWEPT.call_once(|| {
        let Ok(entries) = fs::read_dir(std::env::temp_dir()) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else {
                continue;
            };
            let owner = rest.split('.').next().unwrap_or_default();
            if !is_alive(owner) && !entry.path().join(KEPT).exists() {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_is_alive_and_a_wrong_start_time_is_not() {
        assert!(is_alive(&owner()));
        assert!(!is_alive(&format!("{}-1", std::process::id())));
        assert!(
            is_alive("not of ours"),
            "what is not understood is left alone"
        );
    }

    #[test]
    fn a_run_dir_goes_with_its_value() {
        let dir = RunDir::new().unwrap();
        let path = dir.path().to_path_buf();
        assert!(path.is_dir());
        drop(dir);
        assert!(!path.exists());
    }
}
