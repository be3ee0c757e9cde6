//! The agent beside one database server. See docs/ARCHITECTURE.md.

pub mod cli;
pub mod clock;
pub mod config;
pub mod consensus;
pub mod control;
pub mod node;
pub mod peer;
pub mod server;
pub mod service;
pub mod text;
