//! A store folder in memory that forgets in a crash what was not synced, as a disk does.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use muster_agent::consensus::{BoxFuture, Folder, OpenError};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use redb::{Database, StorageBackend};

/// What a disk writes at once; a crash tears between two.
const SECTOR_BYTES: usize = 512;

#[derive(Debug)]
enum Write {
    Bytes { at: usize, bytes: Vec<u8> },
    Length(usize),
}

impl Write {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Length(length) => file.resize(*length, 0),
            Self::Bytes { at, bytes } => {
                let end = at + bytes.len();
                if file.len() < end {
                    file.resize(end, 0);
                }
                file[*at..end].copy_from_slice(bytes);
            }
        }
    }
}

#[derive(Debug)]
struct Platter {
    /// The log's database as a reader sees it now.
    log: Vec<u8>,
    /// The same as far as it was synced.
    synced: Vec<u8>,
    /// What came since, in order.
    pending: Vec<Write>,
    snapshot: Option<Vec<u8>>,
    /// Counts crashes; whoever opened it before the last one gets nothing but errors.
    generation: u64,
    /// Longest time that a write waits.
    slow_ms_max: u64,
    /// Syncing does nothing.
    lies: bool,
    random: StdRng,
}

/// The disk of one agent; it outlives the agent. Clones are the same one.
#[derive(Clone)]
pub struct SimDisk {
    platter: Arc<Mutex<Platter>>,
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimDisk")
    }
}

/// One agent's life on the disk, from start to crash.
#[derive(Debug, Clone)]
pub struct SimFolder {
    disk: SimDisk,
    generation: u64,
}

fn crashed() -> io::Error {
    io::Error::other("the agent that opened this has crashed")
}

impl SimDisk {
    /// An empty disk, whose draws come from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            platter: Arc::new(Mutex::new(Platter {
                log: Vec::new(),
                synced: Vec::new(),
                pending: Vec::new(),
                snapshot: None,
                generation: 0,
                slow_ms_max: 0,
                lies: false,
                random: StdRng::seed_from_u64(seed),
            })),
        }
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.platter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder for the agent that starts now.
    #[must_use]
    pub fn folder(&self) -> Arc<dyn Folder> {
        Arc::new(SimFolder {
            disk: self.clone(),
            generation: self.platter().generation,
        })
    }

    /// Every write waits up to this long from now on.
    pub fn slow(&self, ms_max: u64) {
        self.platter().slow_ms_max = ms_max;
    }

    /// From now on the disk keeps in a crash what it had when it began to lie, and says that all was safe.
    pub fn lie(&self, lies: bool) {
        self.platter().lies = lies;
    }

    /// A copy of what is safe on the disk now.
    #[must_use]
    pub fn copy(&self) -> (Vec<u8>, Option<Vec<u8>>) {
        let platter = self.platter();
        (platter.synced.clone(), platter.snapshot.clone())
    }

    /// An old copy is put back, as when somebody restores the snapshot of a virtual machine. Whoever has it open crashes.
    pub fn restore(&self, copy: (Vec<u8>, Option<Vec<u8>>)) {
        let mut platter = self.platter();
        platter.generation += 1;
        platter.pending.clear();
        platter.log.clone_from(&copy.0);
        (platter.synced, platter.snapshot) = copy;
    }

    /// The host loses its power: of what was not synced, any part may be there, down to single sectors.
    pub fn crash(&self) {
        let mut platter = self.platter();
        let platter = &mut *platter;
        platter.generation += 1;
        if platter.lies {
            platter.pending.clear();
        }
        for write in std::mem::take(&mut platter.pending) {
            match &write {
                Write::Length(_) => {
                    if platter.random.random_bool(0.5) {
                        write.apply(&mut platter.synced);
                    }
                }
                Write::Bytes { at, bytes } => {
                    for (number, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
                        if platter.random.random_bool(0.5) {
                            let at = at + number * SECTOR_BYTES;
                            let bytes = sector.to_vec();
                            Write::Bytes { at, bytes }.apply(&mut platter.synced);
                        }
                    }
                }
            }
        }
        platter.log = platter.synced.clone();
    }
}

impl SimFolder {
    fn platter(&self) -> io::Result<MutexGuard<'_, Platter>> {
        let platter = self.disk.platter();
        if platter.generation == self.generation {
            Ok(platter)
        } else {
            Err(crashed())
        }
    }

    fn put(&self, write: Write) -> io::Result<()> {
        let mut platter = self.platter()?;
        let platter = &mut *platter;
        write.apply(&mut platter.log);
        platter.pending.push(write);
        Ok(())
    }
}

impl StorageBackend for SimFolder {
    fn len(&self) -> io::Result<u64> {
        Ok(self.platter()?.log.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let platter = self.platter()?;
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = platter.log.get(at..at + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.put(Write::Length(
            usize::try_from(len).map_err(io::Error::other)?,
        ))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.platter()?;
        let platter = &mut *platter;
        if platter.lies {
            return Ok(());
        }
        for write in platter.pending.drain(..) {
            write.apply(&mut platter.synced);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.put(Write::Bytes {
            at: usize::try_from(offset).map_err(io::Error::other)?,
            bytes: data.to_vec(),
        })
    }
}

impl Folder for SimFolder {
    fn database(
        &self,
        fill: &dyn Fn(&Database) -> Result<(), OpenError>,
    ) -> Result<Database, OpenError> {
        let damaged = |error: redb::DatabaseError| OpenError::Damaged {
            path: self.path().to_owned(),
            why: error.to_string(),
        };
        let new = self.disk.platter().log.is_empty();
        let database = Database::builder()
            .create_with_backend(self.clone())
            .map_err(damaged)?;
        if new {
            fill(&database)?;
        }
        Ok(database)
    }

    fn read_snapshot(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.platter()?.snapshot.clone())
    }

    fn write_snapshot(&self, bytes: &[u8]) -> io::Result<()> {
        // The real folder's way of writing it (beside, synced, renamed, synced) makes it all or nothing.
        self.platter()?.snapshot = Some(bytes.to_vec());
        Ok(())
    }

    fn run(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        let wait_ms = {
            let mut platter = self.disk.platter();
            let most = platter.slow_ms_max;
            platter.random.random_range(0..=most)
        };
        Box::pin(async move {
            if wait_ms > 0 {
                tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            }
            work();
        })
    }

    fn path(&self) -> &Path {
        Path::new("simulated")
    }
}
