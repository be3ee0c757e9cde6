//! `muster agents`: the rows of CLUSTER_AGENTS.

use clap::Args;

use crate::control::types::AgentsReply;

use super::members::footer;
use super::output::{Mood, Style, duration};
use super::table::Rows;
use super::{CliError, Context};

/// See [`super::Command::Agents`].
#[derive(Debug, Args)]
pub(super) struct Agents {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Agents {
    pub(super) async fn run(self, context: &mut Context<'_>) -> Result<(), CliError> {
        let reply = context.client.agents().await?;
        if self.json {
            return context.json(&reply);
        }
        context
            .out
            .write_all(text(&reply, context.style).as_bytes())?;
        Ok(())
    }
}

fn text(reply: &AgentsReply, style: Style) -> String {
    if reply.agents.is_empty() {
        return "This host belongs to no cluster: make one with `muster init`, or bring it into one with `muster join`.\n"
            .to_owned();
    }
    let mut rows = Rows::new(
        style,
        &[
            "ID", "NAME", "ADDRESS", "ROLE", "STATE", "CONTACT", "SITE", "VERSION", "MEMBER",
        ],
    );
    for agent in &reply.agents {
        let cells = [
            rows.number(agent.agent_id),
            rows.text(&agent.agent_name),
            rows.text(&agent.address),
            rows.text(&agent.agent_role),
            rows.mood(&agent.agent_state, Mood::of_state(&agent.agent_state)),
            rows.number(agent.last_contact_ms.map_or("never".into(), duration)),
            rows.text(&agent.site),
            rows.text(&agent.agent_version),
            rows.text(agent.member_id.as_deref().unwrap_or("none")),
        ];
        rows.push(cells);
    }
    format!(
        "{}\n{}",
        rows.finish(),
        footer(reply.view_id, reply.quorum, style)
    )
}
