//! The log and the votes, in a redb database with two-phase commit.
//!
//! Every write returns after the data is on disk. Every value carries a checksum, and opening reads the whole log once:
//! a damaged store is refused before the agent says a word to anybody.

use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use muster_core::ids::AgentId;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::error::OpenError;
use super::folder::{Folder, run};
use super::seal;
use super::types::{LogEntry, LogId, TypeConfig, Vote};

/// Log entries by index.
const LOG: TableDefinition<u64, &[u8]> = TableDefinition::new("log");
/// Everything that there is one of.
const FACTS: TableDefinition<&str, &[u8]> = TableDefinition::new("facts");

/// Layout of this database. One that is newer than this program is refused.
const FORMAT: u64 = 1;
const FORMAT_KEY: &str = "format";
/// Which agent the store belongs to.
const AGENT_KEY: &str = "agent_id";
const VOTE_KEY: &str = "vote";
const COMMITTED_KEY: &str = "committed";
/// The last entry that was purged.
const PURGED_KEY: &str = "purged";

/// Most bytes of entries that one request to another agent carries, unless a single entry is larger.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// The log and the votes of one agent.
#[derive(Debug, Clone)]
pub(super) struct LogStore {
    held: Arc<Held>,
    /// Where writes run.
    folder: Arc<dyn Folder>,
}

/// The open database. Its fields are dropped in this order.
#[derive(Debug)]
struct Held {
    database: Database,
    open: watch::Sender<()>,
}

/// Any error of the database, as the engine wants it.
fn other(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::other(error)
}

fn damaged(what: &str, why: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what}: {why}"))
}

/// Runs `work`, and makes an error of a panic: redb panics on some kinds of damage, and the agent has to end in order.
fn guarded<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(damaged("the log", "reading it failed in an unexpected way")))
}

impl LogStore {
    /// Opens the store of agent `me`, or makes one.
    pub(super) fn open(folder: &Arc<dyn Folder>, me: AgentId) -> Result<Self, OpenError> {
        let damage = |why: String| OpenError::Damaged {
            path: folder.path().to_owned(),
            why,
        };
        let had_snapshot = folder
            .read_snapshot()
            .map_err(|why| OpenError::Io {
                path: folder.path().to_owned(),
                why,
            })?
            .is_some();
        let fill = |database: &Database| {
            if had_snapshot {
                return Err(damage(
                    "there is a snapshot but no log, so this agent's votes are lost".to_owned(),
                ));
            }
            guarded(|| {
                write(database, |transaction| {
                    transaction.open_table(LOG).map_err(other)?;
                    set(transaction, FORMAT_KEY, &FORMAT)?;
                    set(transaction, AGENT_KEY, &me)
                })
            })
            .map_err(|why| damage(why.to_string()))
        };
        let database = catch_unwind(AssertUnwindSafe(|| folder.database(&fill)))
            .unwrap_or_else(|_| Err(damage("the database cannot be opened".to_owned())))?;
        let store = Self {
            held: Arc::new(Held {
                database,
                open: watch::Sender::new(()),
            }),
            folder: folder.clone(),
        };
        let found = guarded(|| store.check()).map_err(|why| damage(why.to_string()))?;
        if found != me {
            return Err(OpenError::OtherAgent {
                path: folder.path().to_owned(),
                found,
                wanted: me,
            });
        }
        Ok(store)
    }

    /// A channel that closes when the last clone of this store is gone and its files are closed.
    pub(super) fn closed(&self) -> watch::Receiver<()> {
        self.held.open.subscribe()
    }

    /// Reads everything once; the agent that the store belongs to.
    fn check(&self) -> io::Result<AgentId> {
        let format: u64 = self.must(FORMAT_KEY)?;
        if format > FORMAT {
            return Err(damaged(
                "the log",
                format!("it was written by a newer version of muster (format {format})"),
            ));
        }
        let _: Option<Vote> = self.get(VOTE_KEY)?;
        let committed = self.get::<Option<LogId>>(COMMITTED_KEY)?.flatten();
        let state = self.log_state()?;
        if committed > state.last_log_id {
            return Err(damaged("the log", "its end is missing"));
        }
        let purged = state.last_purged_log_id.map(|id| id.index);
        let entries = self.read(..)?;
        if let (Some(purged), Some(first)) = (purged, entries.first())
            && first.log_id.index != purged + 1
        {
            return Err(damaged("the log", "its beginning is missing"));
        }
        self.must(AGENT_KEY)
    }

    fn get<T: DeserializeOwned>(&self, key: &str) -> io::Result<Option<T>> {
        let transaction = self.held.database.begin_read().map_err(other)?;
        let table = transaction.open_table(FACTS).map_err(other)?;
        let value = table.get(key).map_err(other)?;
        value
            .map(|sealed| seal::open(sealed.value()).map_err(|why| damaged(key, why)))
            .transpose()
    }

    fn must<T: DeserializeOwned>(&self, key: &str) -> io::Result<T> {
        self.get(key)?.ok_or_else(|| damaged(key, "it is missing"))
    }

    fn log_state(&self) -> io::Result<LogState<TypeConfig>> {
        let last_purged_log_id: Option<LogId> = self.get(PURGED_KEY)?;
        let transaction = self.held.database.begin_read().map_err(other)?;
        let table = transaction.open_table(LOG).map_err(other)?;
        let last_log_id = match table.last().map_err(other)? {
            Some((index, sealed)) => Some(entry(index.value(), sealed.value())?.log_id),
            None => last_purged_log_id,
        };
        Ok(LogState {
            last_purged_log_id,
            last_log_id,
        })
    }

    /// The entries of `range` that are there. A hole between two is damage.
    fn read(&self, range: impl RangeBounds<u64>) -> io::Result<Vec<LogEntry>> {
        self.read_some(range, usize::MAX)
    }

    /// Like [`Self::read`], and stops after `bytes_max`, but not before the first entry.
    fn read_some(
        &self,
        range: impl RangeBounds<u64>,
        bytes_max: usize,
    ) -> io::Result<Vec<LogEntry>> {
        let transaction = self.held.database.begin_read().map_err(other)?;
        let table = transaction.open_table(LOG).map_err(other)?;
        let mut entries: Vec<LogEntry> = Vec::new();
        let mut bytes = 0;
        for found in table.range(range).map_err(other)? {
            let (index, sealed) = found.map_err(other)?;
            let index = index.value();
            if let Some(last) = entries.last()
                && last.log_id.index + 1 != index
            {
                return Err(damaged(
                    "the log",
                    format!("there is a hole before {index}"),
                ));
            }
            bytes += sealed.value().len();
            if bytes > bytes_max && !entries.is_empty() {
                break;
            }
            entries.push(entry(index, sealed.value())?);
        }
        Ok(entries)
    }

    /// Writes in one transaction; when this returns, it is on disk.
    async fn write(
        &self,
        work: impl FnOnce(&WriteTransaction) -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let held = self.held.clone();
        run(&*self.folder, move || {
            guarded(|| write(&held.database, work))
        })
        .await
    }

    /// All entries, for `muster recover --force`.
    pub(super) fn entries(&self) -> io::Result<Vec<LogEntry>> {
        guarded(|| self.read(..))
    }
}

fn entry(index: u64, sealed: &[u8]) -> io::Result<LogEntry> {
    let entry: LogEntry =
        seal::open(sealed).map_err(|why| damaged(&format!("log entry {index}"), why))?;
    if entry.log_id.index != index {
        return Err(damaged(
            &format!("log entry {index}"),
            "it is another entry",
        ));
    }
    Ok(entry)
}

fn write(
    database: &Database,
    work: impl FnOnce(&WriteTransaction) -> io::Result<()>,
) -> io::Result<()> {
    let mut transaction = database.begin_write().map_err(other)?;
    transaction.set_two_phase_commit(true);
    work(&transaction)?;
    transaction.commit().map_err(other)
}

fn set<T: Serialize>(transaction: &WriteTransaction, key: &str, value: &T) -> io::Result<()> {
    let sealed = seal::seal(value).map_err(other)?;
    let mut table = transaction.open_table(FACTS).map_err(other)?;
    table.insert(key, sealed.as_slice()).map_err(other)?;
    Ok(())
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<LogEntry>> {
        guarded(|| self.read(range))
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<LogEntry>> {
        guarded(|| self.read_some(start..end, BATCH_BYTES_MAX))
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        guarded(|| self.get(VOTE_KEY))
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        guarded(|| self.log_state())
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let vote = *vote;
        self.write(move |transaction| set(transaction, VOTE_KEY, &vote))
            .await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        // On disk before it is applied, hence before anybody has seen it: after a restart this agent shows no older view
        // than before, even if it is the only one that is back.
        self.write(move |transaction| set(transaction, COMMITTED_KEY, &committed))
            .await
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        guarded(|| Ok(self.get::<Option<LogId>>(COMMITTED_KEY)?.flatten()))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let sealed = entries
            .into_iter()
            .map(|entry| Ok((entry.log_id.index, seal::seal(&entry)?)))
            .collect::<Result<Vec<_>, serde_json::Error>>()
            .map_err(other)?;
        self.write(move |transaction| {
            let mut table = transaction.open_table(LOG).map_err(other)?;
            for (index, entry) in &sealed {
                table.insert(index, entry.as_slice()).map_err(other)?;
            }
            Ok(())
        })
        .await?;
        callback.io_completed(Ok(()));
        Ok(())
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> io::Result<()> {
        let first_gone = last_log_id.map_or(0, |id| id.index + 1);
        self.write(move |transaction| {
            let mut table = transaction.open_table(LOG).map_err(other)?;
            table.retain_in(first_gone.., |_, _| false).map_err(other)
        })
        .await
    }

    async fn purge(&mut self, log_id: LogId) -> io::Result<()> {
        self.write(move |transaction| {
            let mut table = transaction.open_table(LOG).map_err(other)?;
            table
                .retain_in(..=log_id.index, |_, _| false)
                .map_err(other)?;
            drop(table);
            set(transaction, PURGED_KEY, &log_id)
        })
        .await
    }
}
