//! `CLUSTER_EVENTS`: the newest changes of the ordered state, oldest first.

use muster_link::view::EventRow;

use super::{Column, Kind, Source, Stop, Table, Value};

/// See the module.
pub struct ClusterEvents;

impl Table for ClusterEvents {
    type Row<'s> = &'s EventRow;
    const NAME: &'static std::ffi::CStr = c"CLUSTER_EVENTS";
    const DESCRIPTION: &'static std::ffi::CStr = c"Muster: the newest changes in this cluster";
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new(c"EVENT_ID", Kind::U64, |e| Value::Number(e.event_id)),
        Column::new(c"VIEW_ID", Kind::U64, |e| Value::Number(e.view_id)),
        Column::new(c"EPOCH", Kind::U64, |e| Value::Number(e.epoch)),
        // Never NULL in fact; declared so because MySQL gives a DATETIME that is NOT NULL a default that its own CREATE
        // TABLE … AS SELECT then refuses (NO_ZERO_DATE).
        Column::nullable(c"EVENT_TIME", Kind::DateTime, |e| Value::Time(e.time_us)),
        Column::new(c"EVENT_TYPE", Kind::Text(32), |e| {
            Value::text(&e.event_type)
        }),
        Column::nullable(c"MEMBER_ID", Kind::Text(36), |e| {
            Value::text_or_null(e.member_id.as_deref())
        }),
        Column::nullable(c"PREVIOUS_STATE", Kind::Text(16), |e| {
            Value::text_or_null(e.previous_state.as_deref())
        }),
        Column::nullable(c"STATE", Kind::Text(16), |e| {
            Value::text_or_null(e.state.as_deref())
        }),
        Column::new(c"REASON", Kind::Text(512), |e| Value::text(&e.reason)),
    ];

    fn rows<'s>(
        source: Source<'s>,
        each: &mut dyn FnMut(&&'s EventRow) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        source
            .snapshot
            .events
            .iter()
            .try_for_each(|event| each(&event))
    }
}
