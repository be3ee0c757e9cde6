//! `muster status`: how the cluster is, who leads it, and what is not protected.

use std::fmt::Write as _;

use clap::Args;

use crate::control::types::StatusReply;

use super::output::{Mood, Style, clean, duration};
use super::{CliError, Context};

/// See [`super::Command::Status`].
#[derive(Debug, Args)]
pub(super) struct Status {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) async fn run(self, context: &mut Context<'_>) -> Result<(), CliError> {
        let reply = context.client.status().await?;
        if self.json {
            return context.json(&reply);
        }
        context
            .out
            .write_all(text(&reply, context.style).as_bytes())?;
        Ok(())
    }
}

fn text(reply: &StatusReply, style: Style) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // To write into a String cannot fail.
        let _ = writeln!(text, "{name:<11} {value}");
    };
    let local = &reply.local;
    if !reply.cluster_id.is_empty() {
        let count =
            |n: usize, one: &str, more: &str| format!("{n} {}", if n == 1 { one } else { more });
        let quorum = if reply.quorum {
            style.mood("YES", Mood::Good)
        } else {
            style.mood("NO", Mood::Bad)
        };
        line(
            "cluster",
            format!(
                "{} ({})",
                clean(&reply.cluster_name),
                clean(&reply.cluster_id)
            ),
        );
        line(
            "quorum",
            format!(
                "{quorum}, {} of {}",
                count(reply.voters, "voter", "voters"),
                count(reply.agents, "agent", "agents")
            ),
        );
        line(
            "leader",
            match (&reply.agent_leader, reply.agent_leader_id) {
                (Some(name), Some(id)) => format!("{} (agent {id})", clean(name)),
                (None, Some(id)) => format!("agent {id}"),
                (_, None) => style.mood("none known", Mood::Bad),
            },
        );
        line(
            "primary",
            match (&reply.primary_member_name, &reply.primary_member_id) {
                (Some(name), Some(id)) => format!("{} ({})", clean(name), clean(id)),
                (None, Some(id)) => clean(id).into_owned(),
                (_, None) => style.mood("none", Mood::Wary),
            },
        );
        line(
            "members",
            format!("{} of {} online", reply.members_online, reply.members),
        );
        line("view", reply.view_id.to_string());
        if reply.epoch > 0 {
            line("epoch", reply.epoch.to_string());
        }
        if reply.maintenance {
            line("mode", style.mood("maintenance", Mood::Wary));
        }
    }
    let number = match local.agent_id {
        0 => String::new(),
        id => format!(" (agent {id})"),
    };
    line(
        "this agent",
        format!(
            "{}{number}, version {}, up {}",
            clean(&local.agent_name),
            clean(&local.agent_version),
            duration(local.uptime_ms)
        ),
    );
    line(
        "plugin",
        match (&local.plugin_build, local.plugin_connected) {
            _ if local.arbitrator => "none: this is an arbitrator".to_owned(),
            (Some(build), true) => format!("connected, build {}", clean(build)),
            (None, true) => "connected".to_owned(),
            (_, false) => style.mood("not connected", Mood::Wary),
        },
    );

    let mut whole = format!("{}\n\n{text}", style.bold(&summary(reply)));
    section(&mut whole, "not protected", reply.unprotected.iter());
    let notes = local.notes.iter().filter(|note| **note != reply.summary);
    section(&mut whole, "notes", notes);
    whole
}

/// The sentence of the agent, or where it has none yet, what to do next.
pub(super) fn summary(reply: &StatusReply) -> String {
    match (reply.summary.is_empty(), reply.cluster_id.is_empty()) {
        (false, _) => clean(&reply.summary).into_owned(),
        (true, true) => "This host belongs to no cluster: make one with `muster init`, or bring it into one with \
                         `muster join --token TOKEN HOST:PORT`."
            .to_owned(),
        (true, false) => "The agent has no picture of the cluster yet.".to_owned(),
    }
}

fn section<'a>(whole: &mut String, title: &str, sentences: impl Iterator<Item = &'a String>) {
    for (index, sentence) in sentences.enumerate() {
        if index == 0 {
            let _ = writeln!(whole, "\n{title}:");
        }
        let _ = writeln!(whole, "  - {}", clean(sentence));
    }
}
