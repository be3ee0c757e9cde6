//! `CLUSTER_AGENTS`: one row per agent, arbitrators too.

use muster_link::view::{AgentObserved, AgentRow};

use super::{Column, Kind, Source, Stop, Table, Value};

/// See the module.
pub struct ClusterAgents;

/// One agent: its ordered facts, and what is observed of it if anything is.
pub struct Line<'s> {
    source: Source<'s>,
    row: &'s AgentRow,
    seen: Option<&'s AgentObserved>,
}

impl Line<'_> {
    fn role(&self) -> &'static str {
        if self.source.snapshot.observed.leader_agent_id == Some(self.row.agent_id) {
            "LEADER"
        } else if self.row.voter {
            "VOTER"
        } else {
            "LEARNER"
        }
    }

    fn last_contact_ms(&self) -> Option<u64> {
        let heard = self.seen?.last_contact_boot_ms?;
        Some(self.source.now_boot_ms.saturating_sub(heard))
    }
}

impl Table for ClusterAgents {
    type Row<'s> = Line<'s>;
    const NAME: &'static std::ffi::CStr = c"CLUSTER_AGENTS";
    const DESCRIPTION: &'static std::ffi::CStr = c"Muster: the agents of this cluster";
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new(c"AGENT_ID", Kind::U64, |a| Value::Number(a.row.agent_id)),
        Column::new(c"AGENT_NAME", Kind::Text(64), |a| Value::text(&a.row.name)),
        Column::new(c"ADDRESS", Kind::Text(255), |a| Value::text(&a.row.address)),
        Column::new(c"SITE", Kind::Text(64), |a| Value::text(&a.row.site)),
        Column::new(c"AGENT_ROLE", Kind::Text(16), |a| Value::text(a.role())),
        Column::new(c"AGENT_STATE", Kind::Text(16), |a| {
            Value::text(a.seen.map_or("UNKNOWN", |seen| &seen.state))
        }),
        Column::new(c"AGENT_VERSION", Kind::Text(64), |a| {
            Value::text(&a.row.version)
        }),
        Column::nullable(c"MEMBER_ID", Kind::Text(36), |a| {
            Value::text_or_null(a.row.member_id.as_deref())
        }),
        Column::nullable(c"LAST_CONTACT_MS", Kind::U64, |a| {
            Value::number_or_null(a.last_contact_ms())
        }),
    ];

    fn rows<'s>(
        source: Source<'s>,
        each: &mut dyn FnMut(&Line<'s>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        for (at, row) in source.snapshot.view.agents.iter().enumerate() {
            each(&Line {
                source,
                row,
                seen: source.snapshot.agent_observed(at),
            })?;
        }
        Ok(())
    }
}
