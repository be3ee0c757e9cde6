//! `CLUSTER_MEMBERS`: one row per database server.

use muster_link::view::{MemberObserved, MemberRow};

use super::{Column, Kind, Source, Stop, Table, Value};

/// See the module.
pub struct ClusterMembers;

/// One member: its ordered facts, and what is observed of it if anything is.
pub struct Line<'s> {
    source: Source<'s>,
    row: &'s MemberRow,
    seen: Option<&'s MemberObserved>,
}

impl Line<'_> {
    /// Since the last report; without any, since this server last heard of anything at all.
    fn age_ms(&self) -> u64 {
        match self.seen {
            Some(seen) => self
                .source
                .now_boot_ms
                .saturating_sub(seen.received_boot_ms),
            None => self
                .source
                .snapshot
                .age_ms(self.source.now_boot_ms)
                .unwrap_or(0),
        }
    }

    /// The ordered reason comes first: it is the one that the group agreed on.
    fn error(&self) -> Option<&str> {
        self.row
            .reason
            .as_deref()
            .or_else(|| self.seen?.last_error.as_deref())
    }
}

impl Table for ClusterMembers {
    type Row<'s> = Line<'s>;
    const NAME: &'static std::ffi::CStr = c"CLUSTER_MEMBERS";
    const DESCRIPTION: &'static std::ffi::CStr = c"Muster: the database servers of this cluster";
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new(c"VIEW_ID", Kind::U64, |m| {
            Value::Number(m.source.snapshot.view.view_id)
        }),
        Column::new(c"MEMBER_ID", Kind::Text(36), |m| {
            Value::text(&m.row.member_id)
        }),
        Column::new(c"MEMBER_NAME", Kind::Text(64), |m| Value::text(&m.row.name)),
        Column::new(c"MEMBER_HOST", Kind::Text(255), |m| {
            Value::text(&m.row.host)
        }),
        Column::new(c"MEMBER_PORT", Kind::U32, |m| {
            Value::Number(m.row.port.into())
        }),
        Column::new(c"MEMBER_STATE", Kind::Text(16), |m| {
            Value::text(&m.row.state)
        }),
        Column::new(c"MEMBER_ROLE", Kind::Text(16), |m| Value::text(&m.row.role)),
        Column::new(c"WRITABLE", Kind::Text(3), |m| {
            Value::yes_no(m.row.writable)
        }),
        Column::new(c"EPOCH", Kind::U64, |m| Value::Number(m.row.epoch)),
        Column::new(c"DRAINING", Kind::Text(3), |m| {
            Value::yes_no(m.row.draining)
        }),
        Column::new(c"SITE", Kind::Text(64), |m| Value::text(&m.row.site)),
        Column::new(c"PRIORITY", Kind::U32, |m| {
            Value::Number(m.row.priority.into())
        }),
        Column::new(c"SERVER_VERSION", Kind::Text(64), |m| {
            Value::text(&m.row.server_version)
        }),
        Column::new(c"AGENT_ID", Kind::U64, |m| Value::Number(m.row.agent_id)),
        Column::nullable(c"REPLICATION_LAG_MS", Kind::U64, |m| {
            Value::number_or_null(m.seen.and_then(|seen| seen.replication_lag_ms))
        }),
        Column::new(c"GTID_EXECUTED", Kind::LongText, |m| {
            Value::text(m.seen.map_or("", |seen| &seen.gtid_executed))
        }),
        Column::nullable(c"THREADS_CONNECTED", Kind::U32, |m| {
            Value::number_or_null(m.seen.and_then(|seen| seen.threads_connected))
        }),
        Column::nullable(c"THREADS_RUNNING", Kind::U32, |m| {
            Value::number_or_null(m.seen.and_then(|seen| seen.threads_running))
        }),
        Column::nullable(c"QUERIES_PER_SECOND", Kind::F64, |m| {
            m.seen
                .and_then(|seen| seen.queries_per_second)
                .map_or(Value::Null, Value::Float)
        }),
        // Without a report nothing is valid: 0.
        Column::new(c"HEARTBEAT_TTL_MS", Kind::U64, |m| {
            Value::Number(m.seen.map_or(0, |seen| seen.heartbeat_ttl_ms))
        }),
        Column::new(c"HEARTBEAT_AGE_MS", Kind::U64, |m| {
            Value::Number(m.age_ms())
        }),
        Column::nullable(c"LAST_HEARTBEAT", Kind::DateTime, |m| {
            m.seen
                .and_then(|seen| seen.wall_clock_us)
                .map_or(Value::Null, Value::Time)
        }),
        Column::nullable(c"LAST_ERROR", Kind::Text(512), |m| {
            Value::text_or_null(m.error())
        }),
    ];

    fn rows<'s>(
        source: Source<'s>,
        each: &mut dyn FnMut(&Line<'s>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        for (at, row) in source.snapshot.view.members.iter().enumerate() {
            each(&Line {
                source,
                row,
                seen: source.snapshot.member_observed(at),
            })?;
        }
        Ok(())
    }
}
