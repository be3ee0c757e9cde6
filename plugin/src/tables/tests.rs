//! Every table over an empty snapshot, and over one whose every text is hostile.

use std::sync::Arc;

use muster_link::view::{
    AgentObserved, AgentRow, EventRow, MemberObserved, MemberRow, Observed, View,
};

use super::*;
use crate::snapshot::AgentState;

#[derive(Default)]
struct Rows {
    columns: Vec<ColumnSpec>,
    row: Vec<Value<'static>>,
    rows: Vec<Vec<Value<'static>>>,
}

impl RowSink for Rows {
    fn set(&mut self, column: usize, value: Value<'_>) -> Result<(), Stop> {
        assert_eq!(column, self.row.len(), "cells come in order");
        let spec = self.columns[column];
        let fits = match (&value, spec.kind) {
            (Value::Null, _) => spec.nullable,
            (Value::Text(_), Kind::Text(chars)) => (1..=512).contains(&chars),
            (Value::Text(_), Kind::LongText)
            | (Value::Number(_), Kind::U64)
            | (Value::Float(_), Kind::F64)
            | (Value::Time(_), Kind::DateTime) => true,
            (Value::Number(number), Kind::U32) => u32::try_from(*number).is_ok(),
            _ => false,
        };
        assert!(fits, "{:?} = {value:?}", spec.name);
        self.row.push(match value {
            Value::Null => Value::Null,
            Value::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Value::Number(number) => Value::Number(number),
            Value::Float(float) => Value::Float(float),
            Value::Time(time) => Value::Time(time),
        });
        Ok(())
    }

    fn end_row(&mut self) -> Result<(), Stop> {
        assert_eq!(self.row.len(), self.columns.len(), "every cell is set");
        self.rows.push(std::mem::take(&mut self.row));
        Ok(())
    }
}

fn read(table: &dyn AnyTable, snapshot: &Snapshot, now_boot_ms: u64) -> Vec<Vec<Value<'static>>> {
    let mut rows = Rows {
        columns: table.columns(),
        ..Rows::default()
    };
    table
        .fill(
            Source {
                snapshot,
                now_boot_ms,
            },
            &mut rows,
        )
        .unwrap();
    rows.rows
}

fn cell<'a>(table: &dyn AnyTable, row: &'a [Value<'static>], name: &CStr) -> &'a Value<'static> {
    &row[table
        .columns()
        .iter()
        .position(|column| column.name == name)
        .unwrap()]
}

fn full() -> Snapshot {
    let text = "\u{0}😀'\"\\\n%s".repeat(500);
    let view = View {
        view_id: u64::MAX,
        cluster_name: text.clone(),
        cluster_id: text.clone(),
        epoch: u64::MAX,
        primary_member_id: Some(text.clone()),
        maintenance: true,
        members: vec![MemberRow {
            member_id: "m".into(),
            name: text.clone(),
            host: text.clone(),
            port: u16::MAX,
            state: text.clone(),
            role: text.clone(),
            writable: true,
            epoch: u64::MAX,
            draining: true,
            site: text.clone(),
            priority: u32::MAX,
            server_version: text.clone(),
            agent_id: 3,
            reason: None,
        }],
        agents: vec![AgentRow {
            agent_id: 3,
            name: "three".into(),
            address: text.clone(),
            site: text.clone(),
            voter: true,
            version: text.clone(),
            member_id: None,
        }],
    };
    let observed = Observed {
        quorum: true,
        leader_agent_id: Some(3),
        local_agent_id: 3,
        local_member_id: Some("m".into()),
        summary: text.clone(),
        members: vec![MemberObserved {
            member_id: "m".into(),
            received_boot_ms: 900,
            heartbeat_ttl_ms: 2_000,
            wall_clock_us: Some(i64::MIN),
            replication_lag_ms: Some(u64::MAX),
            gtid_executed: text.clone(),
            threads_connected: Some(u32::MAX),
            threads_running: Some(0),
            queries_per_second: Some(f64::NAN),
            last_error: Some(text.clone()),
        }],
        agents: vec![AgentObserved {
            agent_id: 3,
            state: text.clone(),
            last_contact_boot_ms: Some(5_000),
        }],
    };
    let events = vec![EventRow {
        reason: text,
        time_us: i64::MAX,
        ..Default::default()
    }];
    Snapshot::new(
        AgentState::Connected,
        None,
        Some(1_000),
        Arc::new(view),
        Arc::new(observed),
        Arc::new(events),
    )
}

#[test]
fn names_and_columns_are_those_of_the_contract() {
    let names: Vec<_> = ALL
        .iter()
        .map(|table| table.name().to_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "CLUSTER_MEMBERS",
            "CLUSTER_VIEW",
            "CLUSTER_AGENTS",
            "CLUSTER_EVENTS"
        ]
    );
    for table in ALL {
        let columns = table.columns();
        for (at, column) in columns.iter().enumerate() {
            let name = column.name.to_str().unwrap();
            assert!(
                name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'),
                "{name}"
            );
            assert!(
                columns[..at]
                    .iter()
                    .all(|earlier| earlier.name != column.name),
                "{name} twice"
            );
        }
    }
    assert_eq!(ALL[0].columns().len(), 23);
    assert_eq!(ALL[1].columns().len(), 14);
}

#[test]
fn without_anything_known_only_the_view_has_a_row_and_it_says_so() {
    for state in [AgentState::NotInstalled, AgentState::NeverConnected] {
        let snapshot = Snapshot::empty(state);
        let counts = ALL.map(|table| read(table, &snapshot, 5).len());
        assert_eq!(counts, [0, 1, 0, 0]);
        let view = read(ALL[1], &snapshot, 5).remove(0);
        assert_eq!(
            cell(ALL[1], &view, c"AGENT_STATE"),
            &Value::text(state.as_str())
        );
        assert_eq!(cell(ALL[1], &view, c"VIEW_AGE_MS"), &Value::Null);
        assert_eq!(cell(ALL[1], &view, c"QUORUM"), &Value::text("NO"));
    }
}

#[test]
fn every_cell_of_a_full_snapshot_fits_its_column() {
    let snapshot = full();
    for table in ALL {
        assert_eq!(read(table, &snapshot, 1_500).len(), 1);
    }
}

#[test]
fn ages_are_counted_at_the_moment_of_reading_and_never_below_zero() {
    let snapshot = full();
    let member = read(ALL[0], &snapshot, 1_500).remove(0);
    assert_eq!(
        cell(ALL[0], &member, c"HEARTBEAT_AGE_MS"),
        &Value::Number(600)
    );
    let view = read(ALL[1], &snapshot, 1_500).remove(0);
    assert_eq!(cell(ALL[1], &view, c"VIEW_AGE_MS"), &Value::Number(500));
    // Heard at 5,000 by a clock that is ahead of this read.
    let agent = read(ALL[2], &snapshot, 1_500).remove(0);
    assert_eq!(cell(ALL[2], &agent, c"LAST_CONTACT_MS"), &Value::Number(0));
    assert_eq!(cell(ALL[2], &agent, c"AGENT_ROLE"), &Value::text("LEADER"));
}

#[test]
fn a_stale_view_claims_no_quorum() {
    let snapshot = full();
    let quorum = |now| cell(ALL[1], &read(ALL[1], &snapshot, now)[0], c"QUORUM").clone();
    assert_eq!(quorum(1_500), Value::text("YES"));
    assert_eq!(quorum(60_000), Value::text("NO"));
}
