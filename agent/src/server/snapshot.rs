//! What the agent knows of its own server, at one moment.

use muster_core::evidence::{OwnMember, ProcessState};
use muster_core::ids::MemberId;
use muster_link::report::{Identity, Report};

/// The newest knowledge of the local server. Cheap to look at; take [`own_member`](Self::own_member) to send it.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerSnapshot {
    /// The server that this agent speaks for; none until one has introduced itself, now or before a restart.
    pub bound: Option<MemberId>,
    /// Who the server is; none as `bound`. Its `member_id` is never empty here.
    pub identity: Option<Identity>,
    /// Its process.
    pub process: ProcessState,
    /// The link to its plugin is open.
    pub linked: bool,
    /// Grows by one with each report, over all connections and processes of the server; only a new number is a sign
    /// of life. Starts at 0 with the agent's process.
    pub report_number: u64,
    /// The newest report of the present process; none before its first one.
    pub report: Option<Report>,
    /// When that report came, CLOCK_BOOTTIME in milliseconds.
    pub report_received_boot_ms: u64,
    /// Build of the plugin that last introduced itself, as it said.
    pub plugin_build: Option<String>,
    /// A sentence about the plugin itself, when something about it needs a person.
    pub note: Option<String>,
    /// Grows with every change that others must hear of at once: link, process, identity, phase, role facts. A report
    /// that only brings new figures leaves it as it is.
    pub urgent: u64,
}

impl Default for ServerSnapshot {
    fn default() -> Self {
        Self {
            bound: None,
            identity: None,
            process: ProcessState::NeverSeen,
            linked: false,
            report_number: 0,
            report: None,
            report_received_boot_ms: 0,
            plugin_build: None,
            note: None,
            urgent: 0,
        }
    }
}

impl ServerSnapshot {
    /// What goes into a heartbeat, with the age of the report at `now_boot_ms`; none while no server is known.
    #[must_use]
    pub fn own_member(&self, now_boot_ms: u64) -> Option<OwnMember> {
        let identity = self.identity.clone()?;
        Some(OwnMember {
            identity,
            process: self.process.clone(),
            linked: self.linked,
            report_number: self.report_number,
            report: self.report.clone(),
            report_age_ms: now_boot_ms.saturating_sub(self.report_received_boot_ms),
            note: self.note.clone(),
        })
    }
}

/// Whether two reports differ in what others must hear of at once: everything that decides about state and role, not
/// the figures that change with every statement.
pub(super) fn differs_urgently(before: &Report, after: &Report) -> bool {
    if before.phase != after.phase || before.trouble.is_some() != after.trouble.is_some() {
        return true;
    }
    match (&before.facts, &after.facts) {
        (None, None) => false,
        (Some(before), Some(after)) => {
            before.read_only != after.read_only
                || before.super_read_only != after.super_read_only
                || before.server_id != after.server_id
                || before.replicas != after.replicas
                || before.channels.len() != after.channels.len()
                || before.channels.iter().zip(&after.channels).any(|(b, a)| {
                    b.name != a.name
                        || b.source_host != a.source_host
                        || b.source_port != a.source_port
                        || b.source_uuid != a.source_uuid
                        || b.source_server_id != a.source_server_id
                        || b.receiver_running != a.receiver_running
                        || b.applier_running != a.applier_running
                        || b.error != a.error
                })
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_link::report::{Channel, Facts, Phase};

    fn report() -> Report {
        Report {
            sequence: 1,
            phase: Phase::Serving,
            facts: Some(Facts {
                channels: vec![Channel {
                    receiver_running: true,
                    applier_running: true,
                    ..Channel::default()
                }],
                ..Facts::default()
            }),
            stalled_ms: 0,
            trouble: None,
            wall_clock_us: 0,
        }
    }

    #[test]
    fn figures_are_not_urgent_and_roles_are() {
        let before = report();
        let mut figures = before.clone();
        figures.sequence = 2;
        let facts = figures.facts.as_mut().unwrap();
        facts.gtid_executed = "x:1-9".into();
        facts.threads_running = Some(7);
        facts.channels[0].lag_ms = Some(900);
        assert!(!differs_urgently(&before, &figures));

        let mut read_only = before.clone();
        read_only.facts.as_mut().unwrap().read_only = true;
        assert!(differs_urgently(&before, &read_only));
        let mut stopped = before.clone();
        stopped.facts.as_mut().unwrap().channels[0].applier_running = false;
        assert!(differs_urgently(&before, &stopped));
        let mut stopping = before.clone();
        stopping.phase = Phase::Stopping;
        assert!(differs_urgently(&before, &stopping));
    }

    #[test]
    fn own_member_needs_an_identity_and_counts_the_age() {
        let mut snapshot = ServerSnapshot {
            report: Some(report()),
            report_number: 4,
            report_received_boot_ms: 1_000,
            ..ServerSnapshot::default()
        };
        assert_eq!(snapshot.own_member(1_500), None);
        snapshot.identity = Some(crate::server::test_data::identity("a"));
        assert_eq!(snapshot.own_member(1_500).unwrap().report_age_ms, 500);
        assert_eq!(snapshot.own_member(900).unwrap().report_age_ms, 0);
    }
}
