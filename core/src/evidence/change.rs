//! Which changes of a server the others hear of at once.

use muster_link::report::{Channel, Facts};

use super::OwnMember;

/// Whether two words about a server differ in more than numbers that move all the time.
pub(super) fn differs(before: &OwnMember, after: &OwnMember) -> bool {
    if before.identity != after.identity
        || before.linked != after.linked
        || before.process != after.process
        || before.note != after.note
    {
        return true;
    }
    match (&before.report, &after.report) {
        (Some(before), Some(after)) => {
            if before.phase != after.phase {
                return true;
            }
            match (&before.facts, &after.facts) {
                (Some(before), Some(after)) => {
                    let channels = |f: &Facts| {
                        f.channels
                            .iter()
                            .map(|c| Channel {
                                lag_ms: None,
                                ..c.clone()
                            })
                            .collect::<Vec<_>>()
                    };
                    before.read_only != after.read_only
                        || before.super_read_only != after.super_read_only
                        || before.replicas != after.replicas
                        || channels(before) != channels(after)
                }
                (None, None) => false,
                _ => true,
            }
        }
        (None, None) => false,
        _ => true,
    }
}
