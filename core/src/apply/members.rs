//! Members: servers with a plugin, who speaks for them, and what the group decided about them.

use std::collections::BTreeSet;

use super::{Draft, Effect, Refusal, agents, check};
use crate::command::{MemberChange, MemberDeclaration};
use crate::ids::{AgentId, MemberId, ViewId};
use crate::limits::{HOST_CHARS_MAX, MEMBER_ID_CHARS_MAX, MEMBERS_MAX, VERSION_CHARS_MAX};
use crate::state::{
    AgentRecord, ClusterState, EventKind, MemberKind, MemberRecord, MemberRole, MemberState,
};

/// What a declaration that is accepted will do.
struct Accepted {
    agent: AgentRecord,
    known: Option<MemberRecord>,
    replaced: Option<MemberId>,
}

/// Whether the declaration would change anything, or the sentence with which it would be refused. The leader asks
/// before it proposes, so that a server that cannot be taken in costs no log entry.
pub fn declaration(
    state: &ClusterState,
    agent_id: AgentId,
    member: &MemberDeclaration,
) -> Result<bool, String> {
    let accepted = examine(state, agent_id, member).map_err(|Refusal(sentence)| sentence)?;
    let same = accepted
        .known
        .as_ref()
        .is_some_and(|known| declared(known, agent_id, &accepted.agent, member) == *known);
    Ok(!same)
}

fn examine(
    state: &ClusterState,
    agent_id: AgentId,
    member: &MemberDeclaration,
) -> Result<Accepted, Refusal> {
    let agent = agents::existing(state, agent_id)?.clone();
    check::text("the server's id", &member.member_id.0, MEMBER_ID_CHARS_MAX)?;
    check::text("the server's host", &member.host, HOST_CHARS_MAX)?;
    check::optional_text(
        "the server's version",
        &member.server_version,
        VERSION_CHARS_MAX,
    )?;
    if agent.arbitrator {
        return Err(Refusal::new(format!(
            "host '{}' is an arbitrator and speaks for no server; run `muster leave` there and join again without \
             --arbitrator",
            agent.name
        )));
    }
    let known = state.members.get(&member.member_id).cloned();
    if let Some(known) = &known {
        owned_by_another(state, known, agent_id, &agent.name, &member.member_id)?;
    }
    let replaced = agent.member_id.clone().filter(|id| *id != member.member_id);
    if let Some(old) = replaced.as_ref().and_then(|id| state.members.get(id))
        && !gone(old.state)
    {
        return Err(Refusal::new(format!(
            "host '{}' speaks for another server that is {}; a second server on a host needs an agent of its own",
            agent.name,
            old.state.word()
        )));
    }
    if known.is_none() && replaced.is_none() && state.members.len() >= MEMBERS_MAX {
        return Err(full());
    }
    Ok(Accepted {
        agent,
        known,
        replaced,
    })
}

/// The record of a known member as declared, but for the view in which it changed.
fn declared(
    known: &MemberRecord,
    agent_id: AgentId,
    agent: &AgentRecord,
    member: &MemberDeclaration,
) -> MemberRecord {
    MemberRecord {
        name: agent.name.clone(),
        host: member.host.clone(),
        port: member.port,
        server_version: member.server_version.clone(),
        agent_id,
        ..known.clone()
    }
}

pub(super) fn declare(
    draft: &mut Draft<'_>,
    agent_id: AgentId,
    member: &MemberDeclaration,
) -> Result<Effect, Refusal> {
    let Accepted {
        agent,
        known,
        replaced,
    } = examine(draft.state, agent_id, member)?;
    if let Some(old_id) = replaced
        && let Some(old) = draft.state.members.remove(&old_id)
    {
        draft.tell_change(
            EventKind::MemberRemoved,
            Some(&old_id),
            Some(old.state.word().to_owned()),
            None,
            format!(
                "host '{}' now has server {} instead",
                agent.name, member.member_id
            ),
        );
    }
    let Some(known) = known else {
        return Ok(welcome(draft, agent_id, &agent.name, member));
    };
    let mut new = declared(&known, agent_id, &agent, member);
    if new == known {
        return Ok(Effect::Nothing);
    }
    new.changed_in = draft.view_id;
    draft.state.members.insert(member.member_id.clone(), new);
    let entry_reason = &draft.entry.reason;
    if known.agent_id == agent_id {
        let reason = format!("member '{}': {entry_reason}", agent.name);
        draft.tell_change(
            EventKind::MemberChanged,
            Some(&member.member_id),
            Some(format!(
                "{}:{} {}",
                known.host, known.port, known.server_version
            )),
            Some(format!(
                "{}:{} {}",
                member.host, member.port, member.server_version
            )),
            reason,
        );
        return Ok(Effect::Changed);
    }
    let reason = format!(
        "the server of host '{}' came back on host '{}': {entry_reason}",
        known.name, agent.name
    );
    bind(draft, agent_id, &member.member_id);
    draft.tell_change(
        EventKind::MemberJoined,
        Some(&member.member_id),
        Some(known.name),
        Some(agent.name),
        reason,
    );
    Ok(Effect::Changed)
}

/// Refuses a second agent for a server that is alive beside its first: a cloned host brings a copy of the identity.
fn owned_by_another(
    state: &ClusterState,
    known: &MemberRecord,
    agent_id: AgentId,
    agent_name: &str,
    member_id: &MemberId,
) -> Result<(), Refusal> {
    if known.kind == MemberKind::Text {
        return Err(Refusal::new(format!(
            "server {member_id} joined by the text protocol; let it leave there before its plugin reports"
        )));
    }
    if known.agent_id == agent_id
        || !state.agents.contains_key(&known.agent_id)
        || gone(known.state)
    {
        return Ok(());
    }
    Err(Refusal::new(format!(
        "server {member_id} belongs to host '{owner}', where it is {state}, and host '{agent_name}' has one with the \
         same id: one is a copy of the other; on the copy stop the server, delete auto.cnf (MariaDB: the id file of \
         Muster) in its data directory, and start it again",
        owner = known.name,
        state = known.state.word(),
    )))
}

/// Nobody claims to have it running.
fn gone(state: MemberState) -> bool {
    matches!(state, MemberState::Offline | MemberState::Unreachable)
}

fn full() -> Refusal {
    Refusal::new(format!(
        "the cluster has {MEMBERS_MAX} members, and no more fit; take one out first"
    ))
}

fn welcome(
    draft: &mut Draft<'_>,
    agent_id: AgentId,
    agent_name: &str,
    member: &MemberDeclaration,
) -> Effect {
    let reason = "its plugin has introduced itself; what it does is not known yet".to_owned();
    draft.state.members.insert(
        member.member_id.clone(),
        MemberRecord {
            kind: MemberKind::Plugin,
            name: agent_name.to_owned(),
            host: member.host.clone(),
            port: member.port,
            state: MemberState::Starting,
            role: MemberRole::Standalone,
            writable: false,
            epoch: 0,
            draining: false,
            server_version: member.server_version.clone(),
            agent_id,
            reason,
            changed_in: draft.view_id,
        },
    );
    bind(draft, agent_id, &member.member_id);
    let reason = format!("member '{agent_name}': {}", draft.entry.reason);
    draft.tell_change(
        EventKind::MemberJoined,
        Some(&member.member_id),
        None,
        Some(MemberState::Starting.word().to_owned()),
        reason,
    );
    Effect::Changed
}

/// Makes `agent_id` the one that speaks for the member, and nobody else.
fn bind(draft: &mut Draft<'_>, agent_id: AgentId, member_id: &MemberId) {
    for (id, agent) in &mut draft.state.agents {
        if *id == agent_id {
            agent.member_id = Some(member_id.clone());
        } else if agent.member_id.as_ref() == Some(member_id) {
            agent.member_id = None;
        }
    }
}

pub(super) fn set(draft: &mut Draft<'_>, changes: &[MemberChange]) -> Result<Effect, Refusal> {
    let mut seen = BTreeSet::new();
    let mut fresh: Vec<(MemberId, MemberRecord, MemberRecord)> = Vec::new();
    for change in changes {
        if !seen.insert(&change.member_id) {
            return Err(Refusal::new(format!(
                "the decision names member {} twice; this is a fault of the program that proposed it",
                change.member_id
            )));
        }
        let Some(old) = draft.state.members.get(&change.member_id) else {
            continue;
        };
        if change.based_on < old.changed_in {
            continue;
        }
        let new = changed(old, change, draft.view_id);
        if let Some(new) = new {
            fresh.push((change.member_id.clone(), old.clone(), new));
        }
    }
    if fresh.is_empty() {
        return Ok(Effect::Nothing);
    }
    at_most_one_primary(draft.state, &fresh)?;
    for (member_id, old, new) in fresh {
        tell_of(draft, &member_id, &old, &new);
        draft.state.members.insert(member_id, new);
    }
    Ok(Effect::Changed)
}

/// The record after the change; none where it is so already.
fn changed(old: &MemberRecord, change: &MemberChange, view_id: ViewId) -> Option<MemberRecord> {
    let mut new = MemberRecord {
        state: change.state,
        role: change.role,
        writable: change.writable,
        reason: muster_link::text::clip_text(&change.reason),
        ..old.clone()
    };
    if new == *old {
        return None;
    }
    new.changed_in = view_id;
    Some(new)
}

/// Tells of a change of state, and of a change of role, each as an event of its own.
pub(super) fn tell_of(
    draft: &mut Draft<'_>,
    member_id: &MemberId,
    old: &MemberRecord,
    new: &MemberRecord,
) {
    let role = |m: &MemberRecord| {
        let suffix = if m.writable { ", writable" } else { "" };
        format!("{}{suffix}", m.role.word())
    };
    let role_changed = (old.role, old.writable) != (new.role, new.writable);
    if old.state != new.state || old.draining != new.draining || !role_changed {
        draft.tell_change(
            EventKind::MemberState,
            Some(member_id),
            Some(old.state.word().to_owned()),
            Some(new.state.word().to_owned()),
            new.reason.clone(),
        );
    }
    if role_changed {
        draft.tell_change(
            EventKind::MemberRole,
            Some(member_id),
            Some(role(old)),
            Some(role(new)),
            new.reason.clone(),
        );
    }
}

/// Refuses what would leave two primaries, two writable members, or a writable member that is not an online primary.
pub(super) fn at_most_one_primary(
    state: &ClusterState,
    fresh: &[(MemberId, MemberRecord, MemberRecord)],
) -> Result<(), Refusal> {
    let after = state
        .members
        .iter()
        .filter(|(id, _)| !fresh.iter().any(|(fresh_id, _, _)| fresh_id == *id))
        .chain(fresh.iter().map(|(id, _, new)| (id, new)));
    let mut primary: Option<&MemberRecord> = None;
    for (_, member) in after {
        if member.writable
            && (member.role != MemberRole::Primary || member.state != MemberState::Online)
        {
            return Err(Refusal::new(format!(
                "member '{}' cannot be writable as a {} {}: only a primary that is ONLINE can; look at it with \
                 `muster members`",
                member.name,
                member.state.word(),
                member.role.word()
            )));
        }
        if member.role == MemberRole::Primary
            && let Some(first) = primary.replace(member)
        {
            return Err(Refusal::new(format!(
                "'{}' and '{}' would both be PRIMARY; set read_only on the one that shall not be",
                first.name, member.name
            )));
        }
    }
    Ok(())
}
