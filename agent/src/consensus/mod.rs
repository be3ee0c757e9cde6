//! The order of the ordered state: one replicated log, behind one small handle.
//!
//! Everything the cluster agrees on goes through [`Consensus`]: a command is proposed on the leader, written to the
//! disks of a majority, and applied by `muster_core::apply` in the same order on every agent. The Raft engine, its
//! types and the database under it never leave this folder, so that the rest of the agent sees a state that changes
//! and nothing of how it was agreed on.
//!
//! The network is not here either: whoever owns the connections between agents hands in a [`RaftTransport`] and passes
//! what arrives to [`Consensus::serve`]. That is also how the simulation runs this very code without a network.

#[cfg(test)]
mod conformance;
mod error;
mod folder;
mod handle;
mod log_store;
mod machine;
mod message;
mod network;
mod observer;
mod recover;
mod seal;
mod signals;
mod standing;
mod timing;
mod transport;
mod types;

pub use error::{OpenError, ProposeError, ServeError};
pub use folder::{DATABASE_CACHE_BYTES, DiskFolder, Folder};
pub use handle::{Compaction, Consensus, Proposed};
pub use standing::Standing;
pub use timing::Timing;
pub use transport::{BoxFuture, RaftReply, RaftRpc, RaftTransport, TransportError};
