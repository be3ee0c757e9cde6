//! Which join tokens are over, by this agent's own counting since it first saw them: no wall clock has a say in it.

use super::{Action, Decision};
use crate::command::Command;
use crate::evidence::Observations;
use crate::state::ClusterState;

pub(super) fn decide(state: &ClusterState, seen: &Observations, decisions: &mut Vec<Decision>) {
    for (token_hash, token) in &state.tokens {
        let over = seen
            .tokens_age_ms
            .get(token_hash)
            .is_some_and(|age| *age >= token.ttl_ms);
        if over {
            decisions.push(Decision::Act {
                action: Action::Propose(Command::ExpireToken {
                    token_hash: token_hash.clone(),
                }),
                why: format!(
                    "a join token was good for {} s, and they are over{}",
                    token.ttl_ms / 1_000,
                    if token.used_by.is_some() {
                        "; it was used"
                    } else {
                        "; nobody used it"
                    }
                ),
            });
        }
    }
}
