//! Settings that must be equal everywhere, and therefore live in the log (`muster config get/set`).

use serde::{Deserialize, Serialize};

/// The group's settings with their defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// How long a member's report stays valid, in milliseconds. Suspicion and elections are fractions of it.
    pub heartbeat_ttl_ms: u64,
    /// Most voters the group may have: 1, 3, 5 or 7.
    pub voters_max: u8,
    /// A voter that has been unreachable for this long is replaced where a fit learner is there, in milliseconds.
    pub voter_replace_after_ms: u64,
    /// How long a join token is good for, in milliseconds.
    pub token_ttl_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            heartbeat_ttl_ms: 2_000,
            voters_max: 5,
            voter_replace_after_ms: 30_000,
            token_ttl_ms: 3_600_000,
        }
    }
}

/// Why a setting was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// No such key.
    #[error("there is no setting '{0}'; known are: {known}", known = Settings::KEYS.join(", "))]
    UnknownKey(String),
    /// The value does not fit.
    #[error("'{value}' does not fit {key}: it takes {takes}")]
    BadValue {
        /// The key.
        key: &'static str,
        /// What was given.
        value: String,
        /// What would be right.
        takes: &'static str,
    },
}

impl Settings {
    /// Every key, as `muster config` knows it.
    pub const KEYS: [&'static str; 4] = [
        "heartbeat_ttl_ms",
        "voters_max",
        "voter_replace_after_ms",
        "token_ttl_ms",
    ];

    /// The value of `key`, as text.
    pub fn get(&self, key: &str) -> Result<String, SettingError> {
        match key {
            "heartbeat_ttl_ms" => Ok(self.heartbeat_ttl_ms.to_string()),
            "voters_max" => Ok(self.voters_max.to_string()),
            "voter_replace_after_ms" => Ok(self.voter_replace_after_ms.to_string()),
            "token_ttl_ms" => Ok(self.token_ttl_ms.to_string()),
            _ => Err(SettingError::UnknownKey(key.to_owned())),
        }
    }

    /// Sets `key` from text; nothing changes where it does not fit.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), SettingError> {
        match key {
            "heartbeat_ttl_ms" => {
                self.heartbeat_ttl_ms =
                    milliseconds("heartbeat_ttl_ms", value, 500, 60_000, "500 to 60000")?;
            }
            "voters_max" => {
                let fits = value
                    .parse::<u8>()
                    .ok()
                    .filter(|n| [1, 3, 5, 7].contains(n));
                self.voters_max = fits.ok_or(SettingError::BadValue {
                    key: "voters_max",
                    value: value.to_owned(),
                    takes: "1, 3, 5 or 7",
                })?;
            }
            "voter_replace_after_ms" => {
                self.voter_replace_after_ms = milliseconds(
                    "voter_replace_after_ms",
                    value,
                    5_000,
                    86_400_000,
                    "5000 to 86400000",
                )?;
            }
            "token_ttl_ms" => {
                self.token_ttl_ms = milliseconds(
                    "token_ttl_ms",
                    value,
                    10_000,
                    604_800_000,
                    "10000 to 604800000",
                )?;
            }
            _ => return Err(SettingError::UnknownKey(key.to_owned())),
        }
        Ok(())
    }
}

fn milliseconds(
    key: &'static str,
    value: &str,
    least: u64,
    most: u64,
    takes: &'static str,
) -> Result<u64, SettingError> {
    value
        .parse::<u64>()
        .ok()
        .filter(|n| (least..=most).contains(n))
        .ok_or(SettingError::BadValue {
            key,
            value: value.to_owned(),
            takes,
        })
}
