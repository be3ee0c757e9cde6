//! `muster members`: the rows of CLUSTER_MEMBERS.

use clap::Args;

use crate::control::types::{Member, MembersReply};

use super::output::{Mood, Style, duration, yes_no};
use super::table::Rows;
use super::{CliError, Context};

/// See [`super::Command::Members`].
#[derive(Debug, Args)]
pub(super) struct Members {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Members {
    pub(super) async fn run(self, context: &mut Context<'_>) -> Result<(), CliError> {
        let reply = context.client.members().await?;
        if self.json {
            return context.json(&reply);
        }
        context
            .out
            .write_all(text(&reply, context.style).as_bytes())?;
        Ok(())
    }
}

fn text(reply: &MembersReply, style: Style) -> String {
    if reply.members.is_empty() {
        return "There are no members yet: put the plugin into a server with `muster install`.\n"
            .to_owned();
    }
    let mut rows = Rows::new(
        style,
        &[
            "NAME", "ADDRESS", "STATE", "ROLE", "WRITABLE", "LAG", "AGE", "SITE", "VERSION",
            "ERROR",
        ],
    );
    for member in &reply.members {
        let cells = [
            rows.text(&member.member_name),
            rows.text(&address(member)),
            rows.mood(&state(member), Mood::of_state(&member.member_state)),
            rows.text(&member.member_role),
            rows.text(yes_no(member.writable)),
            rows.number(member.replication_lag_ms.map_or("-".into(), duration)),
            rows.number(member.heartbeat_age_ms.map_or("-".into(), duration)),
            rows.text(&member.site),
            rows.text(&member.server_version),
            rows.text(member.last_error.as_deref().unwrap_or("")),
        ];
        rows.push(cells);
    }
    format!(
        "{}\n{}",
        rows.finish(),
        footer(reply.view_id, reply.quorum, style)
    )
}

/// `host:port`, with brackets where the host is an IPv6 address.
pub(super) fn address(member: &Member) -> String {
    let Member {
        member_host: host,
        member_port: port,
        ..
    } = member;
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// The state, and that it is being taken out of service.
pub(super) fn state(member: &Member) -> String {
    if member.draining {
        format!("{}, DRAINING", member.member_state)
    } else {
        member.member_state.clone()
    }
}

/// What a table is worth: its view, and whether a majority stands behind it.
pub(super) fn footer(view_id: u64, quorum: bool, style: Style) -> String {
    let quorum = if quorum {
        style.mood("YES", Mood::Good)
    } else {
        style.mood("NO, so the states may be old", Mood::Bad)
    };
    format!("view {view_id}, quorum {quorum}\n")
}
