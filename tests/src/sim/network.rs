//! A network that loses, delays, doubles and reorders, and can be cut in each direction by itself.

use std::collections::BTreeSet;

use super::random::Random;

/// A host of the simulation; it outlives the agents that run on it.
pub type Host = usize;

/// How the network is at the moment.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// Directions in which nothing arrives.
    pub cut: BTreeSet<(Host, Host)>,
    /// Messages lost, in a thousand.
    pub loss_permille: u64,
    /// Messages that arrive twice, in a thousand.
    pub doubled_permille: u64,
    /// Most that a message is delayed beyond a millisecond; different delays are what reorders.
    pub jitter_ms: u64,
}

impl Network {
    /// When copies of a message sent now arrive; none at all where it is lost.
    pub fn send(&self, random: &mut Random, from: Host, to: Host) -> Vec<u64> {
        if self.cut.contains(&(from, to)) {
            return Vec::new();
        }
        let copies = if random.chance(self.doubled_permille) {
            2
        } else {
            1
        };
        (0..copies)
            .filter_map(|_| {
                let delay_ms = 1 + random.between(0, self.jitter_ms);
                (!random.chance(self.loss_permille)).then_some(delay_ms)
            })
            .collect()
    }

    /// Whether both directions work.
    #[must_use]
    pub fn linked(&self, a: Host, b: Host) -> bool {
        a == b || !(self.cut.contains(&(a, b)) || self.cut.contains(&(b, a)))
    }

    /// Cuts a host off from all the others.
    pub fn isolate(&mut self, host: Host, hosts: usize) {
        for other in (0..hosts).filter(|other| *other != host) {
            self.cut.insert((host, other));
            self.cut.insert((other, host));
        }
    }

    /// Cuts one group of hosts off from the others.
    pub fn split(&mut self, one_side: &[Host], hosts: usize) {
        for a in 0..hosts {
            for b in 0..hosts {
                if one_side.contains(&a) != one_side.contains(&b) {
                    self.cut.insert((a, b));
                }
            }
        }
    }

    /// Everything works again, but for the small delays of any network.
    pub fn heal(&mut self) {
        *self = Self {
            jitter_ms: 4,
            ..Self::default()
        };
    }
}
