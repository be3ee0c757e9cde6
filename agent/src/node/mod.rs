//! The wiring: the one place that knows all adapters, and the loop that makes an agent of them.
//!
//! A [`Node`] runs for the life of the process: the link to the plugin and the control socket are there from the first
//! moment to the last. Whether it belongs to a cluster is its [`phase`]: a [`member`] of one has the consensus, the peer
//! port and the tasks that observe ([`beats`], [`peer_side`]), decide and act ([`judge`]) and show ([`publish`]).
//! [`entry`] changes the phase: init, join, leave, recover.

mod beats;
mod control_side;
mod entry;
mod judge;
mod member;
mod peer_side;
mod phase;
mod propose;
mod publish;
mod routes;
mod run;
mod text_side;

pub use run::{RunError, run, run_until};
