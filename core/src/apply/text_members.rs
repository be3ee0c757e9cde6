//! Members of the text protocol: servers without a plugin, that only say of themselves what they are.

use super::members::{at_most_one_primary, tell_of};
use super::{Draft, Effect, Refusal, agents, check};
use crate::ids::{AgentId, MemberId};
use crate::limits::{HOST_CHARS_MAX, MEMBER_ID_CHARS_MAX, MEMBERS_MAX};
use crate::state::{EventKind, MemberKind, MemberRecord, MemberRole, MemberState};

/// What the server said.
pub(super) struct Said<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) state: MemberState,
    pub(super) role: MemberRole,
    pub(super) draining: bool,
}

pub(super) fn join(
    draft: &mut Draft<'_>,
    agent_id: AgentId,
    member_id: &MemberId,
    said: &Said<'_>,
) -> Result<Effect, Refusal> {
    agents::existing(draft.state, agent_id)?;
    check::text("the server's id", &member_id.0, MEMBER_ID_CHARS_MAX)?;
    check::text("the server's host", said.host, HOST_CHARS_MAX)?;
    sayable(said.state)?;
    let name = format!("{}:{}", said.host, said.port);
    let mut twin = None;
    for (id, other) in &draft.state.members {
        let same_address = other.host == said.host && other.port == said.port;
        if (id == member_id || same_address) && other.kind == MemberKind::Plugin {
            return Err(Refusal::new(format!(
                "{name} is member '{}' and reports by its plugin; it needs no text protocol",
                other.name
            )));
        }
        if id != member_id && same_address {
            twin = Some(id.clone());
        }
    }
    let old = draft.state.members.get(member_id).cloned();
    if old.is_none() && twin.is_none() && draft.state.members.len() >= MEMBERS_MAX {
        return Err(Refusal::new(format!(
            "the cluster has {MEMBERS_MAX} members, and no more fit; let one leave first"
        )));
    }
    if said.role == MemberRole::Primary
        && let Some((_, primary)) = draft.state.members.iter().find(|(id, m)| {
            *id != member_id && twin.as_ref() != Some(*id) && m.role == MemberRole::Primary
        })
    {
        return Err(Refusal::new(format!(
            "'{}' is the master already; let it leave or join as slave first",
            primary.name
        )));
    }
    let new = MemberRecord {
        kind: MemberKind::Text,
        name: name.clone(),
        host: said.host.to_owned(),
        port: said.port,
        state: said.state,
        role: said.role,
        writable: writable(said.role, said.state, said.draining),
        epoch: 0,
        draining: said.draining,
        server_version: String::new(),
        agent_id,
        reason: "it says so by the text protocol".to_owned(),
        changed_in: old.as_ref().map_or(draft.view_id, |old| old.changed_in),
    };
    if old.as_ref() == Some(&new) {
        return Ok(Effect::Nothing);
    }
    let new = MemberRecord {
        changed_in: draft.view_id,
        ..new
    };
    if let Some(twin) = twin {
        // The same address joined through another agent, which gave it another id: the newest word counts.
        draft.state.members.remove(&twin);
        draft.tell_why(
            EventKind::MemberRemoved,
            Some(&twin),
            format!("{name} joined again, through agent {agent_id}"),
        );
    }
    match &old {
        Some(old) => tell_of(draft, member_id, old, &new),
        None => draft.tell_change(
            EventKind::MemberJoined,
            Some(member_id),
            None,
            Some(new.state.word().to_owned()),
            format!("{name} joined by the text protocol"),
        ),
    }
    draft.state.members.insert(member_id.clone(), new);
    Ok(Effect::Changed)
}

pub(super) fn status(
    draft: &mut Draft<'_>,
    agent_id: AgentId,
    member_id: &MemberId,
    state: MemberState,
    draining: bool,
) -> Result<Effect, Refusal> {
    sayable(state)?;
    let Some(old) = draft.state.members.get(member_id).cloned() else {
        return Err(Refusal::new(
            "no member bears this host and port; send `join` first",
        ));
    };
    of_this_agent(&old, agent_id)?;
    let mut new = MemberRecord {
        state,
        draining,
        writable: writable(old.role, state, draining),
        reason: "it says so by the text protocol".to_owned(),
        ..old.clone()
    };
    if new == old {
        return Ok(Effect::Nothing);
    }
    new.changed_in = draft.view_id;
    let fresh = [(member_id.clone(), old, new)];
    at_most_one_primary(draft.state, &fresh)?;
    let [(_, old, new)] = fresh;
    tell_of(draft, member_id, &old, &new);
    draft.state.members.insert(member_id.clone(), new);
    Ok(Effect::Changed)
}

pub(super) fn leave(
    draft: &mut Draft<'_>,
    agent_id: AgentId,
    member_id: &MemberId,
) -> Result<Effect, Refusal> {
    let Some(old) = draft.state.members.get(member_id) else {
        return Ok(Effect::Nothing);
    };
    of_this_agent(old, agent_id)?;
    let before = Some(old.state.word().to_owned());
    draft.state.members.remove(member_id);
    let reason = draft.entry.reason.clone();
    draft.tell_change(
        EventKind::MemberRemoved,
        Some(member_id),
        before,
        None,
        reason,
    );
    Ok(Effect::Changed)
}

fn of_this_agent(member: &MemberRecord, agent_id: AgentId) -> Result<(), Refusal> {
    if member.kind != MemberKind::Text {
        return Err(Refusal::new(format!(
            "member '{}' reports by its plugin; the text protocol has no say in it",
            member.name
        )));
    }
    if member.agent_id != agent_id {
        return Err(Refusal::new(format!(
            "'{}' joined through agent {}, and only that one speaks for it; send `join` here to move it",
            member.name, member.agent_id
        )));
    }
    Ok(())
}

/// The states for which the text protocol has a word.
fn sayable(state: MemberState) -> Result<(), Refusal> {
    match state {
        MemberState::Online
        | MemberState::Offline
        | MemberState::Starting
        | MemberState::Stopping => Ok(()),
        other => Err(Refusal::new(format!(
            "the text protocol has no word for {}; use on, off, starting, stopping or standby",
            other.word()
        ))),
    }
}

fn writable(role: MemberRole, state: MemberState, draining: bool) -> bool {
    role == MemberRole::Primary && state == MemberState::Online && !draining
}
