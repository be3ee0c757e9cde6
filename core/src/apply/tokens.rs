//! Join tokens: made by an administrator, used once, expired by the leader's own counting.

use super::{Draft, Effect, Refusal, check};
use crate::limits::TOKENS_MAX;
use crate::state::{EventKind, TokenRecord};

pub(super) fn create(draft: &mut Draft<'_>, token_hash: &str) -> Result<Effect, Refusal> {
    check::sha256_hex("the hash of the token", token_hash)?;
    if draft.state.tokens.contains_key(token_hash) {
        return Ok(Effect::Nothing);
    }
    if draft.state.tokens.len() >= TOKENS_MAX {
        return Err(Refusal::new(format!(
            "there are {TOKENS_MAX} join tokens already; use one of them, or wait until they expire"
        )));
    }
    let ttl_ms = draft.state.settings.token_ttl_ms;
    draft.state.tokens.insert(
        token_hash.to_owned(),
        TokenRecord {
            ttl_ms,
            used_by: None,
        },
    );
    draft.tell(EventKind::TokenCreated, None);
    Ok(Effect::Changed)
}

pub(super) fn expire(draft: &mut Draft<'_>, token_hash: &str) -> Result<Effect, Refusal> {
    if draft.state.tokens.remove(token_hash).is_none() {
        return Ok(Effect::Nothing);
    }
    draft.tell(EventKind::TokenExpired, None);
    Ok(Effect::Changed)
}
