//! `CLUSTER_VIEW`: one row about the cluster as a whole and this server's place in it.

use std::borrow::Cow;

use super::{Column, Kind, Source, Stop, Table, Value};

/// See the module.
pub struct ClusterView;

impl Table for ClusterView {
    type Row<'s> = Source<'s>;
    const NAME: &'static std::ffi::CStr = c"CLUSTER_VIEW";
    const DESCRIPTION: &'static std::ffi::CStr =
        c"Muster: the cluster as a whole, seen from this server";
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new(c"CLUSTER_NAME", Kind::Text(64), |v| {
            Value::text(&v.snapshot.view.cluster_name)
        }),
        Column::new(c"CLUSTER_ID", Kind::Text(36), |v| {
            Value::text(&v.snapshot.view.cluster_id)
        }),
        Column::new(c"VIEW_ID", Kind::U64, |v| {
            Value::Number(v.snapshot.view.view_id)
        }),
        Column::new(c"EPOCH", Kind::U64, |v| {
            Value::Number(v.snapshot.view.epoch)
        }),
        Column::nullable(c"PRIMARY_MEMBER_ID", Kind::Text(36), |v| {
            Value::text_or_null(v.snapshot.view.primary_member_id.as_deref())
        }),
        Column::nullable(c"LOCAL_MEMBER_ID", Kind::Text(36), |v| {
            Value::text_or_null(v.snapshot.observed.local_member_id.as_deref())
        }),
        Column::new(c"QUORUM", Kind::Text(3), |v| Value::yes_no(has_quorum(v))),
        Column::new(c"AGENT_STATE", Kind::Text(16), |v| {
            Value::text(v.snapshot.agent_state.as_str())
        }),
        Column::nullable(c"AGENT_LEADER", Kind::Text(64), |v| {
            Value::text_or_null(leader(v))
        }),
        Column::nullable(c"VIEW_AGE_MS", Kind::U64, |v| {
            Value::number_or_null(v.snapshot.age_ms(v.now_boot_ms))
        }),
        // Nobody holds a lease and nothing fences before failover is there: so it is, and so it reads.
        Column::nullable(c"LEASE_REMAINING_MS", Kind::U64, |_| Value::Null),
        Column::new(c"FENCED", Kind::Text(3), |_| Value::yes_no(false)),
        Column::new(c"MAINTENANCE", Kind::Text(3), |v| {
            Value::yes_no(v.snapshot.view.maintenance)
        }),
        Column::new(c"SUMMARY", Kind::Text(512), |v| Value::Text(summary(v))),
    ];

    fn rows<'s>(
        source: Source<'s>,
        each: &mut dyn FnMut(&Source<'s>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        each(&source)
    }
}

/// The agent's word for it, as long as the agent is there to give it.
fn has_quorum(source: &Source<'_>) -> bool {
    source.snapshot.observed.quorum && source.snapshot.warning(source.now_boot_ms).is_none()
}

/// Name of the leading agent.
fn leader<'s>(source: &Source<'s>) -> Option<&'s str> {
    let snapshot = source.snapshot;
    let id = snapshot.observed.leader_agent_id?;
    snapshot
        .view
        .agents
        .iter()
        .find(|agent| agent.agent_id == id)
        .map(|agent| agent.name.as_str())
}

/// What is wrong with the picture itself comes before what the agent says about the cluster.
fn summary<'a>(source: &'a Source<'_>) -> Cow<'a, str> {
    match source.snapshot.warning(source.now_boot_ms) {
        Some(warning) => Cow::Owned(warning),
        None => Cow::Borrowed(&source.snapshot.observed.summary),
    }
}
