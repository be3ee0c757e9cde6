//! What a name, an address or a fingerprint may look like. Refusals say what would be right.

use super::Refusal;
use crate::command::AgentDeclaration;
use crate::limits::{HOST_CHARS_MAX, NAME_CHARS_MAX, VERSION_CHARS_MAX};

/// A text of 1 to `chars_max` characters without control characters or blanks at its ends.
pub(super) fn text(what: &str, value: &str, chars_max: usize) -> Result<(), Refusal> {
    if value.is_empty() {
        return Err(Refusal::new(format!("{what} is empty; give one")));
    }
    optional_text(what, value, chars_max)
}

/// Likewise, but it may be empty.
pub(super) fn optional_text(what: &str, value: &str, chars_max: usize) -> Result<(), Refusal> {
    let chars = value.chars().count();
    if chars > chars_max {
        return Err(Refusal::new(format!(
            "{what} has {chars} characters; use at most {chars_max}"
        )));
    }
    if value.chars().any(char::is_control) || value.trim() != value {
        return Err(Refusal::new(format!(
            "{what} holds a control character or begins or ends with a blank; use plain text"
        )));
    }
    Ok(())
}

/// A SHA-256 in lower-case hex.
pub(super) fn sha256_hex(what: &str, value: &str) -> Result<(), Refusal> {
    let fits = value.len() == 64
        && value
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if fits {
        Ok(())
    } else {
        Err(Refusal::new(format!(
            "{what} is not a SHA-256 of 64 lower-case hexadecimal digits; this is a fault of the program that sent it"
        )))
    }
}

/// What an agent says of itself.
pub(super) fn agent(agent: &AgentDeclaration) -> Result<(), Refusal> {
    text("the name of the host", &agent.name, NAME_CHARS_MAX)?;
    text("the agent's address", &agent.address, HOST_CHARS_MAX + 6)?;
    optional_text("the site", &agent.site, NAME_CHARS_MAX)?;
    optional_text("the agent's version", &agent.version, VERSION_CHARS_MAX)
}
