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
//!   With frozen time only the newest statement of a session is continued.
//!
//! What remains: with frozen time, the same text executed again at once from other memory (sent, then prepared) may see
//! the snapshot of the execution before; and with frozen time, a statement loses its snapshot to a function that it
//! calls.
//!
//! # Statements within statements
//! A function that a statement calls runs statements of its own between the fills of its caller, so a session keeps
//! several snapshots. Which of them are over shows by the stack: statements within a statement fill deeper on it. So a
//! first fill ends every other statement of its session that filled as deep or deeper.
//!
//! # How long
//! Nothing else tells when a statement ends: a kept snapshot goes when its session has read in
//! [`KEPT_PER_SESSION_MAX`] other statements, when it is older than [`KEEP_MS`] and its place is needed, or when there
//! are more than [`KEPT_PER_SHARD_MAX`] or [`KEPT_ROWS_PER_SHARD_MAX`] in its shard.

use std::sync::{Arc, Mutex, PoisonError};

use crate::snapshot::{self, Snapshot};

/// Longest time between the first and the last fill of one statement for which one view is promised.
pub const KEEP_MS: u64 = 600_000;
/// Statements remembered per session; the oldest gives way.
pub const KEPT_PER_SESSION_MAX: usize = 4;
/// Statements remembered per shard; the oldest gives way.
pub const KEPT_PER_SHARD_MAX: usize = 64;
/// Observed rows remembered per shard, so that large clusters do not fill the server's memory with old views.
pub const KEPT_ROWS_PER_SHARD_MAX: usize = 2_000;
/// Fills whose places on the stack differ by less than this are equally deep. The frames of a stored function take
/// many times as much.
const SAME_DEPTH_BYTES: usize = 1_024;
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
    /// The number tells statements apart by itself. MySQL: the start time is a moment ago, and not frozen.
    pub exact: bool,
    /// Address of a local variable of the fill: the deeper the call, the lower it is.
    pub stack: usize,
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

impl Kept {
    /// Rows that are this snapshot's own; the rest is mostly shared with others.
    fn rows(&self) -> usize {
        self.snapshot.observed.members.len()
    }
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
        let of_session = |held: &Kept| held.key.session == key.session;
        let newest = kept.iter().rposition(of_session);
        let at = kept
            .iter()
            .position(|held| held.key.same_statement(&key))
            .filter(|at| key.exact || Some(*at) == newest);
        if let Some(held) = at.map(|at| &mut kept[at])
            && now_ms.saturating_sub(held.since_ms) <= KEEP_MS
            && key
                .mention
                .is_none_or(|mention| !held.filled.contains(&mention))
        {
            held.filled.extend(key.mention);
            held.key.stack = held.key.stack.max(key.stack);
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
        kept.retain(|held| {
            let over = held.key.stack <= key.stack.saturating_add(SAME_DEPTH_BYTES);
            !(of_session(held) && (over || held.key.same_statement(&key)))
        });
        if kept.iter().filter(|held| of_session(held)).count() >= KEPT_PER_SESSION_MAX
            && let Some(oldest) = kept.iter().position(of_session)
        {
            kept.remove(oldest);
        }
        if kept.len() >= KEPT_PER_SHARD_MAX {
            kept.retain(|held| now_ms.saturating_sub(held.since_ms) <= KEEP_MS);
        }
        let rows = |kept: &[Kept]| -> usize { kept.iter().map(Kept::rows).sum() };
        while kept.len() >= KEPT_PER_SHARD_MAX
            || (kept.len() > 1 && rows(&kept) + fresh.rows() > KEPT_ROWS_PER_SHARD_MAX)
        {
            kept.remove(0);
        }
        // In the order of their first fills, so the oldest is always in front.
        kept.push(fresh);
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
            exact: true,
            stack: 1_000_000,
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
    fn functions_that_read_in_between_do_not_part_a_statement() {
        let all = Statements::new();
        let outer = all.read(key(1, 10), 0, fresh);
        for call in 0..100 {
            // MariaDB numbers each of them; MySQL sees another text and the same mention.
            for number in [1, 2 + call] {
                let inner = StatementKey {
                    text_hash: 2,
                    stack: 980_000 - 100 * (call as usize % 3),
                    ..key(number, 99)
                };
                let inner = all.read(inner, call, fresh);
                assert!(inner.first && !Arc::ptr_eq(&outer.snapshot, &inner.snapshot));
            }
        }
        let late = all.read(key(1, 20), 200, fresh);
        assert!(Arc::ptr_eq(&outer.snapshot, &late.snapshot));
        // The next statement of the session ends all of them.
        all.read(key(1_000, 10), 300, fresh);
        assert_eq!(
            Arc::strong_count(&outer.snapshot),
            2,
            "outer and late alone"
        );
    }

    #[test]
    fn with_frozen_time_a_statement_that_is_not_the_newest_is_over() {
        let all = Statements::new();
        let frozen = |text_hash, mention, stack| StatementKey {
            text_hash,
            exact: false,
            stack,
            ..key(1, mention)
        };
        let first = all.read(frozen(1, 10, 1_000_000), 0, fresh);
        all.read(frozen(2, 20, 990_000), 1, fresh);
        let again = all.read(frozen(1, 30, 980_000), 2, fresh);
        assert!(again.first && !Arc::ptr_eq(&first.snapshot, &again.snapshot));
    }

    #[test]
    fn a_session_gives_up_its_oldest() {
        let all = Statements::new();
        let first = all.read(key(1, 10), 0, fresh);
        for number in 2..2 + KEPT_PER_SESSION_MAX as u64 {
            let deeper = StatementKey {
                stack: 1_000_000 - 10_000 * number as usize,
                ..key(number, 10)
            };
            all.read(deeper, number, fresh);
        }
        assert_eq!(Arc::strong_count(&first.snapshot), 1);
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

        // Large ones are kept in smaller numbers.
        let members = vec![muster_link::view::MemberObserved::default(); 1_000];
        let observed = muster_link::view::Observed {
            members,
            ..Default::default()
        };
        let mut large = Snapshot::empty(AgentState::Connected);
        large.observed = Arc::new(observed);
        let large = Arc::new(large);
        for session in 0..10_000_usize {
            let of_session = StatementKey {
                session: session * 1024,
                ..key(1, 10)
            };
            all.read(of_session, 1, || Arc::clone(&large));
        }
        let kept = Arc::strong_count(&large) - 1;
        assert!((SHARDS..=SHARDS * 2).contains(&kept), "{kept}");
    }
}
