//! Groups of agents' consensus without agents: the real adapter over a network that lives in memory.
//!
//! * [`net`] carries the requests, and loses, delays, doubles and cuts them as told.
//! * [`group`] runs it on real folders in real time.
//! * [`sim`] lives random lives of it in simulated time, on a [`disk`] that forgets in a crash.
//! * [`entries`] makes commands to propose.

pub mod disk;
pub mod entries;
pub mod group;
pub mod net;
pub mod sim;
mod witness;
