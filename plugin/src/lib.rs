//! `muster.so`: what Muster is inside a database server.
//!
//! One file that MySQL and MariaDB load. It brings a daemon plugin, `muster`, that keeps a link to the agent on the
//! same host, and tables in `INFORMATION_SCHEMA` that show the picture of the cluster which came over that link.
//! A table read copies from a [`snapshot`] that is already there: it never waits for the agent, for a lock that a
//! writer could hold long, or for I/O.
//!
//! All `unsafe` of the repository lives in [`ffi`]; everything above it is ordinary Rust. See `docs/SAFETY.md`.

pub mod counters;
pub mod daemon;
pub mod ffi;
pub mod server;
pub mod settings;
pub mod snapshot;
pub mod statement;
pub mod tables;

/// Version and build of this file, as `Muster_build` shows it and the agent compares it with the file on disk.
pub const BUILD: &str = env!("MUSTER_BUILD");
