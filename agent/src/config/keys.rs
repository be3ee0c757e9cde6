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
    set: fn(&mut Draft, &Given) -> Result<(), Takes>,
}

macro_rules! key {
    ($table:literal, $name:literal, $variable:literal, $field:ident, $read:expr) => {
        Key {
            table: $table,
            name: $name,
            variable: $variable,
            set: |draft, given| {
                draft.$field = $read(given)?.into();
                Ok(())
            },
        }
    };
}

/// All keys, in the order of the documentation.
pub static KEYS: [Key; 13] = [
    key!("", "name", "MUSTER_NAME", name, value::given_name),
    key!("", "site", "MUSTER_SITE", site, value::site),
    key!("", "priority", "MUSTER_PRIORITY", priority, value::priority),
    key!(
        "agent",
        "state_dir",
        "MUSTER_STATE_DIR",
        state_dir,
        value::directory
    ),
    key!(
        "agent",
        "control_socket",
        "MUSTER_CONTROL_SOCKET",
        control_socket,
        value::socket
    ),
    key!(
        "agent",
        "plugin_socket",
        "MUSTER_PLUGIN_SOCKET",
        plugin_socket,
        value::socket
    ),
    key!("agent", "listen", "MUSTER_LISTEN", listen, value::listen),
    key!(
        "agent",
        "advertise",
        "MUSTER_ADVERTISE",
        advertise,
        value::advertise
    ),
    key!(
        "agent",
        "server_user",
        "MUSTER_SERVER_USER",
        server_user,
        value::users
    ),
    key!(
        "agent",
        "operator_group",
        "MUSTER_OPERATOR_GROUP",
        operator_group,
        value::group
    ),
    key!(
        "text",
        "listen",
        "MUSTER_TEXT_LISTEN",
        text_listen,
        value::text_listen
    ),
    key!("log", "level", "MUSTER_LOG_LEVEL", log_level, value::level),
    key!(
        "log",
        "format",
        "MUSTER_LOG_FORMAT",
        log_format,
        value::format
    ),
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
