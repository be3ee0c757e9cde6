//! `muster agent`: the service itself.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, FromArgMatches};
use tracing_subscriber::EnvFilter;

use crate::config::keys::KEYS;
use crate::config::{self, Config, LogFormat, Overrides};
use crate::node;
use crate::service::Service;

/// The variable of the one key whose option belongs to every command.
const CONTROL_SOCKET_VARIABLE: &str = "MUSTER_CONTROL_SOCKET";

/// Why the agent ended other than by being told to.
#[derive(Debug, thiserror::Error)]
pub(super) enum AgentError {
    /// It was told something that makes no sense: starting it again changes nothing.
    #[error("{0}")]
    Configuration(String),
    /// It could not start, or could not go on.
    #[error("{0}")]
    Failed(String),
}

/// See [`super::Command::Agent`]. Its options are made from the table of keys.
#[derive(Debug)]
pub(super) struct Agent {
    overrides: Overrides,
}

impl Args for Agent {
    fn augment_args(command: clap::Command) -> clap::Command {
        let command = command.arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .value_parser(clap::value_parser!(PathBuf))
                .help("Configuration file [variable: MUSTER_CONFIG] [default: /etc/muster/muster.toml]"),
        );
        let own = KEYS
            .iter()
            .filter(|key| key.variable != CONTROL_SOCKET_VARIABLE);
        own.fold(command, |command, key| {
            let place = match key.table {
                "" => key.name.to_owned(),
                table => format!("[{table}] {}", key.name),
            };
            command.arg(
                Arg::new(key.variable)
                    .long(key.flag().trim_start_matches('-').to_owned())
                    .value_name("VALUE")
                    .help(format!(
                        "Instead of {place} in the file [variable: {}]",
                        key.variable
                    )),
            )
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Agent {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut overrides = Overrides {
            config: matches.get_one::<PathBuf>("config").cloned(),
            ..Overrides::default()
        };
        for key in KEYS
            .iter()
            .filter(|key| key.variable != CONTROL_SOCKET_VARIABLE)
        {
            if let Some(value) = matches.get_one::<String>(key.variable) {
                overrides.values.insert(key.variable, value.clone());
            }
        }
        Ok(Self { overrides })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Agent {
    /// Runs until told to stop.
    pub(super) fn run(self, control_socket: Option<PathBuf>) -> Result<(), AgentError> {
        let config = self
            .configured(control_socket)
            .map_err(AgentError::Configuration)?;
        serve(config).map_err(AgentError::Failed)
    }

    fn configured(mut self, control_socket: Option<PathBuf>) -> Result<Config, String> {
        if let Some(path) = control_socket {
            let path = path.into_os_string().into_string();
            let path = path.map_err(|path| {
                format!("--control-socket {} is not valid UTF-8", path.display())
            })?;
            self.overrides.values.insert(CONTROL_SOCKET_VARIABLE, path);
        }
        let host_name = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        let loaded = config::load(&self.overrides, std::env::vars_os(), &host_name)
            .map_err(|e| e.to_string())?;
        log_to_stderr(&loaded.config)?;
        for note in &loaded.notes {
            tracing::warn!("{note}");
        }
        if let Some(file) = &loaded.file {
            tracing::info!(file = %file.display(), "configuration read");
        }
        Ok(loaded.config)
    }
}

fn serve(config: Config) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("muster")
        .build()
        .map_err(|e| format!("the system gives this program nothing to run on: {e}"))?;
    let service = Service::from_environment()
        .map_err(|e| format!("the service manager cannot be spoken to: {e}"))?;
    runtime
        .block_on(node::run(config, service))
        .map_err(|e| e.to_string())
}

fn log_to_stderr(config: &Config) -> Result<(), String> {
    let filter = EnvFilter::try_new(&config.log.level)
        .map_err(|e| format!("[log] level '{}' is not understood: {e}", config.log.level))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    let set = match config.log.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    set.map_err(|e| format!("the log cannot be set up: {e}"))
}
