//! Every limit of the link, in one place; both ends assert them.

/// Oldest protocol version that this build still speaks.
pub const PROTOCOL_MIN: u16 = 1;
/// Newest protocol version that this build speaks.
pub const PROTOCOL_MAX: u16 = 1;
/// Longest frame body in bytes: a view of 1,000 members with long GTID sets fits; anything longer is an error of the peer.
pub const FRAME_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Longest frame that the agent accepts before the plugin has introduced itself, in bytes.
pub const HELLO_BYTES_MAX: usize = 64 * 1024;
/// Longest GTID set carried, in bytes; a longer one is cut and marked with a trailing `…`.
pub const GTID_BYTES_MAX: usize = 256 * 1024;
/// Longest free text (errors, reasons, names) carried, in characters.
pub const TEXT_CHARS_MAX: usize = 512;
/// Newest events kept for `CLUSTER_EVENTS`.
pub const EVENTS_MAX: usize = 1_000;
/// Members that one view may hold.
pub const MEMBERS_MAX: usize = 1_000;
/// Shortest and longest report interval in milliseconds.
pub const REPORT_INTERVAL_MS_MIN: u32 = 50;
/// See [`REPORT_INTERVAL_MS_MIN`].
pub const REPORT_INTERVAL_MS_MAX: u32 = 60_000;
/// An agent that has sent nothing for this long, in milliseconds, counts as gone: the plugin closes the connection and
/// tries again. The agent sends its observed facts at least four times as often.
pub const AGENT_SILENCE_MS_MAX: u64 = 3_000;
/// Agents that one view may hold.
pub const AGENTS_MAX: usize = 2_000;
