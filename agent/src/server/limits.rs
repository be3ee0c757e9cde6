//! Limits of the agent's end of the link that are not the protocol's own (those are in `muster_link::limits`).

use std::time::Duration;

/// A connection that has not introduced itself for this long is closed.
pub const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// A Welcome or Refused that the plugin does not take for this long ends the connection.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// A refused peer may go on writing for this long before the connection is cut.
pub const LINGER: Duration = Duration::from_secs(1);
/// Connections that have not introduced themselves yet, at one time.
pub const STRANGERS_MAX: usize = 16;
/// Bytes read from the socket at one time.
pub const READ_BYTES: usize = 64 * 1024;
/// Longest `MEMBER_ID` in characters: a UUID as text.
pub const MEMBER_ID_CHARS_MAX: usize = 36;
/// Longest host name in characters, as MEMBER_HOST can show it.
pub const HOST_CHARS_MAX: usize = 255;
/// Longest SERVER_VERSION in characters, as the column can show it.
pub const VERSION_CHARS_MAX: usize = 64;
/// Longest path taken from the plugin, in characters.
pub const PATH_CHARS_MAX: usize = 4_096;
/// Longest build id in characters.
pub const BUILD_CHARS_MAX: usize = 128;
/// Replication channels of one report; servers allow 256.
pub const CHANNELS_MAX: usize = 256;
/// Connected replicas of one report.
pub const REPLICAS_MAX: usize = 1_000;
/// Longest path of a unix socket in bytes, without the ending zero.
pub const SOCKET_PATH_BYTES_MAX: usize = 107;
/// A `muster.so` longer than this is not searched for its build id.
pub const PLUGIN_FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Between two looks at the plugin's file.
pub const BUILD_CHECK_EVERY: Duration = Duration::from_secs(10);
/// Between two looks at a process that the kernel gives no pidfd for.
pub const PROCESS_POLL_EVERY: Duration = Duration::from_millis(50);
