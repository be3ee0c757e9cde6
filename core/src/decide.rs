//! `decide`: what the leader should do next, and why.
//!
//! A pure function of the ordered state and the observations. Time is in the observations already, as ages, so there is
//! no clock here to be wrong about. Split by question: [`health`] who is gone, [`roles`] who is what, [`declare`] which
//! server is whose, [`voters`] who votes, [`leadership`] who should lead, [`tokens`] which tokens are over.
//!
//! Every decision carries one sentence; so does every refusal to act that matters. That sentence is the event's REASON
//! and the line in the log.

use std::collections::BTreeSet;

pub mod declare;
pub mod health;
pub mod leadership;
pub mod roles;
pub mod tokens;
pub mod topology;
pub mod voters;

use crate::command::{Command, MemberChange};
use crate::evidence::Observations;
use crate::ids::AgentId;
use crate::state::{ClusterState, MemberState};

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Propose this command to the log; the sentence becomes the entry's reason.
    Propose(Command),
    /// Let this agent receive the log.
    AddLearner(AgentId),
    /// Stop sending the log to an agent that does not belong any more.
    RemoveLearner(AgentId),
    /// Change who votes, in one step.
    SetVoters(BTreeSet<AgentId>),
    /// Let this voter lead instead.
    TransferLeadership(AgentId),
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Do it.
    Act {
        /// What.
        action: Action,
        /// Why, as a sentence.
        why: String,
    },
    /// Something that one might expect is not done.
    Held {
        /// What is not done.
        what: String,
        /// Why not, and what would change that, as a sentence.
        why: String,
    },
}

impl Decision {
    /// The action, where it is one.
    #[must_use]
    pub fn action(&self) -> Option<&Action> {
        match self {
            Self::Act { action, .. } => Some(action),
            Self::Held { .. } => None,
        }
    }
}

/// What to do now. Only the leader asks; an empty answer means that all is as it should be.
#[must_use]
pub fn decide(state: &ClusterState, seen: &Observations) -> Vec<Decision> {
    let mut decisions = Vec::new();
    if !state.founded() {
        return decisions;
    }
    // Before a declaration gives a member to another agent, so that no verdict of this round is about a former one.
    members(state, seen, &mut decisions);
    declare::decide(state, seen, &mut decisions);
    voters::decide(state, seen, &mut decisions);
    leadership::decide(state, seen, &mut decisions);
    tokens::decide(state, seen, &mut decisions);
    decisions
}

/// States and roles of all members, as one command and so as one view.
fn members(state: &ClusterState, seen: &Observations, decisions: &mut Vec<Decision>) {
    let verdicts = health::verdicts(state, seen);
    let roles = roles::assign(state, &seen.agents, &verdicts);
    if let Some(conflict) = roles.conflict {
        decisions.push(Decision::Held {
            what: "no member is made PRIMARY".to_owned(),
            why: conflict,
        });
    }
    let mut changes = Vec::new();
    for (member_id, record) in &state.members {
        let verdict = verdicts.get(member_id);
        let new_state = verdict.map_or(record.state, |v| v.state);
        let role = roles.members.get(member_id);
        let new_role = role.map_or(record.role, |r| r.role);
        let writable =
            role.map_or(record.writable, |r| r.writable) && new_state == MemberState::Online;
        let new_message = verdict
            .filter(|v| v.state == MemberState::Error && v.reason != record.reason)
            .is_some();
        let same = (new_state, new_role, writable) == (record.state, record.role, record.writable);
        if same && !new_message {
            continue;
        }
        let reason = match (verdict, role) {
            (Some(verdict), _) if new_state != record.state || new_message => {
                verdict.reason.clone()
            }
            (_, Some(role)) => role.reason.clone(),
            (Some(verdict), None) => verdict.reason.clone(),
            (None, None) => record.reason.clone(),
        };
        changes.push(MemberChange {
            member_id: member_id.clone(),
            based_on: record.changed_in,
            state: new_state,
            role: new_role,
            writable,
            reason,
        });
    }
    if changes.is_empty() {
        return;
    }
    let why = changes
        .iter()
        .filter_map(|c| {
            let name = &state.members.get(&c.member_id)?.name;
            Some(format!("{name}: {}", c.reason))
        })
        .collect::<Vec<_>>()
        .join("; ");
    decisions.push(Decision::Act {
        action: Action::Propose(Command::SetMembers { changes }),
        why,
    });
}
