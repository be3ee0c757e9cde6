//! What people see: state and evidence as the rows of the tables, and one sentence for the whole.

use std::collections::BTreeMap;

use muster_link::text::clip_text;
use muster_link::view::{
    AgentObserved, AgentRow, EventRow, MemberObserved, MemberRow, Observed, View,
};

use crate::decide::roles;
use crate::decide::topology::facts_of;
use crate::evidence::{Evidence, OwnMember, Seen, TextHeard, Timing};
use crate::ids::{AgentId, MemberId};
use crate::limits::TEXT_TTL_MS;
use crate::state::{ClusterState, Event, MemberKind, MemberRecord, MemberState};

/// What the consensus adapter knows of this agent's standing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// A majority of the voters answers, or a leader that has one is heard.
    pub quorum: bool,
    /// Who leads, as far as known here.
    pub leader: Option<AgentId>,
}

/// The ordered rows: members by name, agents by number.
#[must_use]
pub fn view(state: &ClusterState) -> View {
    let mut members: Vec<MemberRow> = state
        .members
        .iter()
        .map(|(id, record)| member_row(state, id, record))
        .collect();
    members.sort_by(|a, b| (&a.name, &a.member_id).cmp(&(&b.name, &b.member_id)));
    View {
        view_id: state.view_id.0,
        cluster_name: state.cluster_name.clone(),
        cluster_id: state.cluster_id.clone(),
        epoch: state.epoch,
        primary_member_id: state.primary().map(|(id, _)| id.0.clone()),
        maintenance: false,
        members,
        agents: state
            .agents
            .iter()
            .map(|(id, agent)| AgentRow {
                agent_id: id.0,
                name: agent.name.clone(),
                address: agent.address.clone(),
                site: agent.site.clone(),
                voter: state.voters.contains(id),
                version: agent.version.clone(),
                member_id: agent.member_id.as_ref().map(|id| id.0.clone()),
            })
            .collect(),
    }
}

fn member_row(state: &ClusterState, member_id: &MemberId, record: &MemberRecord) -> MemberRow {
    let agent = state.agents.get(&record.agent_id);
    let wrong = matches!(
        record.state,
        MemberState::Offline | MemberState::Unreachable | MemberState::Error
    );
    MemberRow {
        member_id: member_id.0.clone(),
        name: record.name.clone(),
        host: record.host.clone(),
        port: record.port,
        state: record.state.word().to_owned(),
        role: record.role.word().to_owned(),
        writable: record.writable,
        epoch: record.epoch,
        draining: record.draining,
        site: agent.map(|a| a.site.clone()).unwrap_or_default(),
        // A member without a plugin is never made primary.
        priority: match record.kind {
            MemberKind::Plugin => agent.map_or(0, |a| a.priority),
            MemberKind::Text => 0,
        },
        server_version: record.server_version.clone(),
        agent_id: record.agent_id.0,
        reason: wrong.then(|| record.reason.clone()),
    }
}

/// Events with a number above `after`, oldest first.
#[must_use]
pub fn events_after(state: &ClusterState, after: u64) -> Vec<EventRow> {
    let from = state.events.partition_point(|e| e.event_id <= after);
    state.events.range(from..).map(event_row).collect()
}

fn event_row(event: &Event) -> EventRow {
    EventRow {
        event_id: event.event_id,
        view_id: event.view_id.0,
        epoch: event.epoch,
        time_us: event.time_us,
        event_type: event.kind.word().to_owned(),
        member_id: event.member_id.as_ref().map(|id| id.0.clone()),
        previous_state: event.before.clone(),
        state: event.after.clone(),
        reason: event.reason.clone(),
    }
}

/// The observed rows, as this agent knows them. Times are those given to the evidence; for the plugin's ages to be
/// right that clock has to be CLOCK_BOOTTIME.
#[must_use]
pub fn observed(
    state: &ClusterState,
    evidence: &Evidence,
    now_ms: u64,
    standing: Standing,
) -> Observed {
    let timing = Timing::of(state);
    let agents = evidence.agents(now_ms, state);
    let roles = roles::assign(state, &agents, &BTreeMap::new());
    let me = evidence.me();
    let members = state
        .members
        .iter()
        .filter_map(|(id, record)| {
            let known = evidence.known(now_ms, record.agent_id)?;
            if record.kind == MemberKind::Text {
                return Some(text_observed(id, known.texts.get(id)?));
            }
            let own = known
                .own
                .as_deref()
                .filter(|own| own.identity.member_id == id.0)?;
            let ttl_ms = if known.relayed && timing.relay_interval_ms > timing.interval_ms {
                timing.ttl_ms + timing.relay_interval_ms
            } else {
                timing.ttl_ms
            };
            let conflict = roles
                .conflict
                .as_deref()
                .filter(|_| roles.rivals.contains(id));
            let mut row = member_observed(id, own, known.report_ms?, ttl_ms);
            row.last_error = conflict.map(clip_text).or_else(|| trouble(own));
            Some(row)
        })
        .collect();
    Observed {
        quorum: standing.quorum,
        leader_agent_id: standing.leader.map(|id| id.0),
        local_agent_id: if state.founded() { me.0 } else { 0 },
        local_member_id: state
            .agents
            .get(&me)
            .and_then(|a| a.member_id.as_ref())
            .map(|id| id.0.clone()),
        summary: summary(state, &agents, &timing, standing),
        members,
        agents: state
            .agents
            .keys()
            .map(|id| {
                let age_ms = agents.get(id).and_then(|seen| seen.said_age_ms);
                AgentObserved {
                    agent_id: id.0,
                    state: if answers(&timing, age_ms) {
                        "ONLINE".to_owned()
                    } else {
                        "UNREACHABLE".to_owned()
                    },
                    last_contact_boot_ms: age_ms.map(|age| now_ms.saturating_sub(age)),
                }
            })
            .collect(),
    }
}

fn answers(timing: &Timing, age_ms: Option<u64>) -> bool {
    age_ms.is_some_and(|age| age <= timing.ttl_ms.max(2 * timing.relay_interval_ms))
}

fn member_observed(
    member_id: &MemberId,
    own: &OwnMember,
    report_ms: u64,
    ttl_ms: u64,
) -> MemberObserved {
    let report = own.report.as_ref();
    let facts = facts_of(own);
    MemberObserved {
        member_id: member_id.0.clone(),
        received_boot_ms: report_ms,
        heartbeat_ttl_ms: ttl_ms,
        wall_clock_us: report.map(|r| r.wall_clock_us),
        replication_lag_ms: facts.and_then(|f| f.channels.iter().filter_map(|c| c.lag_ms).max()),
        gtid_executed: facts.map(|f| f.gtid_executed.clone()).unwrap_or_default(),
        threads_connected: facts.and_then(|f| f.threads_connected),
        threads_running: facts.and_then(|f| f.threads_running),
        queries_per_second: facts.and_then(|f| f.queries_per_second),
        last_error: None,
    }
}

fn text_observed(member_id: &MemberId, heard: TextHeard) -> MemberObserved {
    MemberObserved {
        member_id: member_id.0.clone(),
        received_boot_ms: heard.heard_ms,
        heartbeat_ttl_ms: TEXT_TTL_MS,
        wall_clock_us: Some(heard.wall_clock_us),
        ..MemberObserved::default()
    }
}

/// What the server itself or its agent complains of.
fn trouble(own: &OwnMember) -> Option<String> {
    let report = own.report.as_ref();
    let stalled = report.filter(|r| r.stalled_ms > 0).map(|r| {
        format!(
            "the plugin has been reading facts inside one statement for {} ms",
            r.stalled_ms
        )
    });
    let channel = facts_of(own)
        .into_iter()
        .flat_map(|f| &f.channels)
        .find_map(|c| c.error.clone().filter(|e| !e.is_empty()));
    report
        .and_then(|r| r.trouble.clone())
        .or(stalled)
        .or(channel)
        .or_else(|| own.note.clone())
        .map(|text| clip_text(&text))
}

/// How the cluster is, in one sentence.
fn summary(
    state: &ClusterState,
    agents: &BTreeMap<AgentId, Seen>,
    timing: &Timing,
    standing: Standing,
) -> String {
    if !state.founded() {
        return "this agent belongs to no cluster yet: run `muster init` here, or `muster join`"
            .to_owned();
    }
    let sentence = if standing.quorum {
        format!(
            "{}; {}",
            members_in_words(state),
            protection(state, agents, timing)
        )
    } else {
        format!(
            "NO QUORUM: no majority of the {} voters answers here, so nothing can be decided and what is shown may be \
             old; it was: {}",
            state.voters.len(),
            members_in_words(state)
        )
    };
    clip_text(&sentence)
}

fn members_in_words(state: &ClusterState) -> String {
    let count = state.members.len();
    let unfit: Vec<String> = state
        .members
        .values()
        .filter(|m| m.state != MemberState::Online)
        .map(|m| format!("{} {}", m.name, m.state.word()))
        .collect();
    let members = match (count, unfit.len()) {
        (0, _) => "no member yet".to_owned(),
        (1, 0) => "1 member ONLINE".to_owned(),
        (_, 0) => format!("{count} members ONLINE"),
        (_, wrong) => {
            let shown = 3;
            let more = if wrong > shown {
                format!(" and {} more", wrong - shown)
            } else {
                String::new()
            };
            let list = unfit.iter().take(shown).cloned().collect::<Vec<_>>();
            format!(
                "{} of {count} members ONLINE ({}{more})",
                count - wrong,
                list.join(", ")
            )
        }
    };
    let primary = match state.primary() {
        Some((_, primary)) if primary.writable => format!("{} is primary", primary.name),
        Some((_, primary)) => format!("{} is primary and cannot be written to", primary.name),
        None if count == 0 => return members,
        None => "none is primary".to_owned(),
    };
    format!("{members}, {primary}")
}

/// What the group would survive, or would not.
fn protection(state: &ClusterState, agents: &BTreeMap<AgentId, Seen>, timing: &Timing) -> String {
    let voters = state.voters.len();
    let answering = state
        .voters
        .iter()
        .filter(|id| answers(timing, agents.get(id).and_then(|seen| seen.said_age_ms)))
        .count();
    let first = state
        .voters
        .first()
        .and_then(|id| state.agents.get(id))
        .map_or("?", |agent| agent.name.as_str());
    match (state.agents.len(), voters) {
        (1, _) => format!("1 agent: the loss of {first}'s host loses the group"),
        (2, 0 | 1) => {
            format!("2 agents without an arbitrator: the loss of {first}'s host loses the group")
        }
        (agents, 0 | 1) => format!(
            "{agents} agents and 1 voter: the loss of {first}'s host loses the group until others vote"
        ),
        _ => {
            let spare = answering.saturating_sub(voters / 2 + 1);
            match spare {
                0 => format!(
                    "{answering} of {voters} voters answer: with one less nothing could be decided"
                ),
                1 => format!(
                    "{answering} of {voters} voters answer: the group survives the loss of one"
                ),
                _ => format!(
                    "{answering} of {voters} voters answer: the group survives the loss of {spare}"
                ),
            }
        }
    }
}
