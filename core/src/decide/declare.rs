//! Which server is whose: what an agent's plugin introduced against what the log says.

use muster_link::report::Identity;
use muster_link::text::clip_text;

use super::{Action, Decision};
use crate::apply;
use crate::command::{Command, MemberDeclaration};
use crate::evidence::Observations;
use crate::ids::MemberId;
use crate::limits::VERSION_CHARS_MAX;
use crate::state::{AgentRecord, ClusterState, MemberRecord};

pub(super) fn decide(state: &ClusterState, seen: &Observations, decisions: &mut Vec<Decision>) {
    for (agent_id, of_agent) in &seen.agents {
        let lately = of_agent.said_age_ms.is_some_and(|age| age <= seen.ttl_ms);
        let Some(own) = of_agent.own.as_deref().filter(|own| lately && own.linked) else {
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
