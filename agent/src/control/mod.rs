//! The control socket: how the command line reaches the agent of its host.
//!
//! HTTP/1.1 with JSON over a unix socket. There is no password: the kernel says who is at the other end. Root, the
//! agent's own user and members of the operator group may act; everybody else may look, as every account of the
//! server may look at the tables.

pub mod client;
pub mod handler;
pub mod permission;
pub mod reply;
mod routes;
pub mod server;
pub mod types;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

pub use client::{Client, ClientError};
pub use handler::{Answer, Handler, Picture, Refusal};
pub use permission::Operators;
pub use server::{BindError, ControlServer};

/// Longest time that an action takes before it is answered, in milliseconds; the command line waits a little longer.
pub const ACTION_MS_MAX: u64 = 60_000;
