//! What goes wrong, and when: planned from the seed, each with its end.

use super::network::Host;
use super::world::{Event, World};

/// Something that happens to the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL, or a crash.
    KillServer(Host),
    /// An orderly stop.
    StopServer(Host),
    /// A server's process ends after it announced its stop.
    EndServer(Host),
    /// It is started, if it does not run.
    StartServer(Host),
    /// SIGSTOP.
    Freeze(Host),
    /// SIGCONT.
    Thaw(Host),
    /// The applier stops with an error.
    BreakApplier(Host),
    /// It is started again.
    MendApplier(Host),
    /// The agent's process ends.
    KillAgent(Host),
    /// It is started again.
    StartAgent(Host),
    /// All agents at once.
    KillAllAgents,
    /// Likewise.
    StartAllAgents,
    /// The agent's process stands still for so long.
    PauseAgent(Host, u64),
    /// A host is cut off in both directions.
    Isolate(Host),
    /// One direction between two hosts.
    CutOneWay(Host, Host),
    /// Nothing that a host sends arrives.
    Mute(Host),
    /// One link.
    CutLink(Host, Host),
    /// A group of hosts is cut off from the others.
    Split(Vec<Host>),
    /// All cuts end.
    Reconnect,
    /// Messages lost in a thousand, doubled in a thousand, and delayed at most, in milliseconds.
    Weather(u64, u64, u64),
    /// A wall clock jumps, in microseconds.
    StepClock(Host, i64),
    /// The disks become so slow, in milliseconds.
    SlowDisks(u64),
    /// By hand: another primary.
    SwitchPrimary(Host),
    /// By mistake: a second writable server that another one follows.
    SecondPrimary(Host, Host),
    /// A new host.
    Join,
    /// An agent is removed.
    Remove(Host),
    /// A host loses its agent's disk, and joins again; `true` = the old agent is removed first.
    Wipe(Host, bool),
    /// Everything that is wrong ends.
    End,
}

/// Faults begin here, in virtual milliseconds.
pub const BEGIN_MS: u64 = 12_000;
/// And end here.
pub const END_MS: u64 = 60_000;

/// Plans the faults of a run.
pub fn plan(world: &mut World) {
    let count = world.random.between(3, 16);
    for _ in 0..count {
        let at_ms = world.random.between(BEGIN_MS, END_MS - 8_000);
        let until_ms = (at_ms + world.random.between(50, 14_000)).min(END_MS - 1);
        one(world, at_ms, until_ms);
    }
    world.schedule(END_MS, Event::Fault(Fault::End));
}

fn one(world: &mut World, at_ms: u64, until_ms: u64) {
    let hosts = world.hosts() as u64;
    let random = &mut world.random;
    let host = random.between(0, hosts - 1) as Host;
    let other = random.between(0, hosts - 1) as Host;
    let (fault, end) = match random.between(0, 21) {
        0 | 1 => (Fault::KillServer(host), Some(Fault::StartServer(host))),
        2 => (Fault::StopServer(host), Some(Fault::StartServer(host))),
        3 | 4 => (Fault::Freeze(host), Some(Fault::Thaw(host))),
        5 => (Fault::BreakApplier(host), Some(Fault::MendApplier(host))),
        6 | 7 => (Fault::KillAgent(host), Some(Fault::StartAgent(host))),
        8 => (Fault::KillAllAgents, Some(Fault::StartAllAgents)),
        9 => (Fault::PauseAgent(host, until_ms - at_ms), None),
        10 => (Fault::Isolate(host), Some(Fault::Reconnect)),
        11 => (Fault::CutOneWay(host, other), Some(Fault::Reconnect)),
        12 => (Fault::Mute(host), Some(Fault::Reconnect)),
        13 => (Fault::CutLink(host, other), Some(Fault::Reconnect)),
        14 => {
            let side = (0..hosts as Host).filter(|_| random.chance(500)).collect();
            (Fault::Split(side), Some(Fault::Reconnect))
        }
        15 => (
            Fault::Weather(
                random.between(0, 300),
                random.between(0, 200),
                random.between(1, 500),
            ),
            Some(Fault::Weather(0, 0, 4)),
        ),
        16 => {
            let hours = random.between(0, 2) as i64 - 1;
            (Fault::StepClock(host, hours * 3_600_000_000), None)
        }
        17 => (
            Fault::SlowDisks(random.between(50, 2_000)),
            Some(Fault::SlowDisks(0)),
        ),
        18 => (Fault::SwitchPrimary(host), None),
        19 => (
            Fault::SecondPrimary(host, other),
            Some(Fault::SwitchPrimary(other)),
        ),
        20 => (Fault::Join, None),
        _ => {
            if random.chance(400) {
                (Fault::Remove(host), None)
            } else {
                (Fault::Wipe(host, random.chance(500)), None)
            }
        }
    };
    world.schedule(at_ms, Event::Fault(fault));
    if let Some(end) = end {
        world.schedule(until_ms, Event::Fault(end));
    }
}
