//! `muster agent`: the service itself.

use std::io::{IsTerminal as _, Write};
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches};
use tracing_subscriber::EnvFilter;

use crate::config::keys::KEYS;
use crate::config::{self, Config, Loaded, LogFormat, Overrides};
use crate::node;
use crate::service::Service;

use super::output::clean;

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
    check: bool,
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
        let command = command.arg(
            Arg::new("check")
                .long("check")
                .action(ArgAction::SetTrue)
                .help("Read the configuration, say what is wrong with it or what it comes to, and start nothing"),
        );
        let own = KEYS
            .iter()
            .filter(|key| key.variable != CONTROL_SOCKET_VARIABLE);
        own.fold(command, |command, key| {
            command.arg(
                Arg::new(key.variable)
                    .long(key.flag().trim_start_matches('-').to_owned())
                    .value_name("VALUE")
                    .help(format!(
                        "{} [variable: {}] [default: {}]",
                        key.about, key.variable, key.default
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
        Ok(Self {
            overrides,
            check: matches.get_flag("check"),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Agent {
    /// Runs until told to stop.
    pub(super) fn run(mut self, control_socket: Option<PathBuf>) -> Result<(), AgentError> {
        let check = self.check;
        if let Some(path) = control_socket {
            self.overrides
                .values
                .insert(CONTROL_SOCKET_VARIABLE, path.to_string_lossy().into_owned());
        }
        let host_name = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        let loaded = config::load(&self.overrides, std::env::vars_os(), &host_name)
            .map_err(|e| AgentError::Configuration(e.to_string()))?;
        if check {
            let mut out = std::io::stdout().lock();
            return describe(&loaded, &mut out)
                .map_err(|e| AgentError::Failed(format!("cannot write the answer: {e}")));
        }
        log_to_stderr(&loaded.config).map_err(AgentError::Configuration)?;
        for note in &loaded.notes {
            tracing::warn!("{note}");
        }
        match &loaded.file {
            Some(file) => tracing::info!(file = %file.display(), "configuration read"),
            None => tracing::info!("there is no {}; the defaults hold", config::CONFIG_PATH),
        }
        serve(loaded.config).map_err(AgentError::Failed)
    }
}

/// For `--check`: that the configuration is right, and what it comes to.
fn describe(loaded: &Loaded, out: &mut dyn Write) -> std::io::Result<()> {
    let Config {
        name,
        site,
        priority,
        agent,
        text,
        log,
    } = &loaded.config;
    match &loaded.file {
        Some(path) => writeln!(out, "{} is right.", path.display())?,
        None => writeln!(
            out,
            "There is no {}; the defaults hold.",
            config::CONFIG_PATH
        )?,
    }
    for note in &loaded.notes {
        writeln!(out, "Note: {}", clean(note))?;
    }
    let format = match log.format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    };
    // In the order of the keys; the test holds both together.
    let values = [
        name.clone(),
        site.clone(),
        priority.to_string(),
        agent.state_dir.display().to_string(),
        agent.control_socket.display().to_string(),
        agent.plugin_socket.display().to_string(),
        agent.listen.to_string(),
        agent.advertise.clone(),
        agent.server_user.join(","),
        agent.operator_group.clone(),
        text.listen
            .map_or_else(|| "off".to_owned(), |at| at.to_string()),
        log.level.clone(),
        format.to_owned(),
    ];
    for (key, value) in KEYS.iter().zip(&values) {
        let place = match key.table {
            "" => key.name.to_owned(),
            table => format!("[{table}] {}", key.name),
        };
        writeln!(out, "  {place:<22} {}", clean(value))?;
    }
    Ok(())
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
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && !no_color);
    // The journal writes the time itself.
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let set = match config.log.format {
        LogFormat::Text if journal => lines.without_time().try_init(),
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    set.map_err(|e| format!("the log cannot be set up: {e}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn agent(arguments: &[String]) -> (Agent, Option<PathBuf>) {
        let whole = ["muster", "agent"].map(str::to_owned);
        let cli = Cli::try_parse_from(whole.iter().chain(arguments)).unwrap();
        match cli.command {
            Command::Agent(agent) => (agent, cli.control_socket),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_key_has_an_option_of_its_own() {
        let arguments: Vec<String> = KEYS
            .iter()
            .flat_map(|key| [key.flag(), format!("value of {}", key.variable)])
            .collect();
        let (agent, control_socket) = agent(&arguments);
        assert_eq!(
            control_socket,
            Some("value of MUSTER_CONTROL_SOCKET".into())
        );
        for key in KEYS
            .iter()
            .filter(|key| key.variable != CONTROL_SOCKET_VARIABLE)
        {
            let expected = format!("value of {}", key.variable);
            assert_eq!(agent.overrides.values[key.variable], expected);
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_before_anything_starts() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let said = |more: &[&str]| {
            let arguments: Vec<String> = ["--config", path, "--check"]
                .iter()
                .chain(more)
                .map(|argument| (*argument).to_owned())
                .collect();
            let (agent, control_socket) = agent(&arguments);
            match agent.run(control_socket).unwrap_err() {
                AgentError::Configuration(said) => said,
                AgentError::Failed(said) => panic!("failed: {said}"),
            }
        };
        let wrong = said(&["--listen", "nowhere"]);
        assert!(
            wrong.starts_with("--listen: 'nowhere' does not fit listen: it takes"),
            "{wrong}"
        );
        let wrong = said(&["--control-socket", "relative"]);
        assert!(
            wrong.starts_with("--control-socket: 'relative' does not fit"),
            "{wrong}"
        );
        std::fs::write(file.path(), "[agent]\nlisten = 7\n").unwrap();
        let wrong = said(&[]);
        assert!(
            wrong.starts_with(&format!("{path}:2:10: 7 does not fit listen")),
            "{wrong}"
        );
    }

    #[test]
    fn a_check_shows_every_key_with_its_value() {
        let marked = KEYS.iter().map(|key| {
            let value = match key.variable {
                "MUSTER_PRIORITY" => "7",
                "MUSTER_LISTEN" => "127.0.0.1:7001",
                "MUSTER_ADVERTISE" => "host:7002",
                "MUSTER_TEXT_LISTEN" => "127.0.0.1:7003",
                "MUSTER_STATE_DIR" => "/1",
                "MUSTER_CONTROL_SOCKET" => "/2",
                "MUSTER_PLUGIN_SOCKET" => "/3",
                "MUSTER_LOG_LEVEL" => "warn",
                "MUSTER_LOG_FORMAT" => "json",
                _ => key.name,
            };
            (key.variable.into(), value.into())
        });
        let file = tempfile::NamedTempFile::new().unwrap();
        let overrides = Overrides {
            config: Some(file.path().to_owned()),
            ..Overrides::default()
        };
        let loaded = config::load(&overrides, marked, "localhost").unwrap();
        let mut out = Vec::new();
        describe(&loaded, &mut out).unwrap();
        let path = file.path().to_str().unwrap();
        let text = String::from_utf8(out).unwrap().replace(path, "FILE");
        insta::assert_snapshot!("agent_check", text);
    }
}
