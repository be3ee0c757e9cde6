//! Agents inside the test's own process: real sockets, real disks, real certificates, no server.
//!
//! Each agent is what `muster agent` runs, with a folder of its own. Killing one is dropping its runtime: nothing of it
//! gets a chance to say goodbye. [`plugin`] stands in for `muster.so`.

pub mod agent;
pub mod plugin;
