//! Which server is whose: what an agent's plugin introduced against what the log says.

use muster_link::report::Identity;
use muster_link::text::clip_text;

use super::topology::speaks_for;
use super::{Action, Decision};
use crate::apply;
use crate::command::{Command, MemberDeclaration};
use crate::evidence::{Observations, OwnMember, ProcessState};
use crate::ids::{AgentId, MemberId};
use crate::limits::VERSION_CHARS_MAX;
use crate::state::{AgentRecord, ClusterState, MemberRecord};

pub(super) fn decide(state: &ClusterState, seen: &Observations, decisions: &mut Vec<Decision>) {
    for (agent_id, of_agent) in &seen.agents {
        if of_agent.twin {
            let name = state.agents.get(agent_id).map_or("?", |a| a.name.as_str());
            decisions.push(Decision::Held {
                what: format!("one of two agents '{name}' is not listened to"),
                why: format!(
                    "two processes speak as agent {agent_id} ('{name}'): its host was copied with the agent's state \
                     folder; on the copy stop the agent, delete that folder and run `muster join` with a new token"
                ),
            });
        }
        let lately = of_agent.said_age_ms.is_some_and(|age| age <= seen.ttl_ms);
        let Some(own) = of_agent.own.as_deref().filter(|own| lately && runs(own)) else {
            continue;
        };
        let identity = &own.identity;
        if identity.member_id.is_empty() || identity.host.is_empty() || identity.port == 0 {
            // The server does not know it itself yet.
            continue;
        }
        let same = state.agents.get(agent_id).is_some_and(|agent| {
            let known = agent
                .member_id
                .as_ref()
                .and_then(|id| state.members.get(id));
            known.is_some_and(|known| is_as(agent, known, identity))
        });
        if same {
            continue;
        }
        let member = MemberDeclaration {
            member_id: MemberId(identity.member_id.clone()),
            host: identity.host.clone(),
            port: identity.port,
            server_version: version(identity),
        };
        let host = state
            .agents
            .get(agent_id)
            .map_or("?", |agent| agent.name.as_str());
        if let Some(owner) = claimed_by_another(state, seen, *agent_id, &member.member_id) {
            decisions.push(Decision::Held {
                what: format!("the server of host '{host}' is not taken in"),
                why: format!(
                    "host '{owner}' has a running server with the same id {}: one is a copy of the other; on the copy \
                     stop the server, delete auto.cnf (MariaDB: the id file of Muster) in its data directory, and \
                     start it again",
                    member.member_id
                ),
            });
            continue;
        }
        match apply::declaration(state, *agent_id, &member) {
            Ok(false) => {}
            Ok(true) => decisions.push(Decision::Act {
                action: Action::Propose(Command::DeclareMember {
                    agent_id: *agent_id,
                    member,
                }),
                why: format!(
                    "the plugin of host '{host}' introduced server {} at {}:{}",
                    identity.member_id, identity.host, identity.port
                ),
            }),
            Err(why) => decisions.push(Decision::Held {
                what: format!("the server of host '{host}' is not taken in"),
                why: clip_text(&why),
            }),
        }
    }
}

/// The plugin is there, and so is the process.
fn runs(own: &OwnMember) -> bool {
    own.linked && matches!(own.process, ProcessState::Running { .. })
}

/// The host whose agent speaks for the server already and has it running: it is not moved to and fro between two.
fn claimed_by_another<'a>(
    state: &'a ClusterState,
    seen: &Observations,
    agent_id: AgentId,
    member_id: &MemberId,
) -> Option<&'a str> {
    let owner = state.members.get(member_id)?.agent_id;
    let of_owner = seen.agents.get(&owner).filter(|_| owner != agent_id)?;
    let lately = of_owner.said_age_ms.is_some_and(|age| age <= seen.ttl_ms);
    let claims = lately && speaks_for(of_owner, member_id).is_some_and(runs);
    claims.then(|| state.agents.get(&owner).map_or("?", |a| a.name.as_str()))
}

/// The cheap answer for almost every agent almost always: its server is the one in the log, and as it is there.
fn is_as(agent: &AgentRecord, known: &MemberRecord, identity: &Identity) -> bool {
    agent
        .member_id
        .as_ref()
        .is_some_and(|id| id.0 == identity.member_id)
        && known.name == agent.name
        && known.host == identity.host
        && known.port == identity.port
        && known.server_version == version(identity)
}

fn version(identity: &Identity) -> String {
    identity
        .server_version
        .chars()
        .take(VERSION_CHARS_MAX)
        .collect()
}
