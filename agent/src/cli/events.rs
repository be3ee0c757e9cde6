//! `muster events`: what changed, and why; `--follow` goes on with each new one, over restarts of the agent.

use std::time::Duration;

use clap::Args;

use crate::control::types::{Event, EventsQuery, EventsReply, WAIT_MS_MAX};

use super::output::{Mood, clean};
use super::table::Rows;
use super::{CliError, Context};

/// Pause before an agent that is away is asked again.
const AGAIN: Duration = Duration::from_millis(500);

/// See [`super::Command::Events`].
#[derive(Debug, Args)]
pub(super) struct Events {
    /// Go on with each new event until interrupted, also while the agent restarts
    #[arg(long, short)]
    follow: bool,

    /// Only events with a larger number
    #[arg(long, value_name = "EVENT_ID", default_value_t = 0)]
    after: u64,

    /// The newest so many; 0 = all that are kept (the newest 1,000)
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 20)]
    limit: usize,

    /// Print one JSON object; with --follow one per event, each on a line
    #[arg(long)]
    json: bool,
}

impl Events {
    pub(super) async fn run(self, context: &mut Context<'_>) -> Result<(), CliError> {
        let query = EventsQuery {
            after: self.after,
            limit: self.limit,
            ..EventsQuery::default()
        };
        let reply = context.client.events(query).await?;
        if !self.follow {
            return self.show(&reply, context);
        }
        self.lines(&reply.events, context)?;
        let mut after = newest(&reply).unwrap_or(self.after);
        let mut cluster = reply.cluster_id;
        let mut away = false;
        loop {
            let query = EventsQuery {
                after,
                limit: 0,
                wait_ms: WAIT_MS_MAX / 2,
                cluster_id: cluster.clone(),
            };
            match context.client.events(query).await {
                Ok(reply) => {
                    away = false;
                    // An agent that has just started may not know its cluster yet.
                    if !reply.cluster_id.is_empty() && reply.cluster_id != cluster {
                        // Another cluster counts its events from the start.
                        let another = !cluster.is_empty();
                        cluster.clone_from(&reply.cluster_id);
                        if another {
                            after = 0;
                            continue;
                        }
                    }
                    self.lines(&reply.events, context)?;
                    after = newest(&reply).unwrap_or(after);
                }
                Err(e) if e.is_away() => {
                    if !away {
                        writeln!(
                            context.err,
                            "muster: the agent at {} is away; waiting for it to come back",
                            context.client.path().display()
                        )?;
                    }
                    away = true;
                    tokio::time::sleep(AGAIN).await;
                }
                Err(e) => return Err(e.into()),
            }
        }
    }

    fn show(&self, reply: &EventsReply, context: &mut Context<'_>) -> Result<(), CliError> {
        if self.json {
            return context.json(reply);
        }
        if reply.events.is_empty() {
            writeln!(context.out, "There are no events yet.")?;
            return Ok(());
        }
        let mut rows = Rows::new(
            context.style,
            &["ID", "TIME", "TYPE", "MEMBER", "CHANGE", "REASON"],
        );
        for event in &reply.events {
            let cells = [
                rows.number(event.event_id),
                rows.text(&event.event_time),
                rows.text(&event.event_type),
                rows.text(member(event)),
                match mood(event) {
                    Some(mood) => rows.mood(&change(event), mood),
                    None => rows.text(&change(event)),
                },
                rows.text(&event.reason),
            ];
            rows.push(cells);
        }
        context.out.write_all(rows.finish().as_bytes())?;
        Ok(())
    }

    /// One line per event, at once.
    fn lines(&self, events: &[Event], context: &mut Context<'_>) -> Result<(), CliError> {
        for event in events {
            if self.json {
                context.json(event)?;
            } else {
                writeln!(
                    context.out,
                    "{} {}  {:<14} {:<12} {}  {}",
                    event.event_id,
                    clean(&event.event_time),
                    clean(&event.event_type),
                    clean(member(event)),
                    match mood(event) {
                        Some(mood) => context.style.mood(&clean(&change(event)), mood),
                        None => clean(&change(event)).into_owned(),
                    },
                    clean(&event.reason),
                )?;
            }
        }
        Ok(context.out.flush()?)
    }
}

fn newest(reply: &EventsReply) -> Option<u64> {
    reply.events.last().map(|event| event.event_id)
}

/// The member's name, or its id where it no longer belongs.
pub(super) fn member(event: &Event) -> &str {
    event
        .member_name
        .as_deref()
        .or(event.member_id.as_deref())
        .unwrap_or("-")
}

/// From what to what.
pub(super) fn change(event: &Event) -> String {
    match (&event.previous_state, &event.state) {
        (Some(before), Some(after)) => format!("{before} → {after}"),
        (None, Some(after)) => after.clone(),
        (Some(before), None) => format!("{before} → gone"),
        (None, None) => "-".to_owned(),
    }
}

/// Good or bad news, where the change is one of state; other changes are neither.
pub(super) fn mood(event: &Event) -> Option<Mood> {
    let state = event.state.as_deref()?;
    (event.event_type == "MEMBER_STATE").then(|| Mood::of_state(state))
}
