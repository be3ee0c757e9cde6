//! The whole of Muster that is pure, in a simulated world.
//!
//! Real `Evidence`, real `decide`, real `apply`, one of each per agent, over a network and servers that exist only
//! here. The total order is a model too (the real one has a simulation of its own): a log of committed commands, a
//! leader that needs a majority, elections, proposals that are lost or committed after their leader is gone.
//!
//! Time is virtual and every choice comes from one seed, so a run is repeated exactly by its seed: events, decisions,
//! log. [`World::trace`] is the proof of it, and what to read when a run failed.
//!
//! * [`world`] is the queue of events and what they do; [`node`] an agent; [`server`] a database server.
//! * [`network`] loses, delays, doubles and reorders; [`group`] is the model of the total order.
//! * [`faults`] plans what goes wrong; [`checks`] looks after every step whether a promise was broken.

pub mod checks;
pub mod faults;
pub mod group;
pub mod network;
pub mod node;
pub mod random;
pub mod server;
pub mod world;

pub use world::World;

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Entries in the log at the end.
    pub entries: usize,
    /// The newest view.
    pub view_id: u64,
    /// Events of the simulation.
    pub steps: u64,
    /// Times that some member was declared unreachable.
    pub unreachable: usize,
    /// Virtual milliseconds from the end of the faults to the first moment at which all was well.
    pub settled_after_ms: u64,
    /// One number for everything that happened: equal runs have equal digests.
    pub digest: u64,
}

/// One run with random faults, from founding to the proof that everything is well again. Panics with the seed and the
/// end of the trace where a promise is broken.
#[must_use]
pub fn run(seed: u64) -> Outcome {
    let mut world = World::random(seed);
    faults::plan(&mut world);
    world.run_until_settled()
}
