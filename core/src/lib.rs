//! The part of Muster that decides, without ever touching the world.
//!
//! Nothing here does I/O, reads a clock, draws a random number or waits: time comes in as a number, the world comes in
//! as [`evidence`], what should happen goes out as commands with a sentence each. That is why the same code runs in the
//! agent, in the simulation and in the explanation of why nothing happened.
//!
//! * [`state`] is the ordered state; [`command`] is the only way to change it; [`apply`] is the only place that does.
//! * [`evidence`] turns heartbeats into "who lacks contact with whom".
//! * [`decide`] looks at both and says what to propose, and why.
//! * [`show`] turns state and evidence into the rows that people see.

pub mod apply;
pub mod command;
pub mod decide;
pub mod evidence;
pub mod ids;
pub mod limits;
pub mod settings;
pub mod show;
pub mod state;
