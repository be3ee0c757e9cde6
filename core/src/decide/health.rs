//! Who is gone, and how the others are.
//!
//! What a member's own agent knows counts at once: that the process is gone, starts, stops, serves. That it is *missed*
//! counts only when a majority of voters each lack fresh reports themselves; and a member that was declared unreachable
//! is back only when a majority hears it, and it hears a majority. A cut of one direction or of one link therefore has one stable answer.

use std::collections::{BTreeMap, BTreeSet};

use muster_link::report::{Channel, Phase};

use super::topology::{facts_of, speaks_for};
use crate::evidence::{Observations, Opinion, OwnMember, ProcessState, Seen};
use crate::ids::{AgentId, MemberId};
use crate::state::{ClusterState, MemberKind, MemberRecord, MemberState};

/// How a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Its state.
    pub state: MemberState,
    /// Why, as a sentence.
    pub reason: String,
}

/// How every member is, as far as the evidence says; who is not in it stays as it is.
#[must_use]
pub fn verdicts(state: &ClusterState, seen: &Observations) -> BTreeMap<MemberId, Verdict> {
    let judge = Judge {
        ttl_ms: seen.ttl_ms,
        voters: &state.voters,
        majority: state.majority(),
    };
    let mut verdicts = BTreeMap::new();
    for (member_id, record) in &state.members {
        let Some(of_agent) = seen.agents.get(&record.agent_id) else {
            continue;
        };
        let host = state
            .agents
            .get(&record.agent_id)
            .map_or("?", |agent| agent.name.as_str());
        let verdict = match record.kind {
            MemberKind::Plugin => judge.server(member_id, record, host, of_agent),
            MemberKind::Text => judge.text_member(record, host, of_agent),
        };
        if let Some((state, reason)) = verdict {
            verdicts.insert(member_id.clone(), Verdict { state, reason });
        }
    }
    verdicts
}

struct Judge<'a> {
    ttl_ms: u64,
    voters: &'a BTreeSet<AgentId>,
    majority: usize,
}

impl Judge<'_> {
    fn server(
        &self,
        member_id: &MemberId,
        record: &MemberRecord,
        host: &str,
        seen: &Seen,
    ) -> Option<(MemberState, String)> {
        let own = speaks_for(seen, member_id);
        let fresh = |age: Option<u64>| age.is_some_and(|age| age <= self.ttl_ms);
        let said_lately = fresh(seen.said_age_ms);
        if let Some(own) = own
            && said_lately
            && let ProcessState::Gone {
                pid,
                announced,
                how,
            } = &own.process
        {
            return Some((MemberState::Offline, gone(*pid, *announced, how.as_deref())));
        }
        if let Some(other) = seen.own.as_deref()
            && own.is_none()
            && said_lately
            && other.linked
            && !other.identity.member_id.is_empty()
        {
            // The reports that voters receive from this host are not this server's.
            return Some((
                MemberState::Offline,
                format!(
                    "host '{host}' has another server now, {}",
                    other.identity.member_id
                ),
            ));
        }
        let phase = own.and_then(|o| o.report.as_ref()).map(|r| r.phase);
        if seen.lack_report() >= self.majority {
            return self.missed(record, host, seen, own, phase);
        }
        let own = own?;
        let heard = seen.hear_report() >= self.majority && !seen.deaf;
        let back = record.state != MemberState::Unreachable || heard;
        if !said_lately || !fresh(seen.report_age_ms) || !back {
            return None;
        }
        self.reported(record, seen, own, phase?)
    }

    /// A majority of voters lacks fresh reports.
    fn missed(
        &self,
        record: &MemberRecord,
        host: &str,
        seen: &Seen,
        own: Option<&OwnMember>,
        phase: Option<Phase>,
    ) -> Option<(MemberState, String)> {
        // A report is older than the heartbeat that brought it, so of an agent that falls silent the report is missed
        // first: whether the agent is there shows earlier.
        let quiet: Vec<u64> = seen
            .statements
            .iter()
            .filter(|(voter, _)| **voter != record.agent_id)
            .map(|(_, s)| s.agent_silent_ms)
            .filter(|ms| *ms > self.ttl_ms / 2)
            .collect();
        let agent_heard = quiet.len() < self.majority;
        if record.state == MemberState::Offline {
            // It was seen to end, and nothing says that it lives again.
            return None;
        }
        let silent_ms = seen
            .statements
            .values()
            .filter(|s| s.report == Opinion::Lacks)
            .map(|s| s.report_silent_ms)
            .min()
            .unwrap_or(self.ttl_ms);
        let reason = match own {
            _ if !agent_heard => {
                let silent_ms = quiet.iter().min().copied().unwrap_or(self.ttl_ms);
                let votes = self.voters.contains(&record.agent_id);
                let others = self.voters.len() - usize::from(votes);
                let who = match (quiet.len(), others) {
                    (_, 1) if !votes => "the only voter has not heard".to_owned(),
                    (quiet, all) if quiet == all && votes => {
                        format!("none of the {all} other voters has heard")
                    }
                    (quiet, all) if quiet == all => {
                        format!("none of the {all} voters has heard")
                    }
                    (quiet, _) => {
                        format!("{quiet} of {} voters have not heard", self.voters.len())
                    }
                };
                format!("{who} the agent of host '{host}' for {silent_ms} ms")
            }
            Some(OwnMember {
                process: ProcessState::Running { pid },
                linked,
                ..
            }) => {
                if phase == Some(Phase::Stopping) {
                    return (record.state != MemberState::Stopping).then(stopping);
                }
                if *linked {
                    format!(
                        "no progress: process {pid} exists but has reported nothing for {silent_ms} ms"
                    )
                } else {
                    format!(
                        "process {pid} exists but its plugin has closed the link and has reported nothing for \
                         {silent_ms} ms"
                    )
                }
            }
            _ => format!(
                "no plugin has introduced itself to the agent of host '{host}', and nothing was reported for \
                 {silent_ms} ms"
            ),
        };
        (record.state != MemberState::Unreachable).then_some((MemberState::Unreachable, reason))
    }

    /// It reports.
    fn reported(
        &self,
        record: &MemberRecord,
        seen: &Seen,
        own: &OwnMember,
        phase: Phase,
    ) -> Option<(MemberState, String)> {
        match phase {
            Phase::Starting => Some((
                MemberState::Starting,
                "the server process runs and does not serve yet".to_owned(),
            )),
            Phase::Stopping => Some(stopping()),
            Phase::Serving => {
                let Some(facts) = facts_of(own) else {
                    let undecided =
                        !matches!(record.state, MemberState::Online | MemberState::Error);
                    return undecided.then(|| {
                        (
                            MemberState::Starting,
                            "the server serves, but what it does could not be read yet".to_owned(),
                        )
                    });
                };
                for channel in &facts.channels {
                    if let Some(verdict) = self.broken(channel, seen) {
                        return verdict.map(|reason| (MemberState::Error, reason));
                    }
                }
                Some((MemberState::Online, "the server serves".to_owned()))
            }
        }
    }

    /// Whether a channel is broken: none = it is not; none inside = it may be, and a little patience will tell.
    fn broken(&self, channel: &Channel, seen: &Seen) -> Option<Option<String>> {
        let stopped = match (
            channel.receiver_running || channel.receiver_connecting,
            channel.applier_running,
        ) {
            (true, true) => None,
            (false, true) => Some("the receiver is stopped"),
            (true, false) => Some("the applier is stopped"),
            (false, false) => Some("receiver and applier are stopped"),
        };
        let from = format!(
            "replication{} from {}:{}",
            if channel.name.is_empty() {
                String::new()
            } else {
                format!(" channel '{}'", channel.name)
            },
            channel.source_host,
            channel.source_port
        );
        let message = channel.error.as_deref().filter(|e| !e.is_empty());
        if let Some(stopped) = stopped {
            return Some(match message {
                Some(message) => Some(format!("{from}: {stopped}: {message}")),
                // Threads that are stopped without a fault are often started again at once.
                None if seen.stopped_ms.is_some_and(|ms| ms >= self.ttl_ms / 2) => {
                    Some(format!("{from}: {stopped}"))
                }
                None => None,
            });
        }
        let waiting =
            !channel.receiver_running && seen.connecting_ms.is_some_and(|ms| ms >= self.ttl_ms);
        waiting.then(|| {
            Some(match message {
                Some(message) => format!("{from}: the receiver cannot connect: {message}"),
                None => format!("{from}: the receiver cannot connect"),
            })
        })
    }

    /// Only the agent that it joined through judges a text member; when that agent is missed, so is the member.
    fn text_member(
        &self,
        record: &MemberRecord,
        host: &str,
        seen: &Seen,
    ) -> Option<(MemberState, String)> {
        let missed = seen.lack_agent() >= self.majority && record.state != MemberState::Unreachable;
        missed.then(|| {
            (
                MemberState::Unreachable,
                format!("the agent of host '{host}', through which it joined, is not heard"),
            )
        })
    }
}

fn stopping() -> (MemberState, String) {
    (
        MemberState::Stopping,
        "the server announced that it stops".to_owned(),
    )
}

fn gone(pid: u32, announced: bool, how: Option<&str>) -> String {
    match (announced, how) {
        (true, None) => format!("process {pid} stopped as announced"),
        (true, Some(how)) => format!("process {pid} stopped as announced ({how})"),
        (false, Some(how)) => format!("process {pid} ended without announcing a stop: {how}"),
        (false, None) => format!("process {pid} vanished without announcing a stop"),
    }
}
