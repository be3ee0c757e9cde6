//! The peer port over real loopback sockets: everybody here is a real listener or client, also the hostile ones.

mod rig;

mod joining;
mod talk;
