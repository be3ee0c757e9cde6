//! `muster config get/set`: the settings that live in the log and are equal on all hosts.

use clap::{Args, Subcommand};

use crate::control::types::Setting;

use super::output::clean;
use super::table::Rows;
use super::{CliError, Context};

/// See [`super::Command::Config`].
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(super) struct Config {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Show all settings, or the value of one
    Get {
        /// Only this one, its bare value
        key: Option<String>,

        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Change one setting, on all hosts
    Set {
        /// Which
        key: String,
        /// Its new value
        value: String,
    },
}

impl Config {
    pub(super) async fn run(self, context: &mut Context<'_>) -> Result<(), CliError> {
        match self.command {
            ConfigCommand::Get { key, json } => get(context, key.as_deref(), json).await,
            ConfigCommand::Set { key, value } => {
                let done = context.client.config_set(&Setting { key, value }).await?;
                writeln!(context.out, "{}", clean(&done.message))?;
                Ok(())
            }
        }
    }
}

async fn get(context: &mut Context<'_>, key: Option<&str>, json: bool) -> Result<(), CliError> {
    let mut reply = context.client.config_get().await?;
    if let Some(key) = key {
        let known: Vec<String> = reply.settings.iter().map(|s| s.key.clone()).collect();
        reply.settings.retain(|setting| setting.key == key);
        if reply.settings.is_empty() {
            return Err(CliError::Failed(format!(
                "there is no setting '{key}'; there are {}",
                known.join(", ")
            )));
        }
    }
    if json {
        // Settings by name: what a program asks for.
        let object: serde_json::Map<String, serde_json::Value> = reply
            .settings
            .into_iter()
            .map(|setting| (setting.key, setting.value.into()))
            .collect();
        return context.json(&object);
    }
    if key.is_some() {
        for setting in &reply.settings {
            writeln!(context.out, "{}", clean(&setting.value))?;
        }
        return Ok(());
    }
    let mut rows = Rows::new(context.style, &["SETTING", "VALUE"]);
    for setting in &reply.settings {
        let cells = [rows.text(&setting.key), rows.text(&setting.value)];
        rows.push(cells);
    }
    context.out.write_all(rows.finish().as_bytes())?;
    Ok(())
}
