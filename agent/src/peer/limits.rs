//! Every limit of the peer port, in one place; listener and client both hold to them.

use std::time::Duration;

/// Largest body of a consensus request or its answer, in bytes: a snapshot is the whole ordered state.
pub const RAFT_BYTES_MAX: usize = crate::consensus::RaftRpc::SIZE_MAX;
/// Largest body of any other request of a known peer, in bytes.
pub const BODY_BYTES_MAX: usize = 8 << 20;
/// Largest body of a join request, in bytes: all that a stranger may make us read.
pub const JOIN_BYTES_MAX: usize = 64 << 10;
/// Bytes of request bodies held at once, over all connections.
pub const BODY_BYTES_IN_FLIGHT_MAX: usize = 256 << 20;
/// The same, for the requests of one peer: no single one can use up what all share.
pub const BODY_BYTES_PER_PEER_MAX: usize = 128 << 20;
/// Longest certificate signing request, in bytes of PEM.
pub const CSR_BYTES_MAX: usize = 8 << 10;
/// Longest certificate or key that is read from disk or from a peer, in bytes of PEM.
pub const PEM_BYTES_MAX: usize = 64 << 10;
/// Longest token text that is looked at, in bytes.
pub const TOKEN_BYTES_MAX: usize = 512;
/// Longest list of header fields of one request, in bytes.
pub const HEADER_BYTES_MAX: u32 = 16 << 10;

/// Connections in the middle of their TLS handshake. One too many ends the oldest; so with each of the next.
pub const HANDSHAKES_MAX: usize = 512;
/// Those from one address.
pub const HANDSHAKES_PER_ADDRESS_MAX: usize = 256;
/// Connections without a certificate (hosts that want to join).
pub const STRANGERS_MAX: usize = 64;
/// Those from one address.
pub const STRANGERS_PER_ADDRESS_MAX: usize = 16;
/// Connections of known peers.
pub const CONNECTIONS_MAX: usize = 4_096;
/// Connections of one known peer: one is normal, a few more while a dead one is not yet noticed.
pub const CONNECTIONS_PER_PEER_MAX: usize = 6;
/// Requests of one peer that are worked on at once.
pub const REQUESTS_PER_PEER_MAX: usize = 128;
/// Requests of one stranger that are worked on at once.
pub const REQUESTS_PER_STRANGER_MAX: u32 = 2;

/// Time for the TLS handshake.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(5);
/// Time for a request's body to arrive.
pub const BODY_TIME_MAX: Duration = Duration::from_secs(20);
/// Time for a stranger to join and be gone.
pub const STRANGER_TIME_MAX: Duration = Duration::from_secs(60);
/// Time for a handler to answer; then the caller is told to come again.
pub const HANDLER_TIME_MAX: Duration = Duration::from_secs(60);

/// A certificate's life.
pub const CERTIFICATE_LIFE: Duration = Duration::from_secs(90 * 86_400);
/// How far a certificate's beginning lies before its signing.
pub const CERTIFICATE_BACK_DATED: Duration = Duration::from_secs(48 * 3_600);

const _: () = assert!(JOIN_BYTES_MAX < BODY_BYTES_MAX && BODY_BYTES_MAX < RAFT_BYTES_MAX);
const _: () = assert!(RAFT_BYTES_MAX <= BODY_BYTES_PER_PEER_MAX);
const _: () = assert!(BODY_BYTES_PER_PEER_MAX < BODY_BYTES_IN_FLIGHT_MAX);
const _: () = assert!(CSR_BYTES_MAX < JOIN_BYTES_MAX);
