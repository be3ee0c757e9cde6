//! A database server as its plugin and its agent would see it.

use muster_core::evidence::ProcessState;
use muster_link::report::{Channel, Facts, Flavor, Identity, Phase, Report};

use super::network::Host;

/// A database server.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its number; its UUID is made of it, so it survives everything that happens to the host's agent.
    pub number: u64,
    /// Family: it decides how replicas name their source.
    pub mariadb: bool,
    /// The process, or how it ended.
    pub process: ProcessState,
    /// How far it is.
    pub phase: Phase,
    /// Stopped by SIGSTOP: it does nothing, and holds on to its connections.
    pub frozen: bool,
    /// `read_only`.
    pub read_only: bool,
    /// The host that it replicates from.
    pub source: Option<Host>,
    /// The applier runs.
    pub applier_running: bool,
    /// Pids given so far.
    pub pids: u32,
}

impl Server {
    /// A running one.
    #[must_use]
    pub fn new(number: u64, mariadb: bool, source: Option<Host>) -> Self {
        let mut server = Self {
            number,
            mariadb,
            process: ProcessState::NeverSeen,
            phase: Phase::Starting,
            frozen: false,
            read_only: source.is_some(),
            source,
            applier_running: true,
            pids: number as u32 * 1_000,
        };
        server.start();
        server.phase = Phase::Serving;
        server
    }

    /// Its identity as text.
    #[must_use]
    pub fn uuid(&self) -> String {
        format!("00000000-0000-4000-8000-{:012}", self.number)
    }

    /// A new process, that does not serve yet.
    pub fn start(&mut self) {
        self.pids += 1;
        self.process = ProcessState::Running { pid: self.pids };
        self.phase = Phase::Starting;
        self.frozen = false;
        self.applier_running = true;
    }

    /// The process ends.
    pub fn end(&mut self, announced: bool) {
        self.process = ProcessState::Gone {
            pid: self.pids,
            announced,
            how: None,
        };
        self.frozen = false;
    }

    /// A process exists.
    #[must_use]
    pub fn runs(&self) -> bool {
        matches!(self.process, ProcessState::Running { .. })
    }

    /// It answers clients.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.runs() && !self.frozen && self.phase == Phase::Serving
    }

    /// What its plugin says in its first message.
    #[must_use]
    pub fn identity(&self, host: Host) -> Identity {
        Identity {
            member_id: self.uuid(),
            flavor: if self.mariadb {
                Flavor::Mariadb
            } else {
                Flavor::Mysql
            },
            server_version: "9.7.0".to_owned(),
            pid: self.pids,
            host: host_name(host),
            port: 3306,
            datadir: String::new(),
            socket: String::new(),
        }
    }

    /// What its plugin reports; `source` is the server that it replicates from, and whether that can be reached.
    #[must_use]
    pub fn report(
        &self,
        sequence: u64,
        wall_clock_us: i64,
        source: Option<(&Self, bool)>,
    ) -> Report {
        let facts = (self.phase == Phase::Serving).then(|| Facts {
            read_only: self.read_only,
            super_read_only: self.read_only && !self.mariadb,
            channels: self
                .source
                .zip(source)
                .map(|(host, (source, reachable))| self.channel(host, source, reachable))
                .into_iter()
                .collect(),
            server_id: self.number as u32,
            gtid_executed: format!("{}:1-{sequence}", self.uuid()),
            ..Facts::default()
        });
        Report {
            sequence,
            phase: self.phase,
            facts,
            stalled_ms: 0,
            trouble: None,
            wall_clock_us,
        }
    }

    fn channel(&self, host: Host, source: &Self, reachable: bool) -> Channel {
        Channel {
            name: String::new(),
            source_host: host_name(host),
            source_port: 3306,
            source_uuid: (!self.mariadb).then(|| source.uuid()),
            source_server_id: self.mariadb.then_some(source.number as u32),
            receiver_running: reachable,
            receiver_connecting: !reachable,
            applier_running: self.applier_running,
            lag_ms: Some(0),
            error: (!self.applier_running).then(|| "could not apply".to_owned()),
        }
    }
}

fn host_name(host: Host) -> String {
    format!("10.0.0.{host}")
}
