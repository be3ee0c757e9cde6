//! What the agent remembers of its server over its own restart: whom it is bound to, and which process it was.
//!
//! Without it, an agent that restarts while its server is down would have nothing to say of it, and one whose server
//! died meanwhile could not know that the process is gone.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use muster_link::report::Identity;
use serde::{Deserialize, Serialize};

/// The file's content. Fields may be added with a default, never renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Remembered {
    pub(super) identity: Identity,
    pub(super) pid: u32,
    /// None where it was not known: the process is then never found again.
    pub(super) start_ticks: Option<u64>,
    pub(super) uid: u32,
    pub(super) boot_id: String,
    /// It had announced its stop.
    pub(super) announced: bool,
}

/// The memory as a file, or no memory at all (tests, tools).
#[derive(Debug)]
pub(super) struct Memory {
    path: Option<PathBuf>,
    last: Option<Remembered>,
}

/// The file cannot be understood. Nothing is guessed: the sentence says what to do.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It holds something else.
    #[error(
        "{path} is damaged ({reason}); it only remembers which server this agent speaks for: delete it, and the next server that connects is taken"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
}

impl Memory {
    pub(super) fn open(path: Option<&Path>) -> Result<Self, MemoryError> {
        let last = match path {
            None => None,
            Some(path) => match fs::read(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(source) => {
                    return Err(MemoryError::Read {
                        path: path.to_owned(),
                        source,
                    });
                }
                Ok(bytes) => {
                    let read = serde_json::from_slice(&bytes);
                    Some(read.map_err(|error| MemoryError::Damaged {
                        path: path.to_owned(),
                        reason: error.to_string(),
                    })?)
                }
            },
        };
        Ok(Self {
            path: path.map(Path::to_owned),
            last,
        })
    }

    pub(super) fn last(&self) -> Option<&Remembered> {
        self.last.as_ref()
    }

    /// Forgets: the next server may be another.
    pub(super) fn forget(&mut self) {
        self.last = None;
        if let Some(path) = &self.path
            && let Err(error) = fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "what was remembered of the server could not be removed");
        }
    }

    /// Writes when something changed. A failure costs only what a restart would have known: it is logged.
    pub(super) fn remember(&mut self, now: Remembered) {
        if self.last.as_ref() == Some(&now) {
            return;
        }
        if let Some(path) = &self.path
            && let Err(error) = write(path, &now)
        {
            tracing::warn!(path = %path.display(), %error, "what is known of the server could not be remembered");
        }
        self.last = Some(now);
    }
}

fn write(path: &Path, content: &Remembered) -> io::Result<()> {
    let building = path.with_extension("new");
    let mut file = File::create(&building)?;
    file.write_all(&serde_json::to_vec_pretty(content)?)?;
    file.sync_all()?;
    fs::rename(&building, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_data::{Folder, identity};
    use super::*;

    fn remembered() -> Remembered {
        Remembered {
            identity: identity("a"),
            pid: 7,
            start_ticks: Some(9),
            uid: 0,
            boot_id: "b".into(),
            announced: false,
        }
    }

    #[test]
    fn what_was_written_is_read_again() {
        let folder = Folder::new();
        let path = folder.path("server.json");
        let mut memory = Memory::open(Some(&path)).unwrap();
        assert_eq!(memory.last(), None);
        memory.remember(remembered());
        assert_eq!(
            Memory::open(Some(&path)).unwrap().last(),
            Some(&remembered())
        );
        memory.forget();
        assert_eq!(Memory::open(Some(&path)).unwrap().last(), None);
    }

    #[test]
    fn a_damaged_file_is_not_guessed_around() {
        let folder = Folder::new();
        let path = folder.path("server.json");
        fs::write(&path, b"{\"identity\":").unwrap();
        let error = Memory::open(Some(&path)).unwrap_err();
        assert!(matches!(error, MemoryError::Damaged { .. }));
        assert!(error.to_string().contains("delete it"), "{error}");
    }
}
