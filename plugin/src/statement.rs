//! One statement sees one snapshot, however often it names a table.
//!
//! A server fills an `INFORMATION_SCHEMA` table once per mention, at moments that may lie far apart (the inner table
//! of a join over a large outer one). The first fill of a statement therefore leaves its snapshot here, and later
//! fills of the same statement take that one.
//!
//! What makes two fills belong together:
//! - MariaDB gives every statement a number (`thd_query_id`).
//! - MySQL exports no such number. There the key is session, start time of the statement in microseconds and a hash
//!   of its text, and one more rule makes it exact where a client has frozen time with `SET timestamp`, or a stored
//!   procedure runs many statements under the start time of its CALL: the server fills each mention once per
//!   execution, so a mention that was filled before under the same key means a new execution.
//!
//! What remains: with frozen time, the same text executed again from other memory (a statement that was prepared
//! in between) may see the snapshot of the execution before, at most [`KEEP_MS`] old.
//!
//! Nothing tells when a statement ends, so a kept snapshot goes when the session reads again, when it is older than
//! [`KEEP_MS`] and its place is needed, or when there are more than [`KEPT_PER_SHARD_MAX`] in its shard.

use std::sync::{Arc, Mutex, PoisonError};

use crate::snapshot::{self, Snapshot};

/// Longest time between the first and the last fill of one statement for which one view is promised.
pub const KEEP_MS: u64 = 600_000;
/// Statements remembered per shard; the oldest gives way.
pub const KEPT_PER_SHARD_MAX: usize = 32;
const SHARDS: usize = 64;

/// Which execution of which statement a fill belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatementKey {
    /// Address of the session object.
    pub session: usize,
    /// Id of the connection: addresses are used again.
    pub connection_id: u64,
    /// MariaDB: the query id. MySQL: the start of the statement in microseconds.
    pub number: u64,
    /// MySQL: a hash of the statement's text. MariaDB: 0.
    pub text_hash: u64,
    /// MySQL: address of the mention of the table, which is filled once per execution. MariaDB: none.
    pub mention: Option<usize>,
}

impl StatementKey {
    fn same_statement(&self, other: &StatementKey) -> bool {
        (
            self.session,
            self.connection_id,
            self.number,
            self.text_hash,
        ) == (
            other.session,
            other.connection_id,
            other.number,
            other.text_hash,
        )
    }
}

#[derive(Debug)]
struct Kept {
    key: StatementKey,
    filled: Vec<usize>,
    since_ms: u64,
    snapshot: Arc<Snapshot>,
}

/// What a fill is to show.
#[derive(Debug)]
pub struct Reading {
    /// The snapshot.
    pub snapshot: Arc<Snapshot>,
    /// This is the first fill of the statement: the one that warns.
    pub first: bool,
}

/// Snapshots kept for running statements.
#[derive(Debug)]
pub struct Statements {
    shards: [Mutex<Vec<Kept>>; SHARDS],
}

impl Default for Statements {
    fn default() -> Self {
        Statements::new()
    }
}

impl Statements {
    /// None kept.
    pub const fn new() -> Self {
        Statements {
            shards: [const { Mutex::new(Vec::new()) }; SHARDS],
        }
    }

    /// The snapshot for a fill with this key at `now_ms`; `current` is asked at the first fill of a statement.
    pub fn read(
        &self,
        key: StatementKey,
        now_ms: u64,
        current: impl FnOnce() -> Arc<Snapshot>,
    ) -> Reading {
        // Session objects are large and allocated one by one: the low bits of their addresses say nothing.
        let shard = &self.shards[(key.session >> 10) % SHARDS];
        // Held for a comparison of at most KEPT_PER_SHARD_MAX words.
        let mut kept = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|held| held.key.session == key.session);
        if let Some(held) = at.map(|at| &mut kept[at])
            && held.key.same_statement(&key)
            && now_ms.saturating_sub(held.since_ms) <= KEEP_MS
            && key
                .mention
                .is_none_or(|mention| !held.filled.contains(&mention))
        {
            held.filled.extend(key.mention);
            return Reading {
                snapshot: Arc::clone(&held.snapshot),
                first: false,
            };
        }
        let snapshot = current();
        let fresh = Kept {
            key,
            filled: key.mention.into_iter().collect(),
            since_ms: now_ms,
            snapshot: Arc::clone(&snapshot),
        };
        match at {
            Some(at) => kept[at] = fresh,
            None => {
                kept.retain(|held| now_ms.saturating_sub(held.since_ms) <= KEEP_MS);
                if kept.len() >= KEPT_PER_SHARD_MAX
                    && let Some(oldest) = (0..kept.len()).min_by_key(|&at| kept[at].since_ms)
                {
                    kept.swap_remove(oldest);
                }
                kept.push(fresh);
            }
        }
        Reading {
            snapshot,
            first: true,
        }
    }

    /// Forgets all: the plugin was uninstalled.
    pub fn clear(&self) {
        for shard in &self.shards {
            *shard.lock().unwrap_or_else(PoisonError::into_inner) = Vec::new();
        }
    }
}

static STATEMENTS: Statements = Statements::new();

/// The snapshot for a fill with this key, from what is current in this process.
pub fn read(key: StatementKey, now_ms: u64) -> Reading {
    STATEMENTS.read(key, now_ms, snapshot::current)
}

/// Forgets what was kept.
pub fn clear() {
    STATEMENTS.clear();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::AgentState;

    fn fresh() -> Arc<Snapshot> {
        Arc::new(Snapshot::empty(AgentState::Connected))
    }

    fn key(number: u64, mention: usize) -> StatementKey {
        StatementKey {
            session: 4096,
            connection_id: 7,
            number,
            text_hash: 1,
            mention: Some(mention),
        }
    }

    #[test]
    fn two_mentions_in_one_statement_see_one_snapshot_and_warn_once() {
        let all = Statements::new();
        let first = all.read(key(1, 10), 0, fresh);
        let second = all.read(key(1, 20), 5_000, fresh);
        assert!(Arc::ptr_eq(&first.snapshot, &second.snapshot));
        assert_eq!((first.first, second.first), (true, false));
    }

    #[test]
    fn the_next_statement_sees_a_new_one() {
        let all = Statements::new();
        let first = all.read(key(1, 10), 0, fresh);
        assert!(!Arc::ptr_eq(
            &first.snapshot,
            &all.read(key(2, 10), 1, fresh).snapshot
        ));
    }

    #[test]
    fn with_frozen_time_a_mention_filled_again_means_a_new_execution() {
        let all = Statements::new();
        let first = all.read(key(1, 10), 0, fresh);
        let again = all.read(key(1, 10), 1, fresh);
        assert!(again.first && !Arc::ptr_eq(&first.snapshot, &again.snapshot));
    }

    #[test]
    fn another_connection_at_the_same_address_starts_anew() {
        let all = Statements::new();
        let first = all.read(key(1, 10), 0, fresh);
        let other = all.read(
            StatementKey {
                connection_id: 8,
                ..key(1, 20)
            },
            1,
            fresh,
        );
        assert!(!Arc::ptr_eq(&first.snapshot, &other.snapshot));
    }

    #[test]
    fn what_is_kept_is_bounded_however_many_sessions_read() {
        let all = Statements::new();
        let snapshot = fresh();
        for session in 0..100_000_usize {
            all.read(
                StatementKey {
                    session: session * 64,
                    ..key(1, 10)
                },
                session as u64,
                || Arc::clone(&snapshot),
            );
        }
        assert!(Arc::strong_count(&snapshot) <= 1 + SHARDS * KEPT_PER_SHARD_MAX);
        all.clear();
        assert_eq!(Arc::strong_count(&snapshot), 1);
    }
}
