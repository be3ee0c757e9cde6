//! The folder on disk that holds what an agent must never forget: its log, its votes, and the newest snapshot.
//!
//! Behind a trait, so that a simulation can keep the same bytes in memory and lose what was not synced, as a crash does.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use redb::{Database, DatabaseError, StorageError};

use super::error::OpenError;
use super::transport::BoxFuture;

/// The log's database file.
const LOG_FILE: &str = "log.redb";
/// A log's database while it is being made for the first time.
const LOG_FILE_NEW: &str = "log.redb.new";
/// The newest snapshot.
const SNAPSHOT_FILE: &str = "snapshot";
/// A snapshot while it is being written.
const SNAPSHOT_FILE_NEW: &str = "snapshot.new";

/// What the database may keep in memory, in bytes. The log is short and read from its end.
pub const DATABASE_CACHE_BYTES: usize = 2 << 20;

/// Where an agent keeps its log and its snapshot.
pub trait Folder: fmt::Debug + Send + Sync + 'static {
    /// Opens the database; when there is none, makes one and runs `fill` on it before it counts as being there.
    fn database(
        &self,
        fill: &dyn Fn(&Database) -> Result<(), OpenError>,
    ) -> Result<Database, OpenError>;
    /// The newest snapshot, as it was written.
    fn read_snapshot(&self) -> io::Result<Option<Vec<u8>>>;
    /// Replaces the snapshot; when this returns, the new one is on disk, and at no moment is there none.
    fn write_snapshot(&self, bytes: &[u8]) -> io::Result<()>;
    /// Runs work that writes to this folder, where it may wait for a disk and holds up nobody else.
    fn run(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()>;
    /// The folder's name, for messages.
    fn path(&self) -> &Path;
}

/// Runs `work` by way of the folder, and brings its result back.
pub(super) async fn run<T: Send + 'static>(
    folder: &dyn Folder,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (done, result) = tokio::sync::oneshot::channel();
    let work = Box::new(move || {
        // Nobody waits any more when the agent is being shut down.
        let _ = done.send(work());
    });
    folder.run(work).await;
    result
        .await
        .unwrap_or_else(|_| Err(io::Error::other("the work on the store was cut off")))
}

/// A real folder.
#[derive(Debug)]
pub struct DiskFolder {
    path: PathBuf,
}

impl DiskFolder {
    /// Uses `path`, made with mode 0700 if it is not there.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let folder = Self {
            path: path.to_owned(),
        };
        folder.prepare().map_err(|why| folder.io(path, why))?;
        Ok(folder)
    }

    fn prepare(&self) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)?;
        // Also one that somebody made beforehand: the log holds the cluster's signing key.
        std::fs::set_permissions(&self.path, Permissions::from_mode(0o700))
    }

    fn io(&self, path: &Path, why: io::Error) -> OpenError {
        OpenError::Io {
            path: path.to_owned(),
            why,
        }
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn open_file(&self, path: &Path) -> Result<Database, OpenError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|why| self.io(path, why))?;
        Database::builder()
            .set_cache_size(DATABASE_CACHE_BYTES)
            .create_file(file)
            .map_err(|error| self.database_error(path, error))
    }

    fn database_error(&self, path: &Path, error: DatabaseError) -> OpenError {
        match error {
            DatabaseError::DatabaseAlreadyOpen => OpenError::InUse(self.path.clone()),
            DatabaseError::Storage(StorageError::Io(why))
                if why.kind() != io::ErrorKind::InvalidData
                    && why.kind() != io::ErrorKind::UnexpectedEof =>
            {
                self.io(path, why)
            }
            other => OpenError::Damaged {
                path: path.to_owned(),
                why: other.to_string(),
            },
        }
    }
}

impl Folder for DiskFolder {
    fn database(
        &self,
        fill: &dyn Fn(&Database) -> Result<(), OpenError>,
    ) -> Result<Database, OpenError> {
        let path = self.path.join(LOG_FILE);
        if path.try_exists().map_err(|why| self.io(&path, why))? {
            return self.open_file(&path);
        }
        // The log's name appears only with a complete database behind it: an agent that is killed in the middle of its
        // very first start does not leave something that looks like damage.
        let new = self.path.join(LOG_FILE_NEW);
        match std::fs::remove_file(&new) {
            Ok(()) => {}
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            Err(why) => return Err(self.io(&new, why)),
        }
        let database = self.open_file(&new)?;
        fill(&database)?;
        drop(database);
        std::fs::rename(&new, &path)
            .and_then(|()| self.sync_folder())
            .map_err(|why| self.io(&path, why))?;
        self.open_file(&path)
    }

    fn read_snapshot(&self) -> io::Result<Option<Vec<u8>>> {
        match File::open(self.path.join(SNAPSHOT_FILE)) {
            Ok(mut file) => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes)?;
                Ok(Some(bytes))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write_snapshot(&self, bytes: &[u8]) -> io::Result<()> {
        let new = self.path.join(SNAPSHOT_FILE_NEW);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        drop(file);
        std::fs::rename(&new, self.path.join(SNAPSHOT_FILE))?;
        self.sync_folder()
    }

    fn run(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        let done = tokio::task::spawn_blocking(work);
        // Work that did not come to its end has not answered; whoever waits for the answer learns of it that way.
        Box::pin(async move { done.await.unwrap_or(()) })
    }

    fn path(&self) -> &Path {
        &self.path
    }
}
