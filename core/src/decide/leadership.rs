//! Who should lead: rather not the agent on the primary's host, so that the death of one host is not two failures.

use super::{Action, Decision};
use crate::evidence::Observations;
use crate::ids::AgentId;
use crate::state::ClusterState;

/// How long an agent leads before it looks for a better one, and how long it waits after an attempt, in milliseconds.
pub const SETTLED_MS: u64 = 10_000;

pub(super) fn decide(state: &ClusterState, seen: &Observations, decisions: &mut Vec<Decision>) {
    let consensus = &seen.consensus;
    let Some((_, primary)) = state.primary() else {
        return;
    };
    let settled = consensus.leading_ms >= SETTLED_MS
        && consensus
            .transfer_tried_ms
            .is_none_or(|ms| ms >= SETTLED_MS);
    if primary.agent_id != seen.me || !settled || consensus.changing {
        return;
    }
    let majority = consensus.voters.len() / 2 + 1;
    let fit = |id: &AgentId| {
        *id != seen.me
            && !consensus.lagging.contains(id)
            && seen.agents.get(id).is_some_and(|of_agent| {
                of_agent.hear_agent() >= majority
                    && of_agent
                        .said_age_ms
                        .is_some_and(|age| age <= seen.ttl_ms / 2)
            })
    };
    // An arbitrator has nothing else to do.
    let better = consensus
        .voters
        .iter()
        .filter(|id| state.agents.contains_key(id) && fit(id))
        .min_by_key(|id| (!state.agents[*id].arbitrator, **id));
    if let Some(to) = better {
        decisions.push(Decision::Act {
            action: Action::TransferLeadership(*to),
            why: format!(
                "this agent leads and lives on the host of the primary '{}'; '{}' leads instead, so that the death of \
                 one host is not two failures",
                primary.name, state.agents[to].name
            ),
        });
    }
}
