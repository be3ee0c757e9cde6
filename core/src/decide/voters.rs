//! Who votes: 1, 3, 5 or 7 agents, chosen and replaced by the group itself, spread over sites.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Decision};
use crate::evidence::{Observations, Opinion};
use crate::ids::AgentId;
use crate::state::ClusterState;

/// How many of `agents` should vote.
#[must_use]
pub fn wanted(agents: usize, voters_max: u8) -> usize {
    let by_size = match agents {
        0..=2 => 1,
        3..=4 => 3,
        5..=6 => 5,
        _ => 7,
    };
    by_size.min(usize::from(voters_max))
}

pub(super) fn decide(state: &ClusterState, seen: &Observations, decisions: &mut Vec<Decision>) {
    let consensus = &seen.consensus;
    if consensus.changing {
        return;
    }
    let receiving: BTreeSet<AgentId> = consensus
        .voters
        .union(&consensus.learners)
        .copied()
        .collect();
    if let Some((id, agent)) = state.agents.iter().find(|(id, _)| !receiving.contains(id)) {
        decisions.push(Decision::Act {
            action: Action::AddLearner(*id),
            why: format!(
                "host '{}' belongs to the cluster and does not receive the log yet",
                agent.name
            ),
        });
        return;
    }
    match choose(state, seen, None) {
        Choice::Stay => {}
        Choice::Change(voters, why) => {
            decisions.push(Decision::Act {
                action: Action::SetVoters(voters),
                why,
            });
            return;
        }
        Choice::Held(what, why) => decisions.push(Decision::Held { what, why }),
    }
    if let Some(id) = consensus
        .learners
        .iter()
        .find(|id| !state.agents.contains_key(id))
    {
        decisions.push(Decision::Act {
            action: Action::RemoveLearner(*id),
            why: format!("agent {id} does not belong to the cluster any more"),
        });
    }
}

/// The voters to set before `leaving` can be removed; none where it does not vote, or where nobody could vote instead.
#[must_use]
pub fn without(
    state: &ClusterState,
    seen: &Observations,
    leaving: AgentId,
) -> Option<BTreeSet<AgentId>> {
    if !seen.consensus.voters.contains(&leaving) {
        return None;
    }
    match choose(state, seen, Some(leaving)) {
        Choice::Change(voters, _) if !voters.contains(&leaving) => Some(voters),
        _ => None,
    }
}

enum Choice {
    Stay,
    Change(BTreeSet<AgentId>, String),
    Held(String, String),
}

fn choose(state: &ClusterState, seen: &Observations, leaving: Option<AgentId>) -> Choice {
    let consensus = &seen.consensus;
    let belongs = |id: &AgentId| state.agents.contains_key(id) && Some(*id) != leaving;
    let majority = consensus.voters.len() / 2 + 1;
    let agents = state.agents.keys().filter(|id| belongs(id)).count();
    let wanted = wanted(agents, state.settings.voters_max);
    let mut voters: BTreeSet<AgentId> = consensus.voters.iter().copied().filter(belongs).collect();
    let mut spare: BTreeSet<AgentId> = consensus
        .learners
        .iter()
        .copied()
        .filter(|id| belongs(id) && fit(seen, *id))
        .collect();
    let name = |id: &AgentId| {
        state
            .agents
            .get(id)
            .map_or_else(|| format!("agent {id}"), |a| format!("'{}'", a.name))
    };
    let mut why = Vec::new();
    let mut held = None;
    for gone in consensus.voters.difference(&voters) {
        why.push(format!("{} does not belong any more", name(gone)));
    }

    // Replace who has been missed for too long.
    let patience_ms = state.settings.voter_replace_after_ms;
    let missed: Vec<AgentId> = voters
        .iter()
        .copied()
        .filter(|id| *id != seen.me && missed_for(seen, *id, patience_ms) >= majority)
        .collect();
    for id in missed {
        match best(state, &voters, &spare, Some(id)) {
            Some(instead) if voters.len() <= wanted => {
                voters.remove(&id);
                voters.insert(instead);
                spare.remove(&instead);
                why.push(format!(
                    "{} votes instead of {}, which was not heard for {} s",
                    name(&instead),
                    name(&id),
                    patience_ms / 1_000
                ));
            }
            Some(_) => {}
            None => {
                held = Some((
                    format!("voter {} is not replaced", name(&id)),
                    format!(
                        "it was not heard for {} s, but no agent that could vote instead is heard and up to date; join \
                         another host, or an arbitrator",
                        patience_ms / 1_000
                    ),
                ));
            }
        }
    }

    // Too many: first who is missed, then who shares a site with most others, never this agent where another will do.
    while voters.len() > wanted {
        let sites = sites(state, &voters);
        let Some(out) = voters.iter().copied().max_by_key(|id| {
            (
                *id != seen.me,
                missed_for(seen, *id, seen.ttl_ms) >= majority,
                sites.get(site(state, *id)).copied().unwrap_or(0),
                !is_arbitrator(state, *id),
                *id,
            )
        }) else {
            break;
        };
        voters.remove(&out);
        why.push(format!(
            "{agents} agents need {wanted} voters, so {} stops voting",
            name(&out)
        ));
    }

    // Too few. An even number of voters survives no more failures than one less, so the number grows by what makes it
    // odd, or not at all.
    let mut size = wanted.min(voters.len() + spare.len());
    if size.is_multiple_of(2) && size > voters.len() {
        size -= 1;
    }
    while voters.len() < size {
        let Some(new) = best(state, &voters, &spare, None) else {
            break;
        };
        voters.insert(new);
        spare.remove(&new);
        why.push(format!(
            "{agents} agents need {wanted} voters, so {} votes",
            name(&new)
        ));
    }

    // Spread: move a vote from a site that has two more than another could have.
    if why.is_empty()
        && let Some((out, new)) = better_spread(state, seen, &voters, &spare)
    {
        voters.remove(&out);
        voters.insert(new);
        why.push(format!(
            "{} votes instead of {}, so that the voters are spread over more sites",
            name(&new),
            name(&out)
        ));
    }

    if voters == consensus.voters || voters.is_empty() {
        return match held {
            Some((what, why)) => Choice::Held(what, why),
            None => Choice::Stay,
        };
    }
    Choice::Change(voters, why.join("; "))
}

/// It is heard, now, and its log is close to ours.
fn fit(seen: &Observations, id: AgentId) -> bool {
    !seen.consensus.lagging.contains(&id)
        && seen.agents.get(&id).is_some_and(|of_agent| {
            let majority = seen.consensus.voters.len() / 2 + 1;
            id == seen.me || of_agent.hear_agent() >= majority
        })
}

/// How many voters have themselves not heard the agent for this long.
fn missed_for(seen: &Observations, id: AgentId, silent_ms: u64) -> usize {
    seen.agents.get(&id).map_or(0, |of_agent| {
        of_agent
            .statements
            .values()
            .filter(|s| s.agent == Opinion::Lacks && s.agent_silent_ms > silent_ms)
            .count()
    })
}

/// The one whose vote spreads best: from the site with the fewest voters, rather an arbitrator, rather an early one.
fn best(
    state: &ClusterState,
    voters: &BTreeSet<AgentId>,
    spare: &BTreeSet<AgentId>,
    replacing: Option<AgentId>,
) -> Option<AgentId> {
    let mut others = voters.clone();
    if let Some(id) = replacing {
        others.remove(&id);
    }
    let sites = sites(state, &others);
    spare.iter().copied().min_by_key(|id| {
        (
            sites.get(site(state, *id)).copied().unwrap_or(0),
            !is_arbitrator(state, *id),
            *id,
        )
    })
}

fn better_spread(
    state: &ClusterState,
    seen: &Observations,
    voters: &BTreeSet<AgentId>,
    spare: &BTreeSet<AgentId>,
) -> Option<(AgentId, AgentId)> {
    let sites = sites(state, voters);
    let votes = |id: AgentId| sites.get(site(state, id)).copied().unwrap_or(0);
    let out = voters
        .iter()
        .copied()
        .filter(|id| *id != seen.me)
        .max_by_key(|id| (votes(*id), !is_arbitrator(state, *id), *id))?;
    let new = spare
        .iter()
        .copied()
        .min_by_key(|id| (votes(*id), !is_arbitrator(state, *id), *id))?;
    (votes(out) >= votes(new) + 2).then_some((out, new))
}

fn sites<'a>(state: &'a ClusterState, voters: &BTreeSet<AgentId>) -> BTreeMap<&'a str, usize> {
    let mut sites = BTreeMap::new();
    for id in voters {
        *sites.entry(site(state, *id)).or_insert(0) += 1;
    }
    sites
}

fn site(state: &ClusterState, id: AgentId) -> &str {
    state
        .agents
        .get(&id)
        .map_or("", |agent| agent.site.as_str())
}

fn is_arbitrator(state: &ClusterState, id: AgentId) -> bool {
    state.agents.get(&id).is_some_and(|agent| agent.arbitrator)
}
