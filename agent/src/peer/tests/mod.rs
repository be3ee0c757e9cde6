//! The peer port over real loopback sockets: everybody here is a real listener or client, also the hostile ones.

mod raw;
mod rig;

mod flood;
mod hostile;
mod joining;
mod lifecycle;
mod outage;
mod proof;
mod talk;
