//! See docs/ARCHITECTURE.md.

pub mod fake_agent;
pub mod plugin;
pub mod raft_sim;
