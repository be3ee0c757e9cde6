//! What the plugin inside the server and the agent beside it say to each other.
//!
//! The two ends are different programs with different life times: the plugin lives as long as `mysqld`, the agent is
//! upgraded under it. So everything here is plain data with explicit limits, every message may gain fields, and a
//! message of an unknown kind is skipped rather than fatal.
//!
//! This crate is linked into the server: no async, no thread, no clock, and only dependencies that a GPLv2 program
//! may be linked with.

pub mod frame;
pub mod limits;
pub mod message;
pub mod report;
pub mod text;
pub mod version;
pub mod view;
