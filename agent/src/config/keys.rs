//! Every key there is, as data: its table, its name, and how a value gets into the configuration.
//!
//! The file's keys, the variables and the options of `muster agent` are all made from this one table.

use super::value::{self, Given, Takes};
use super::{ConfigError, Draft, Place};

/// One key.
pub struct Key {
    /// Table of the file that it stands in; empty for the top level.
    pub table: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// Variable that overrides it. The option of `muster agent` has the same words.
    pub variable: &'static str,
    /// What it is, for help and documentation.
    pub about: &'static str,
    /// What it is when nobody says.
    pub default: &'static str,
    set: fn(&mut Draft, &Given) -> Result<(), Takes>,
}

macro_rules! key {
    ($table:literal $name:literal $variable:literal, $field:ident = $read:ident, $about:literal, $default:literal) => {
        Key {
            table: $table,
            name: $name,
            variable: $variable,
            about: $about,
            default: $default,
            set: |draft, given| {
                draft.$field = value::$read(given)?.into();
                Ok(())
            },
        }
    };
}

/// All keys, in the order of the documentation.
#[rustfmt::skip]
pub static KEYS: [Key; 13] = [
    key!("" "name" "MUSTER_NAME", name = given_name,
        "Name of this host in the cluster", "the host name"),
    key!("" "site" "MUSTER_SITE", site = site,
        "Data centre that this host stands in", "empty"),
    key!("" "priority" "MUSTER_PRIORITY", priority = priority,
        "Promotion preference of the server beside the agent; 0 = never", "100"),
    key!("agent" "state_dir" "MUSTER_STATE_DIR", state_dir = directory,
        "Folder of the agent's log, certificates and identity", "/var/lib/muster"),
    key!("agent" "control_socket" "MUSTER_CONTROL_SOCKET", control_socket = socket,
        "Unix socket of the command line", "/run/muster/control.sock"),
    key!("agent" "plugin_socket" "MUSTER_PLUGIN_SOCKET", plugin_socket = socket,
        "Unix socket of the plugin", "/run/muster/agent.sock"),
    key!("agent" "listen" "MUSTER_LISTEN", listen = listen,
        "Address and port where the other agents are listened for", "0.0.0.0:7400"),
    key!("agent" "advertise" "MUSTER_ADVERTISE", advertise = advertise,
        "Host and port where the other agents reach this one", "the address of listen, or the host name where that is none"),
    key!("agent" "server_user" "MUSTER_SERVER_USER", server_user = users,
        "System users as which a database server may connect, separated by commas", "mysql"),
    key!("agent" "operator_group" "MUSTER_OPERATOR_GROUP", operator_group = group,
        "System group whose members may act, beside root", "muster"),
    key!("text" "listen" "MUSTER_TEXT_LISTEN", text_listen = text_listen,
        "Address and port of the text protocol, or off", "off"),
    key!("log" "level" "MUSTER_LOG_LEVEL", log_level = level,
        "off, error, warn, info, debug or trace, also per part", "info,openraft=warn"),
    key!("log" "format" "MUSTER_LOG_FORMAT", log_format = format,
        "How a log line looks: text or json", "text"),
];

impl Key {
    /// The option of `muster agent` that overrides it, with its dashes.
    #[must_use]
    pub fn flag(&self) -> String {
        let words = self.variable.trim_start_matches("MUSTER_");
        format!("--{}", words.to_ascii_lowercase().replace('_', "-"))
    }

    /// Whether `table` has such a key.
    pub(super) fn find(table: &str, name: &str) -> Option<&'static Self> {
        KEYS.iter()
            .find(|key| key.table == table && key.name == name)
    }

    pub(super) fn set(
        &'static self,
        draft: &mut Draft,
        given: &Given,
        place: impl FnOnce() -> Place,
    ) -> Result<(), ConfigError> {
        (self.set)(draft, given).map_err(|takes| ConfigError::Value {
            place: place(),
            key: self.name,
            given: given.shown(),
            takes,
        })
    }
}

/// The tables of the file.
pub(super) const TABLES: [&str; 3] = ["agent", "text", "log"];

/// What to say of a name that does not exist: the nearest one there is, or all of them.
pub(super) fn instead(wrong: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name))
        .min()
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4);
    match nearest {
        Some((_, name)) => format!("did you mean '{name}'?"),
        None => format!("there are {}", known.join(", ")),
    }
}
