//! What a plugin says of the server that it lives in.

use serde::{Deserialize, Serialize};

/// Which family of server this is; it decides dialect, not trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flavor {
    /// MySQL and its close relatives.
    Mysql,
    /// MariaDB.
    Mariadb,
}

/// Who the server is. Fixed for the life of the process but for what is only known once it serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// `server_uuid`, or the UUID kept in MariaDB's data directory; survives restarts and rebuilds. Empty while it is
    /// not known yet (the server is starting) or cannot be known (the report's `trouble` says why); an
    /// [`Identity`](crate::message::ToAgent::Identity) message follows when it is.
    pub member_id: String,
    /// Family.
    pub flavor: Flavor,
    /// Version text as the server gives it.
    pub server_version: String,
    /// Process id of the server, as it sees itself.
    pub pid: u32,
    /// Where clients reach this server: `muster_advertise_host`, else `report_host`, else the host name.
    pub host: String,
    /// Where clients reach this server: `muster_advertise_port`, else `report_port`, else `port`.
    pub port: u16,
    /// `datadir`.
    pub datadir: String,
    /// Unix socket of the server, for `muster install` and local clients.
    pub socket: String,
}

/// How far the server is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The process runs and does not serve yet.
    Starting,
    /// It serves.
    Serving,
    /// It has begun to stop.
    Stopping,
}

/// One replication channel of a replica.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// Channel (MariaDB: connection) name; empty for the default one.
    pub name: String,
    /// Where it replicates from.
    pub source_host: String,
    /// Where it replicates from.
    pub source_port: u16,
    /// UUID of the source where the server knows it (MySQL).
    pub source_uuid: Option<String>,
    /// `server_id` of the source where the server knows it.
    pub source_server_id: Option<u32>,
    /// The receiver (I/O) thread is connected and runs.
    pub receiver_running: bool,
    /// The receiver is meant to run and tries to connect.
    pub receiver_connecting: bool,
    /// The applier (SQL) thread runs.
    pub applier_running: bool,
    /// Milliseconds behind, as the server counts it; none = unknown.
    pub lag_ms: Option<u64>,
    /// The server's own message when one of the threads stopped with an error.
    pub error: Option<String>,
}

/// Everything that changes while a server runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// `read_only`, as it takes effect.
    pub read_only: bool,
    /// `super_read_only` (MariaDB: false).
    pub super_read_only: bool,
    /// Every replication channel; empty on a server that replicates from nobody.
    pub channels: Vec<Channel>,
    /// Replicas that are connected to this server now, by `server_uuid` or, where unknown, `server_id` as text.
    pub replicas: Vec<String>,
    /// `server_id`.
    pub server_id: u32,
    /// MySQL `gtid_executed`; MariaDB `gtid_current_pos`.
    pub gtid_executed: String,
    /// `Threads_connected`.
    pub threads_connected: Option<u32>,
    /// `Threads_running`.
    pub threads_running: Option<u32>,
    /// Over the last interval.
    pub queries_per_second: Option<f64>,
    /// Seconds.
    pub uptime_s: u64,
}

/// One report. Sent at once on change, else at the report interval: its arrival is the heartbeat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Grows by one with each report of this connection.
    pub sequence: u64,
    /// How far the server is.
    pub phase: Phase,
    /// None until the server serves, and while the reading of facts hangs (then see `stalled_ms`): the newest known
    /// facts are repeated where there are any.
    pub facts: Option<Facts>,
    /// The thread that reads the facts has been inside one statement for this long; 0 = it has not.
    #[serde(default)]
    pub stalled_ms: u64,
    /// Why the facts are missing or old, or the identity unknown, as a sentence; none when nothing is wrong.
    #[serde(default)]
    pub trouble: Option<String>,
    /// The server's wall clock, microseconds since 1970 UTC; for people only.
    pub wall_clock_us: i64,
}
