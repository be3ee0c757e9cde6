//! The plugin's settings, as safe code sees them.

use std::path::PathBuf;

/// Default of `muster_agent_socket`.
pub const AGENT_SOCKET_DEFAULT: &std::ffi::CStr = c"/run/muster/agent.sock";
/// Default of `muster_report_interval_ms`.
pub const REPORT_INTERVAL_MS_DEFAULT: u32 = 500;

/// A copy of the system variables `muster_*`, with defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `muster_agent_socket`: unix socket of the local agent. Fixed while the daemon plugin is installed.
    pub agent_socket: PathBuf,
    /// `muster_advertise_host`, else `report_host`, else the host name. Fixed while the daemon plugin is installed.
    pub advertise_host: String,
    /// `muster_advertise_port`, else `report_port`, else `port`. Fixed while the daemon plugin is installed.
    pub advertise_port: u16,
    /// `muster_report_interval_ms`: longest silence between two reports. May change at any time.
    pub report_interval_ms: u32,
}
