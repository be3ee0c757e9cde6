//! Who is what. Roles are observed, not assigned: PRIMARY is the one writable server that others replicate from.

use std::collections::{BTreeMap, BTreeSet};

use muster_link::report::{Facts, Phase};

use super::health::Verdict;
use super::topology::{Topology, speaks_for};
use crate::evidence::Seen;
use crate::ids::{AgentId, MemberId};
use crate::state::{ClusterState, MemberKind, MemberRole, MemberState};

/// Role of one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its role.
    pub role: MemberRole,
    /// It may be written to, as far as its role and settings go; its state has to be ONLINE too.
    pub writable: bool,
    /// Why, as a sentence.
    pub reason: String,
}

/// Roles of all members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roles {
    /// By member; who is not in it keeps its role.
    pub members: BTreeMap<MemberId, Role>,
    /// More than one qualifies, so none is PRIMARY: why, and what to do.
    pub conflict: Option<String>,
    /// Those that qualify, where they are more than one.
    pub rivals: BTreeSet<MemberId>,
}

/// Roles as the newest facts show them; `verdicts` says how the members are going to be.
#[must_use]
pub fn assign(
    state: &ClusterState,
    agents: &BTreeMap<AgentId, Seen>,
    verdicts: &BTreeMap<MemberId, Verdict>,
) -> Roles {
    let topology = Topology::new(state, agents);
    let followed = topology.followed();
    let present = |id: &MemberId| {
        let recorded = state.members.get(id).map(|m| m.state);
        !matches!(
            verdicts.get(id).map(|v| v.state).or(recorded),
            None | Some(MemberState::Offline | MemberState::Unreachable)
        )
    };
    // A present member of which nothing is known yet (it starts, or this agent has just begun to lead) keeps its role.
    let serving = |id: &MemberId| -> Option<&Facts> {
        let record = state.members.get(id)?;
        let own = speaks_for(agents.get(&record.agent_id)?, id)?;
        let serves = own.report.as_ref()?.phase == Phase::Serving;
        if present(id) && serves {
            topology.facts(id)
        } else {
            None
        }
    };
    let open = |facts: &Facts| !facts.read_only && !facts.super_read_only;
    let qualified: Vec<&MemberId> = state
        .members
        .iter()
        .filter(|(_, m)| m.kind == MemberKind::Plugin)
        .map(|(id, _)| id)
        .filter(|id| followed.contains(*id) && serving(id).is_some_and(open))
        .collect();

    let mut roles = Roles::default();
    let current = state.primary().map(|(id, _)| id);
    let text_primary = state
        .primary()
        .filter(|(_, m)| m.kind == MemberKind::Text && m.state != MemberState::Unreachable);
    let primary = match (qualified.as_slice(), text_primary) {
        ([], _) => current.filter(|id| keeps(state, &topology, &present, &serving, id)),
        ([one], None) => Some(*one),
        ([one], Some((text_id, text))) => {
            roles.conflict = Some(format!(
                "'{}' is writable and others replicate from it, but '{}' joined by the text protocol as master; let \
                 that one leave, or join as slave",
                name(state, one),
                text.name
            ));
            Some(text_id)
        }
        (several, text) => {
            let names: Vec<String> = several
                .iter()
                .map(|id| format!("'{}'", name(state, id)))
                .collect();
            roles.conflict = Some(format!(
                "{} are all writable and replicated from, so none is PRIMARY; set read_only on all but one",
                names.join(" and ")
            ));
            roles.rivals = several.iter().map(|id| (*id).clone()).collect();
            text.map(|(id, _)| id)
        }
    };

    for (member_id, record) in &state.members {
        let is_primary = primary == Some(member_id);
        if record.kind == MemberKind::Text {
            if !is_primary && record.role == MemberRole::Primary {
                roles.members.insert(
                    member_id.clone(),
                    Role {
                        role: MemberRole::Standalone,
                        writable: false,
                        reason: "its agent is not heard, and another server is primary now"
                            .to_owned(),
                    },
                );
            }
            continue;
        }
        let facts = serving(member_id);
        let role = if is_primary {
            Role {
                role: MemberRole::Primary,
                writable: facts.map_or(record.writable, open),
                reason: if facts.is_some_and(open) {
                    "it is the one writable server that others replicate from".to_owned()
                } else {
                    "it was the primary, and no other has taken its place".to_owned()
                },
            }
        } else {
            let last = facts.or_else(|| topology.facts(member_id));
            match (facts, last) {
                (None, _) if record.role != MemberRole::Primary => continue,
                (_, Some(last)) if !last.channels.is_empty() => Role {
                    role: MemberRole::Replica,
                    writable: false,
                    reason: format!(
                        "it replicates from {}:{}",
                        last.channels[0].source_host, last.channels[0].source_port
                    ),
                },
                _ => Role {
                    role: MemberRole::Standalone,
                    writable: false,
                    reason: match (&roles.conflict, facts) {
                        (Some(conflict), _) if roles.rivals.contains(member_id) => conflict.clone(),
                        (_, Some(facts)) if open(facts) => {
                            "it replicates from nobody, and nobody from it".to_owned()
                        }
                        _ => {
                            "it replicates from nobody and is not the writable source of the others"
                                .to_owned()
                        }
                    },
                },
            }
        };
        roles.members.insert(member_id.clone(), role);
    }
    roles
}

/// Whether a primary stays one although nobody qualifies: one that is gone does, until another takes its place; one
/// that is there does while it is writable and the replicas that could tell are not heard.
fn keeps<'a>(
    state: &'a ClusterState,
    topology: &Topology<'a>,
    present: &impl Fn(&MemberId) -> bool,
    serving: &impl Fn(&MemberId) -> Option<&'a Facts>,
    primary: &MemberId,
) -> bool {
    if state
        .members
        .get(primary)
        .is_some_and(|m| m.kind == MemberKind::Text)
        || !present(primary)
    {
        return true;
    }
    match serving(primary) {
        None => true,
        Some(facts) => {
            let writable = !facts.read_only && !facts.super_read_only;
            let unknown = state.members.iter().any(|(id, m)| {
                id != primary && m.kind == MemberKind::Plugin && topology.facts(id).is_none()
            });
            writable && unknown
        }
    }
}

fn name<'a>(state: &'a ClusterState, member_id: &MemberId) -> &'a str {
    state
        .members
        .get(member_id)
        .map_or("?", |m| m.name.as_str())
}
