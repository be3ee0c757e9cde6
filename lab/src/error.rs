//! What can go wrong in the lab, each as one sentence that says what to do next.

use std::path::{Path, PathBuf};

/// The result of everything here.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure of the lab.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine lacks something. A test that meets this is "not run", which is neither passed nor failed.
    #[error("{0}")]
    Missing(String),
    /// A file or folder could not be used.
    #[error("cannot {doing} {}: {source}{}", path.display(), advice(source))]
    Io {
        /// The verb: what was being done.
        doing: &'static str,
        /// To which path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A program that was run as a helper failed.
    #[error("{program} failed ({status}): {output}")]
    Command {
        /// Its name.
        program: String,
        /// How it ended.
        status: String,
        /// The last lines it wrote.
        output: String,
    },
    /// A server did not do what it was started for.
    #[error("server {server}: {what}")]
    Server {
        /// The name given to it.
        server: String,
        /// What happened, with the end of its log where that helps.
        what: String,
    },
    /// An agent did not do what it was started for.
    #[error("agent {agent}: {what}")]
    Agent {
        /// The name given to it.
        agent: String,
        /// What happened, with the end of its log where that helps.
        what: String,
    },
    /// A server refused a statement.
    #[error("server {server} refused {statement:?}: {source}")]
    Sql {
        /// The name given to it.
        server: String,
        /// The statement, shortened.
        statement: String,
        /// What the server or the connection said.
        source: mysql_async::Error,
    },
    /// Something did not come true in time.
    #[error("waited {waited_ms} ms for {what}; {seen}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// What was seen instead, last.
        seen: String,
        /// For how long.
        waited_ms: u64,
    },
}

impl Error {
    /// For `map_err` on file operations: `.map_err(Error::io("read", &path))`.
    pub fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io {
            doing,
            path: path.to_path_buf(),
            source,
        }
    }

    /// The disk is full.
    pub(crate) fn disk_full() -> Self {
        Self::Missing(
            "the disk is full; free about 1 GB, or point MUSTER_CACHE (and TMPDIR) at another disk, and start again"
                .into(),
        )
    }

    /// Whether the machine lacks something, as against something of ours being wrong.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing(_))
    }
}

/// What to do about an error of the file system, where there is something.
fn advice(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::StorageFull => {
            "; free some space (a full set of servers needs about 1 GB)"
        }
        std::io::ErrorKind::PermissionDenied => {
            "; point MUSTER_CACHE (or TMPDIR) at a folder that you may write"
        }
        _ => "",
    }
}
