//! Every limit of the ordered state, in one place. `apply` enforces them, because what it once accepted is on every
//! agent's disk; whoever proposes may look here first to give a better sentence earlier.

pub use muster_link::limits::{AGENTS_MAX, EVENTS_MAX, MEMBERS_MAX, TEXT_CHARS_MAX};

/// Longest name of a host or site, in characters: the width of MEMBER_NAME and SITE.
pub const NAME_CHARS_MAX: usize = 64;
/// Longest host name or address, in characters: the width of MEMBER_HOST.
pub const HOST_CHARS_MAX: usize = 255;
/// Longest MEMBER_ID, in characters: a UUID as text.
pub const MEMBER_ID_CHARS_MAX: usize = 36;
/// Longest version text, in characters: the width of SERVER_VERSION.
pub const VERSION_CHARS_MAX: usize = 64;
/// Join tokens that may be open or used and not yet expired at one time.
pub const TOKENS_MAX: usize = 100;
/// Longest certificate or key of the authority, in bytes.
pub const PEM_BYTES_MAX: usize = 64 * 1024;
/// Numbers left out after `muster recover --force`: the lost majority may have given some of them to agents that the
/// survivor never heard of, and a number is used once.
pub const RECOVERED_AGENT_ID_GAP: u64 = 1_000;
/// Likewise for event numbers.
pub const RECOVERED_EVENT_ID_GAP: u64 = 1_000_000;
/// Longest GTID set in a heartbeat, in bytes: it travels several times a second to every voter. A longer one is cut and
/// marked with a trailing `…`.
pub const HEARTBEAT_GTID_BYTES_MAX: usize = 16 * 1024;
/// Replication channels and connected replicas carried per member.
pub const CHANNELS_MAX: usize = 256;
/// How long a member of the text protocol may be silent, in milliseconds.
pub const TEXT_TTL_MS: u64 = 30_000;
/// What one heartbeat about one server is planned to take on the wire, in bytes.
pub const HEARTBEAT_BYTES_PLANNED: u64 = 1_024;
/// Bytes per second of heartbeats that a voter shall receive at most; the interval grows with the group for it.
pub const VOTER_BYTES_PER_SECOND: u64 = 256 * 1024;
/// Bytes per second that a voter shall send at most to the learners that it keeps informed.
pub const RELAY_BYTES_PER_SECOND: u64 = 1024 * 1024;
