//! The private cache: downloaded packages, unpacked servers and their initialised data directories.
//!
//! It is `.cache` beside the workspace's `Cargo.toml` (ignored by git), or what `MUSTER_CACHE` names. Several processes
//! may share it: whoever changes something holds that thing's lock file, builds it in `staging/`, and renames it into
//! place, so a reader sees a whole thing or none.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Error, Result};
use crate::run_dir;

/// The cache folder.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

/// Held while one named thing in the cache is being made. Dropping it, or the death of the process, releases it.
#[derive(Debug)]
pub struct CacheLock {
    _file: File,
}

/// A folder under construction; removed on drop unless it was put in place.
#[derive(Debug)]
pub struct Staging {
    path: PathBuf,
}

impl Cache {
    /// Opens the cache, and makes its folders where they are missing.
    pub fn open() -> Result<Self> {
        let root = match std::env::var_os("MUSTER_CACHE") {
            Some(path) if !path.is_empty() => PathBuf::from(path),
            _ => workspace_root().join(".cache"),
        };
        Self::open_at(&root)
    }

    /// Opens a cache at a given folder.
    pub fn open_at(root: &Path) -> Result<Self> {
        for folder in ["locks", "staging", "sets", "run"] {
            let path = root.join(folder);
            fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
        }
        let root = root.canonicalize().map_err(Error::io("resolve", root))?;
        sweep(&root.join("staging"));
        Ok(Self { root })
    }

    /// The folder itself, absolute.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where everything of one test or demo run that outlives a single process is kept.
    #[must_use]
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// Waits for the lock of `name`.
    pub fn lock(&self, name: &str) -> Result<CacheLock> {
        let path = self.root.join("locks").join(name);
        let file = File::create(&path).map_err(Error::io("create", &path))?;
        file.lock().map_err(Error::io("lock", &path))?;
        Ok(CacheLock { _file: file })
    }

    /// A new, empty folder on the cache's file system.
    pub fn staging(&self) -> Result<Staging> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = self
            .root
            .join("staging")
            .join(format!("{}.{number}", run_dir::owner()));
        fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
        Ok(Staging { path })
    }
}

impl Staging {
    /// Where to build.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Renames the finished folder to `to`, replacing what was there.
    pub fn put(self, to: &Path) -> Result<()> {
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        }
        if to.exists() {
            // A rename cannot replace a folder that holds something; move the old one aside first.
            let aside = self.path.with_extension("old");
            fs::rename(to, &aside).map_err(Error::io("move aside", to))?;
            let _ = fs::remove_dir_all(&aside);
        }
        fs::rename(&self.path, to).map_err(Error::io("put in place", to))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes what processes that no longer run left under construction.
fn sweep(staging: &Path) {
    let Ok(entries) = fs::read_dir(staging) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.split('.').next())
            .unwrap_or_default();
        if !run_dir::is_alive(owner) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The folder of the workspace's `Cargo.toml`.
#[must_use]
pub fn workspace_root() -> PathBuf {
    let lab = Path::new(env!("CARGO_MANIFEST_DIR"));
    lab.parent().unwrap_or(lab).to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch() -> PathBuf {
        std::env::temp_dir().join(format!("muster-cache-test-{}", std::process::id()))
    }

    #[test]
    fn a_finished_folder_replaces_the_old_one_and_an_unfinished_one_leaves_nothing() {
        let root = scratch();
        let cache = Cache::open_at(&root).unwrap();
        let to = cache.root().join("sets/thing");
        for content in ["one", "two"] {
            let staging = cache.staging().unwrap();
            fs::write(staging.path().join("file"), content).unwrap();
            staging.put(&to).unwrap();
            assert_eq!(fs::read_to_string(to.join("file")).unwrap(), content);
        }
        let abandoned = cache.staging().unwrap();
        let path = abandoned.path().to_path_buf();
        drop(abandoned);
        assert!(!path.exists());
        assert_eq!(
            fs::read_dir(cache.root().join("staging")).unwrap().count(),
            0
        );
        let held = cache.lock("thing").unwrap();
        let second = File::open(cache.root().join("locks/thing")).unwrap();
        assert!(second.try_lock().is_err(), "a held lock was given twice");
        drop(held);
        assert!(second.try_lock().is_ok());
        fs::remove_dir_all(root).unwrap();
    }
}
