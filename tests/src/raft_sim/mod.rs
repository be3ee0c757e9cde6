//! Groups of agents' consensus without agents: the real adapter over a network that lives in memory.
//!
//! * [`net`] carries the requests, and loses, delays, doubles and cuts them as told.
//! * [`group`] runs it on real folders in real time.
//! * [`entries`] makes commands to propose.

pub mod entries;
pub mod group;
pub mod net;
