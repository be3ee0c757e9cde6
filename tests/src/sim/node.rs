//! One agent: real evidence, real ordered state, and the little around them that is modelled.

use muster_core::evidence::{Evidence, Heartbeat, OwnMember};
use muster_core::ids::AgentId;
use muster_core::state::ClusterState;
use muster_link::report::Report;

use super::network::Host;
use super::server::Server;

/// One agent. A host that is wiped gets another one, with another number.
#[derive(Debug)]
pub struct Node {
    /// Its number.
    pub id: AgentId,
    /// Where it runs.
    pub host: Host,
    /// Its process runs.
    pub alive: bool,
    /// Its process stands still until then; what arrives meanwhile waits.
    pub paused_until_ms: u64,
    /// Messages that wait for a process that stands still.
    pub waiting: Vec<Heartbeat>,
    /// What it has heard.
    pub evidence: Evidence,
    /// What it has applied; on disk, so it survives the process.
    pub state: ClusterState,
    /// Entries of the log that it has applied.
    pub applied: usize,
    /// Reports of its server that have arrived since its process started.
    pub report_number: u64,
    /// A plugin has introduced itself since its process started.
    pub introduced: bool,
    /// The newest report of the server's process, with the time of its own clock.
    pub report: Option<(Report, u64)>,
    /// Its server's plugin is connected.
    pub linked: bool,
    /// Since when it leads, as it believes, on its own clock.
    pub leading_since_ms: Option<u64>,
    /// When it last offered the leadership, on its own clock.
    pub transfer_tried_ms: Option<u64>,
    /// Its monotonic clock: what it shows at the beginning of the world, and how much it gains in a million.
    pub clock_offset_ms: u64,
    /// See `clock_offset_ms`.
    pub clock_gain_ppm: i64,
    /// Its wall clock is wrong by so much.
    pub wall_error_us: i64,
    /// Newest view it has shown.
    pub shown: u64,
}

impl Node {
    /// What its monotonic clock shows.
    #[must_use]
    pub fn clock(&self, now_ms: u64) -> u64 {
        let gained = now_ms as i64 * self.clock_gain_ppm / 1_000_000;
        self.clock_offset_ms + now_ms.saturating_add_signed(gained)
    }

    /// What its wall clock shows.
    #[must_use]
    pub fn wall_us(&self, now_ms: u64) -> i64 {
        1_700_000_000_000_000 + now_ms as i64 * 1_000 + self.wall_error_us
    }

    /// It runs and does not stand still.
    #[must_use]
    pub fn awake(&self, now_ms: u64) -> bool {
        self.alive && now_ms >= self.paused_until_ms
    }

    /// What it knows of its server.
    #[must_use]
    pub fn own(&self, now_ms: u64, server: &Server) -> Option<OwnMember> {
        // Before a plugin has introduced itself it does not know which server is there.
        self.introduced.then(|| OwnMember {
            identity: server.identity(self.host),
            process: server.process.clone(),
            linked: self.linked,
            report_number: self.report_number,
            report: self.report.as_ref().map(|(report, _)| report.clone()),
            report_age_ms: self
                .report
                .as_ref()
                .map_or(0, |(_, at_ms)| self.clock(now_ms).saturating_sub(*at_ms)),
            note: None,
        })
    }
}
