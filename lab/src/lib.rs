//! Real MySQL and MariaDB servers, agents, and whole hosts, on one machine.
//!
//! The demo, the tests and the benchmarks all stand on this crate. It never installs anything into the system and never
//! starts a system service: packages are unpacked into a private [`Cache`], servers run from there as ordinary child
//! processes, and everything ends with the process that started it, however that process ends.
//!
//! The shortest useful program:
//!
//! ```no_run
//! # async fn run() -> muster_lab::Result<()> {
//! use muster_lab::{Install, Kind, Server, ServerOptions};
//!
//! let install = Install::get(Kind::MySql).await?;
//! let server = Server::start(&install, ServerOptions::new("db1")).await?;
//! let rows = server.rows("SELECT VERSION()").await?;
//! server.shutdown().await?;
//! # Ok(()) }
//! ```
//!
//! What a machine lacks (no apt, no network, not root) is an [`Error::Missing`]; a test passes it to
//! [`not_run::skip`] (or [`or_not_run!`]), and `cargo xtask test` lists it loudly at the end.

pub mod agent;
pub mod artifacts;
pub mod cache;
pub mod cleanup;
pub mod cluster;
pub mod effort;
pub mod error;
pub mod forward;
pub mod install;
pub mod kept;
pub mod netns;
pub mod not_run;
pub mod packages;
pub mod port;
pub mod process;
pub mod progress;
pub mod replication;
pub mod run_dir;
pub mod server;
pub mod sql;
pub mod tools;
pub mod watch;

mod apt;
mod relocate;
mod template;

pub use agent::{Agent, AgentOptions};
pub use cache::Cache;
pub use cluster::{Cluster, ClusterOptions};
pub use error::{Error, Result};
pub use install::{Install, Kind};
pub use packages::{PackageSet, SetSpec, Suite};
pub use process::Process;
pub use run_dir::RunDir;
pub use server::{Server, ServerOptions};
