//! `muster remove NAME`: forget a dead host.

use clap::Args;

use crate::control::types::RemoveRequest;

use super::output::clean;
use super::{CliError, Context};

/// See [`super::Command::Remove`].
#[derive(Debug, Args)]
pub(super) struct Remove {
    /// Its AGENT_NAME in `muster agents`
    name: String,
}

impl Remove {
    pub(super) async fn run(self, context: &mut Context<'_>) -> Result<(), CliError> {
        let request = RemoveRequest { name: self.name };
        let done = context.client.remove(&request).await?;
        writeln!(context.out, "{}", clean(&done.message))?;
        Ok(())
    }
}
