//! `muster init`: make a cluster with this host in it.

use clap::Args;

use crate::control::types::InitRequest;

use super::output::clean;
use super::{CliError, Context};

/// See [`super::Command::Init`].
#[derive(Debug, Args)]
pub(super) struct Init {
    /// Name of the cluster, for people
    #[arg(long, value_name = "NAME", default_value = "muster")]
    cluster: String,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Init {
    pub(super) async fn run(self, context: &mut Context<'_>) -> Result<(), CliError> {
        let reply = context
            .client
            .init(&InitRequest {
                cluster_name: self.cluster.clone(),
            })
            .await?;
        if self.json {
            return context.json(&reply);
        }
        // The cluster is made; that its address cannot be shown now is not worth an error.
        let address = match context.client.agents().await {
            Ok(agents) => agents.agents.into_iter().next().map(|agent| agent.address),
            Err(_) => None,
        };
        writeln!(
            context.out,
            "The cluster '{}' ({}) is made, with this host in it.\n\
             Bring in each other host with its own token (more of them: `muster token create`):\n\
             \n    muster join --token TOKEN {}\n\n\
             The first token:",
            clean(&self.cluster),
            clean(&reply.cluster_id),
            clean(address.as_deref().unwrap_or("HOST:7400")),
        )?;
        writeln!(context.out, "{}", clean(&reply.token))?;
        Ok(())
    }
}
