//! What one host's agent is told by its own host: addresses, paths, name, site and priority.
//!
//! Nothing that must be equal everywhere to be safe is here; that lives in the log (`muster config get/set`).
//!
//! A value comes, in this order, from the command line, from a `MUSTER_*` variable, from the file, or from the default.
//! Every source goes through the same table of keys ([`keys`]), so all of them take the same values and refuse the
//! same mistakes, naming the place and what would be right.

pub mod error;
pub mod keys;
pub mod load;
mod value;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

pub use error::{ConfigError, Place};
pub use load::{Loaded, Overrides, load, parse};

/// Where the file is when nobody says otherwise.
pub const CONFIG_PATH: &str = "/etc/muster/muster.toml";
/// Largest file that is read, in bytes; a real one has less than two thousand.
pub const CONFIG_BYTES_MAX: u64 = 64 * 1024;
/// Port of the agents among themselves.
pub const PEER_PORT: u16 = 7400;
/// Where the command line finds its agent.
pub const CONTROL_SOCKET: &str = "/run/muster/control.sock";
/// Where the plugin finds its agent.
pub const PLUGIN_SOCKET: &str = "/run/muster/agent.sock";
/// Longest name of a host or a site, in characters: a column of CLUSTER_MEMBERS.
pub const NAME_CHARS_MAX: usize = 64;
/// Longest path of a unix socket, in bytes: what fits the kernel's `sun_path` with its closing zero.
pub const SOCKET_PATH_BYTES_MAX: usize = 107;

/// One host's configuration, complete and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Name of the host in the cluster.
    pub name: String,
    /// Data centre; may be empty.
    pub site: String,
    /// Promotion preference; 0 = never.
    pub priority: u32,
    /// `[agent]`
    pub agent: AgentConfig,
    /// `[text]`
    pub text: TextConfig,
    /// `[log]`
    pub log: LogConfig,
}

/// `[agent]`: where the agent keeps and offers things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentConfig {
    /// Log, certificates and identity.
    pub state_dir: PathBuf,
    /// Unix socket of the command line.
    pub control_socket: PathBuf,
    /// Unix socket of the plugin.
    pub plugin_socket: PathBuf,
    /// Where the agent listens for the others.
    pub listen: SocketAddr,
    /// `host:port` where the others reach it.
    pub advertise: String,
    /// Users as which a database server may connect to the plugin socket.
    pub server_user: Vec<String>,
    /// Members of this group may act through the control socket.
    pub operator_group: String,
}

/// `[text]`: the text protocol.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TextConfig {
    /// Where it listens; none = it is off.
    pub listen: Option<SocketAddr>,
}

/// `[log]`: what is written to the standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// A level, or levels per part: `info,muster_agent::link=debug`.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What the sources gave so far; defaults that depend on other values are filled in by [`Draft::complete`].
#[derive(Debug, Clone)]
struct Draft {
    name: Option<String>,
    site: String,
    priority: u32,
    state_dir: PathBuf,
    control_socket: PathBuf,
    plugin_socket: PathBuf,
    listen: SocketAddr,
    advertise: Option<String>,
    server_user: Vec<String>,
    operator_group: String,
    text_listen: Option<SocketAddr>,
    log_level: String,
    log_format: LogFormat,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            name: None,
            site: String::new(),
            priority: 100,
            state_dir: "/var/lib/muster".into(),
            control_socket: CONTROL_SOCKET.into(),
            plugin_socket: PLUGIN_SOCKET.into(),
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), PEER_PORT),
            advertise: None,
            server_user: vec!["mysql".to_owned()],
            operator_group: "muster".to_owned(),
            text_listen: None,
            // At its own "info" the consensus library tells each of its steps, which nobody but its authors reads.
            log_level: "info,openraft=warn".to_owned(),
            log_format: LogFormat::Text,
        }
    }
}

impl Draft {
    /// Fills in what depends on the host and on other values, and refuses what does not go together.
    fn complete(self, host_name: &str) -> Result<Config, ConfigError> {
        if self.control_socket == self.plugin_socket {
            return Err(ConfigError::Together(format!(
                "control_socket and plugin_socket are both {}: give each its own path",
                self.control_socket.display()
            )));
        }
        if self.text_listen == Some(self.listen) {
            return Err(ConfigError::Together(format!(
                "[agent] listen and [text] listen are both {}: give each its own port",
                self.listen
            )));
        }
        let name = match self.name {
            Some(name) => name,
            None => value::name(host_name).map_err(|takes| {
                ConfigError::Together(format!(
                    "the host name '{}' cannot serve as this agent's name: give it one with name = \"…\"; it takes {takes}",
                    value::shown(host_name)
                ))
            })?,
        };
        let advertise = match self.advertise {
            Some(advertise) => advertise,
            None if self.listen.port() == 0 => {
                return Err(ConfigError::Together(format!(
                    "[agent] listen = \"{}\" lets the system choose the port, so others cannot be told where to come: \
                     name a port, or say where with advertise = \"HOST:PORT\"",
                    self.listen
                )));
            }
            None if self.listen.ip().is_unspecified() => value::host_port(&format!(
                "{host_name}:{}",
                self.listen.port()
            ))
            .map_err(|takes| {
                ConfigError::Together(format!(
                    "the host name '{}' cannot serve as this agent's address: give it one with \
                         advertise = \"HOST:PORT\"; it takes {takes}",
                    value::shown(host_name)
                ))
            })?,
            None => self.listen.to_string(),
        };
        Ok(Config {
            name,
            site: self.site,
            priority: self.priority,
            agent: AgentConfig {
                state_dir: self.state_dir,
                control_socket: self.control_socket,
                plugin_socket: self.plugin_socket,
                listen: self.listen,
                advertise,
                server_user: self.server_user,
                operator_group: self.operator_group,
            },
            text: TextConfig {
                listen: self.text_listen,
            },
            log: LogConfig {
                level: self.log_level,
                format: self.log_format,
            },
        })
    }
}
