//! Which version of the protocol two builds speak with each other.
//!
//! The plugin stays loaded while the agent beside it is upgraded, and the other way round, so the two are often one
//! version apart. Each build speaks a range, [`PROTOCOL_MIN`] to [`PROTOCOL_MAX`]; a new version keeps the one before
//! it. The agent takes the newest that both know and says it in its Welcome; the plugin checks that it is one of its
//! own.

use crate::limits::{PROTOCOL_MAX, PROTOCOL_MIN};

/// The protocol versions that a build speaks, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Oldest.
    pub min: u16,
    /// Newest.
    pub max: u16,
}

/// What this build speaks.
pub const OURS: Range = Range {
    min: PROTOCOL_MIN,
    max: PROTOCOL_MAX,
};

/// The two ends have no version in common; the text is a sentence for the log and for the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// The peer's range is upside down: it is broken or hostile.
    #[error("the peer claims to speak protocol versions {} to {}, which is no range; it is broken", .theirs.min, .theirs.max)]
    NoRange {
        /// What the peer said.
        theirs: Range,
    },
    /// The peer is too old for us.
    #[error("the peer speaks protocol versions {} to {}, this build speaks {} to {}: upgrade the peer", .theirs.min, .theirs.max, .ours.min, .ours.max)]
    TooOld {
        /// What the peer speaks.
        theirs: Range,
        /// What we speak.
        ours: Range,
    },
    /// We are too old for the peer.
    #[error("the peer speaks protocol versions {} to {}, this build speaks {} to {}: upgrade this side", .theirs.min, .theirs.max, .ours.min, .ours.max)]
    TooNew {
        /// What the peer speaks.
        theirs: Range,
        /// What we speak.
        ours: Range,
    },
}

/// The newest version that both ranges hold.
pub fn negotiate(ours: Range, theirs: Range) -> Result<u16, VersionError> {
    if theirs.min > theirs.max {
        return Err(VersionError::NoRange { theirs });
    }
    if theirs.max < ours.min {
        return Err(VersionError::TooOld { theirs, ours });
    }
    if theirs.min > ours.max {
        return Err(VersionError::TooNew { theirs, ours });
    }
    Ok(ours.max.min(theirs.max))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn range(min: u16, max: u16) -> Range {
        Range { min, max }
    }

    #[test]
    fn one_version_apart_works_both_ways() {
        assert_eq!(negotiate(range(1, 2), range(2, 3)), Ok(2));
        assert_eq!(negotiate(range(2, 3), range(1, 2)), Ok(2));
        assert_eq!(negotiate(range(1, 1), range(1, 2)), Ok(1));
        assert_eq!(negotiate(OURS, OURS), Ok(PROTOCOL_MAX));
    }

    #[test]
    fn no_overlap_is_refused_with_what_to_upgrade() {
        let old = negotiate(range(3, 4), range(1, 2)).unwrap_err();
        assert!(
            old.to_string().contains("1 to 2") && old.to_string().ends_with("upgrade the peer"),
            "{old}"
        );
        let new = negotiate(range(1, 2), range(3, 4)).unwrap_err();
        assert!(new.to_string().ends_with("upgrade this side"), "{new}");
        assert!(negotiate(OURS, range(5, 2)).is_err());
        assert!(negotiate(OURS, range(0, 0)).is_err());
        assert!(negotiate(OURS, range(u16::MAX, u16::MAX)).is_err());
    }
}
