//! The daemon plugin's life, as the server starts and ends it.

use crate::counters;
use crate::server::ServerApi;
use crate::settings::Settings;
use crate::snapshot::{self, AgentState, Snapshot};

/// Called once by INSTALL PLUGIN, or at boot. An error is a sentence; the plugin is then not installed.
///
/// # Errors
/// When the daemon cannot run in this server.
pub fn start(_settings: Settings, _server: &'static dyn ServerApi) -> Result<(), String> {
    counters::reset();
    snapshot::publish(Snapshot::empty(AgentState::NeverConnected));
    Ok(())
}

/// Called once by UNINSTALL PLUGIN, or at the end of the server. Returns when no thread of the daemon is left.
pub fn stop() {
    snapshot::publish(Snapshot::empty(AgentState::NotInstalled));
}
