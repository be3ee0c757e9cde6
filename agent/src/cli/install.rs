//! `muster install` and `muster uninstall`: the plugin into and out of the local server. Needs the server, not the agent.

use std::io;
use std::path::PathBuf;

use clap::Args;

use crate::server::install::{self, Account, Options};

use super::output::clean;
use super::{CliError, Context};

/// How to log in to the server.
#[derive(Debug, Args)]
struct Login {
    /// Unix socket of the server; where none is named, the usual places are tried
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,

    /// Account of the server [default: root]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// File whose first line is the password; it never stands on a command line
    #[arg(long, value_name = "PATH")]
    password_file: Option<PathBuf>,

    /// Option file as the server's own clients read it: [client] and [muster] with user, password, socket
    #[arg(long, value_name = "PATH")]
    defaults_file: Option<PathBuf>,

    /// Under super_read_only: switch that off for the statements that need it, read_only stays on
    #[arg(long)]
    allow_write: bool,
}

impl Login {
    fn options(self, file: Option<PathBuf>) -> Options {
        Options {
            account: Account {
                socket: self.socket,
                user: self.user,
                password_file: self.password_file,
                defaults_file: self.defaults_file,
            },
            file,
            allow_write: self.allow_write,
        }
    }
}

/// See [`super::Command::Install`].
#[derive(Debug, Args)]
pub(super) struct Install {
    #[command(flatten)]
    login: Login,

    /// The plugin's file; where none is named, it is looked for where packages put it
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
}

impl Install {
    pub(super) async fn run(self, context: &mut Context<'_>) -> Result<(), CliError> {
        let options = self.login.options(self.file);
        let mut told = Told::new(context);
        let done = install::install(&options, &mut |step| told.step(&step)).await;
        told.end(done)
    }
}

/// See [`super::Command::Uninstall`].
#[derive(Debug, Args)]
pub(super) struct Uninstall {
    #[command(flatten)]
    login: Login,
}

impl Uninstall {
    pub(super) async fn run(self, context: &mut Context<'_>) -> Result<(), CliError> {
        let options = self.login.options(None);
        let mut told = Told::new(context);
        let done = install::uninstall(&options, &mut |step| told.step(&step)).await;
        told.end(done)
    }
}

/// Writes the steps as they are done. That nobody reads them stops nothing in the middle.
struct Told<'a, 'c> {
    context: &'a mut Context<'c>,
    failed: Option<io::Error>,
}

impl<'a, 'c> Told<'a, 'c> {
    fn new(context: &'a mut Context<'c>) -> Self {
        Self {
            context,
            failed: None,
        }
    }

    fn step(&mut self, step: &str) {
        let out = &mut self.context.out;
        if let Err(e) = writeln!(out, "{}", clean(step)).and_then(|()| out.flush()) {
            self.failed.get_or_insert(e);
        }
    }

    fn end(self, done: Result<(), install::InstallError>) -> Result<(), CliError> {
        done.map_err(|e| CliError::Failed(e.to_string()))?;
        self.failed.map_or(Ok(()), |e| Err(e.into()))
    }
}
