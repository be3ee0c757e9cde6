//! Agents: the first one, the ones that join, change, leave or are removed, and who of them votes.

use std::collections::BTreeSet;

use super::{Draft, Effect, Refusal, check};
use crate::command::AgentDeclaration;
use crate::ids::{AgentId, MemberId};
use crate::limits::{AGENTS_MAX, MEMBER_ID_CHARS_MAX, NAME_CHARS_MAX, PEM_BYTES_MAX};
use crate::state::{AgentRecord, Authority, ClusterState, EventKind, MemberKind};

pub(super) fn found(
    draft: &mut Draft<'_>,
    cluster_id: &str,
    cluster_name: &str,
    authority: &Authority,
    agent: &AgentDeclaration,
    key_fingerprint: &str,
) -> Result<Effect, Refusal> {
    if draft.state.founded() {
        if draft.state.cluster_id == cluster_id {
            return Ok(Effect::Nothing);
        }
        return Err(Refusal::new(format!(
            "this agent belongs to cluster '{}' already; run `muster leave` first if that is not meant",
            draft.state.cluster_name
        )));
    }
    check::text("the cluster's id", cluster_id, MEMBER_ID_CHARS_MAX)?;
    check::text("the cluster's name", cluster_name, NAME_CHARS_MAX)?;
    check::sha256_hex("the fingerprint of the agent's key", key_fingerprint)?;
    check::agent(agent)?;
    if authority.certificate_pem.len() > PEM_BYTES_MAX || authority.key_pem.len() > PEM_BYTES_MAX {
        return Err(Refusal::new(format!(
            "the certificate authority is larger than {PEM_BYTES_MAX} bytes; make a plain one"
        )));
    }
    let first = AgentId(1);
    let state = &mut *draft.state;
    cluster_id.clone_into(&mut state.cluster_id);
    cluster_name.clone_into(&mut state.cluster_name);
    state.authority = authority.clone();
    state.next_agent_id = first.0 + 1;
    state.next_event_id = 1;
    state.agents.insert(first, record(agent, key_fingerprint));
    draft.tell(EventKind::ClusterFounded, None);
    Ok(Effect::Changed)
}

pub(super) fn join(
    draft: &mut Draft<'_>,
    token_hash: &str,
    key_fingerprint: &str,
    agent: &AgentDeclaration,
) -> Result<Effect, Refusal> {
    let Some(token) = draft.state.tokens.get(token_hash) else {
        return Err(Refusal::new(
            "this join token is not known here: it has expired, was mistyped, or belongs to another cluster; make a \
             new one with `muster token create`",
        ));
    };
    if let Some(user) = token.used_by {
        // The answer to the first request may have been lost. Only the holder of the same key gets it again.
        return match draft.state.agents.get(&user) {
            Some(record) if record.key_fingerprint == key_fingerprint => {
                Ok(Effect::JoinedBefore(user))
            }
            Some(record) => Err(Refusal::new(format!(
                "this join token was used by host '{}' and is good for one; make a new one with `muster token create`",
                record.name
            ))),
            None => Err(Refusal::new(format!(
                "this join token was used by agent {user}, which was removed since; make a new one with \
                 `muster token create`"
            ))),
        };
    }
    check::sha256_hex("the fingerprint of the agent's key", key_fingerprint)?;
    check::agent(agent)?;
    if let Some((id, _)) = draft
        .state
        .agents
        .iter()
        .find(|(_, a)| a.key_fingerprint == key_fingerprint)
    {
        return Ok(Effect::JoinedBefore(*id));
    }
    unique(draft.state, None, agent)?;
    if draft.state.agents.len() >= AGENTS_MAX {
        return Err(Refusal::new(format!(
            "the cluster has {AGENTS_MAX} agents, and no more fit; remove one with `muster remove NAME`"
        )));
    }
    let agent_id = AgentId(draft.state.next_agent_id);
    draft.state.next_agent_id += 1;
    if let Some(token) = draft.state.tokens.get_mut(token_hash) {
        token.used_by = Some(agent_id);
    }
    draft
        .state
        .agents
        .insert(agent_id, record(agent, key_fingerprint));
    let reason = format!(
        "host '{}' joined as agent {agent_id}: {}",
        agent.name, draft.entry.reason
    );
    draft.tell_change(
        EventKind::AgentJoined,
        None,
        None,
        Some(agent.name.clone()),
        reason,
    );
    Ok(Effect::Joined(agent_id))
}

pub(super) fn declare(
    draft: &mut Draft<'_>,
    agent_id: AgentId,
    agent: &AgentDeclaration,
) -> Result<Effect, Refusal> {
    let old = existing(draft.state, agent_id)?.clone();
    check::agent(agent)?;
    unique(draft.state, Some(agent_id), agent)?;
    if let (true, Some(member_id)) = (agent.arbitrator, &old.member_id) {
        return Err(Refusal::new(format!(
            "host '{}' speaks for member {member_id} and cannot become an arbitrator; run `muster leave` there and \
             join again with --arbitrator",
            old.name
        )));
    }
    let new = AgentRecord {
        member_id: old.member_id.clone(),
        ..record(agent, &old.key_fingerprint)
    };
    if new == old {
        return Ok(Effect::Nothing);
    }
    if let Some(member) = new
        .member_id
        .as_ref()
        .and_then(|id| draft.state.members.get_mut(id))
        && member.name != new.name
    {
        member.name.clone_from(&new.name);
        member.changed_in = draft.view_id;
    }
    draft.state.agents.insert(agent_id, new);
    let reason = format!("host '{}': {}", agent.name, draft.entry.reason);
    draft.tell_change(
        EventKind::AgentChanged,
        None,
        Some(old.name),
        Some(agent.name.clone()),
        reason,
    );
    Ok(Effect::Changed)
}

pub(super) fn remove(draft: &mut Draft<'_>, agent_id: AgentId) -> Result<Effect, Refusal> {
    if draft.state.removed_agents.contains(&agent_id) {
        return Ok(Effect::Nothing);
    }
    let name = existing(draft.state, agent_id)?.name.clone();
    if draft.state.agents.len() == 1 {
        return Err(Refusal::new(format!(
            "'{name}' is the last agent of the cluster and cannot be taken out; to end the cluster, stop the agent and \
             delete its state folder"
        )));
    }
    let votes_left = draft
        .state
        .voters
        .iter()
        .any(|v| *v != agent_id && draft.state.agents.contains_key(v));
    if draft.state.voters.contains(&agent_id) && !votes_left {
        return Err(Refusal::new(format!(
            "'{name}' is the only voter, and without it nobody could decide; another agent has to become a voter first, \
             try again in a moment"
        )));
    }
    forget(draft, agent_id);
    Ok(Effect::Changed)
}

/// Takes an agent out for ever, with all members that it speaks for. The voters stay as the consensus says.
pub(super) fn forget(draft: &mut Draft<'_>, agent_id: AgentId) {
    let Some(agent) = draft.state.agents.remove(&agent_id) else {
        return;
    };
    draft.state.removed_agents.insert(agent_id);
    let reason = format!("host '{}': {}", agent.name, draft.entry.reason);
    draft.tell_change(
        EventKind::AgentRemoved,
        None,
        Some(agent.name.clone()),
        None,
        reason,
    );
    let members: Vec<MemberId> = draft
        .state
        .members
        .iter()
        .filter(|(_, m)| m.agent_id == agent_id)
        .map(|(id, _)| id.clone())
        .collect();
    for member_id in members {
        if let Some(member) = draft.state.members.remove(&member_id) {
            let what = match member.kind {
                MemberKind::Plugin => "its agent was taken out",
                MemberKind::Text => "the agent that it joined through was taken out",
            };
            draft.tell_change(
                EventKind::MemberRemoved,
                Some(&member_id),
                Some(member.state.word().to_owned()),
                None,
                format!("member '{}' goes: {what}", member.name),
            );
        }
    }
}

pub(super) fn voters_are(
    draft: &mut Draft<'_>,
    voters: &BTreeSet<AgentId>,
) -> Result<Effect, Refusal> {
    if draft.state.voters == *voters {
        return Ok(Effect::Nothing);
    }
    let before = list(&draft.state.voters);
    let after = list(voters);
    draft.state.voters.clone_from(voters);
    let reason = draft.entry.reason.clone();
    draft.tell_change(
        EventKind::VotersChanged,
        None,
        Some(before),
        Some(after),
        reason,
    );
    Ok(Effect::Changed)
}

/// The record of an agent that belongs, or why there is none.
pub(super) fn existing(state: &ClusterState, agent_id: AgentId) -> Result<&AgentRecord, Refusal> {
    state.agents.get(&agent_id).ok_or_else(|| {
        Refusal::new(if state.removed_agents.contains(&agent_id) {
            format!(
                "agent {agent_id} was removed from the cluster; to come back, delete its state folder and run \
                 `muster join` with a new token"
            )
        } else {
            format!("there is no agent {agent_id} in this cluster; see `muster agents`")
        })
    })
}

fn unique(
    state: &ClusterState,
    own: Option<AgentId>,
    agent: &AgentDeclaration,
) -> Result<(), Refusal> {
    for (id, other) in &state.agents {
        if Some(*id) == own {
            continue;
        }
        let taken = if other.name == agent.name {
            format!("the name '{}'", agent.name)
        } else if other.address == agent.address {
            format!("the address {}", agent.address)
        } else {
            continue;
        };
        return Err(Refusal::new(format!(
            "{taken} belongs to agent {id} ('{}'); if that one is gone for good, run `muster remove {}` first, else \
             choose another in the configuration of this host",
            other.name, other.name
        )));
    }
    Ok(())
}

fn record(agent: &AgentDeclaration, key_fingerprint: &str) -> AgentRecord {
    AgentRecord {
        name: agent.name.clone(),
        address: agent.address.clone(),
        site: agent.site.clone(),
        priority: agent.priority,
        arbitrator: agent.arbitrator,
        version: agent.version.clone(),
        key_fingerprint: key_fingerprint.to_owned(),
        member_id: None,
    }
}

fn list(voters: &BTreeSet<AgentId>) -> String {
    let ids: Vec<String> = voters.iter().map(ToString::to_string).collect();
    ids.join(", ")
}
