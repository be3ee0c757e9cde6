//! The messages, and in which order they may come.
//!
//! The plugin connects and says [`ToAgent::Hello`]; the agent answers [`ToPlugin::Welcome`] or [`ToPlugin::Refused`].
//! From then on both push: reports one way, the picture of the cluster the other way. Either end may close at any
//! time; the plugin connects again with back-off. Nothing is ever waited for.

use serde::{Deserialize, Serialize};

use crate::report::{Identity, Report};
use crate::view::{EventRow, Observed, View};

/// From the plugin to the agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ToAgent {
    /// First message of a connection.
    Hello {
        /// Oldest protocol version that the plugin speaks.
        protocol_min: u16,
        /// Newest protocol version that the plugin speaks.
        protocol_max: u16,
        /// Build id of the loaded `muster.so`.
        build: String,
        /// Path from which it was loaded, so that the agent can compare what lies on disk.
        plugin_path: String,
        /// Who the server is.
        identity: Identity,
    },
    /// Identity changed (an address was reconfigured) or became known.
    Identity {
        /// The new one as a whole.
        identity: Identity,
    },
    /// A heartbeat with facts.
    Report {
        /// The report.
        report: Report,
    },
    /// Last message: the link is closed on purpose.
    Bye {
        /// Why, as a sentence.
        reason: String,
        /// The server itself is stopping (false: only the plugin is being uninstalled).
        server_stops: bool,
    },
    /// A kind that this build does not know; skipped.
    #[serde(other)]
    Unknown,
}

/// From the agent to the plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ToPlugin {
    /// The agent accepts the connection.
    Welcome {
        /// Version that both will speak.
        protocol: u16,
        /// Version of the agent's program.
        agent_version: String,
        /// Name of the agent's host.
        agent_name: String,
    },
    /// The agent will not speak with this server; the connection closes after it.
    Refused {
        /// Why, and what to do, as a sentence.
        reason: String,
    },
    /// The ordered facts, as a whole.
    View {
        /// The new view.
        view: View,
    },
    /// The observed facts, as a whole. Sent at least every report interval, so its absence means that the agent hangs.
    Observed {
        /// The new facts.
        observed: Observed,
    },
    /// New events, oldest first, appended to what the plugin has.
    Events {
        /// Forget all earlier ones first (start of a connection).
        reset: bool,
        /// The events.
        events: Vec<EventRow>,
    },
    /// A kind that this build does not know; skipped.
    #[serde(other)]
    Unknown,
}
