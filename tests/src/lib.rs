//! See docs/ARCHITECTURE.md.

pub mod bench;
pub mod fake_agent;
pub mod fuzz;
pub mod in_process;
pub mod plugin;
pub mod raft_sim;
pub mod shown;
pub mod sim;
