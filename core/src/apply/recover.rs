//! `muster recover --force`: after a majority is lost for good, one agent goes on alone, a generation higher.

use std::collections::BTreeSet;

use super::{Draft, Effect, Refusal, agents};
use crate::ids::AgentId;
use crate::limits::{RECOVERED_AGENT_ID_GAP, RECOVERED_EVENT_ID_GAP};
use crate::state::EventKind;

/// Makes `survivor` the only agent and the only voter.
///
/// The lost majority may have gone further than the survivor knows: view, agent and event numbers that it may have used
/// are left out. Epochs need no step of their own here: none is given before the failover commands exist, and the
/// generation stands in the view id for them to be built on.
pub(super) fn recover(draft: &mut Draft<'_>, survivor: AgentId) -> Result<Effect, Refusal> {
    if !draft.state.agents.contains_key(&survivor) {
        return Err(Refusal::new(format!(
            "agent {survivor} does not belong to this cluster; run `muster recover --force` on a host that does"
        )));
    }
    let alone = BTreeSet::from([survivor]);
    if draft.state.agents.len() == 1 && draft.state.voters == alone {
        return Ok(Effect::Nothing);
    }
    draft.view_id = draft.state.view_id.next_generation();
    draft.state.next_agent_id += RECOVERED_AGENT_ID_GAP;
    draft.state.next_event_id += RECOVERED_EVENT_ID_GAP;
    draft.tell(EventKind::ClusterRecovered, None);
    let others: Vec<AgentId> = draft
        .state
        .agents
        .keys()
        .copied()
        .filter(|id| *id != survivor)
        .collect();
    for agent_id in others {
        agents::forget(draft, agent_id);
    }
    draft.state.voters = alone;
    Ok(Effect::Changed)
}
