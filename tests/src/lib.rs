//! See docs/ARCHITECTURE.md.

pub mod raft_sim;
