//! What is on the screen. What matters most is on top, so that a short terminal loses the least.

use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::cli::events::{change, member, mood};
use crate::cli::members::{address, state};
use crate::cli::output::{Mood, clean, duration, yes_no};
use crate::cli::status::summary;
use crate::control::types::StatusReply;

use super::columns::{Column, style, table};
use super::{Model, Seen};

/// Rows that the head may take.
const HEAD_ROWS_MAX: usize = 8;

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, now: Instant, colour: bool) {
    let area = frame.area();
    let Some((seen, at)) = &model.seen else {
        return;
    };
    let age_ms = u64::try_from(now.saturating_duration_since(*at).as_millis()).unwrap_or(u64::MAX);
    let mut head = head(seen, model.trouble.as_deref(), age_ms, area.width, colour);
    head.truncate(HEAD_ROWS_MAX);
    let head_rows = u16::try_from(head.len()).unwrap_or(u16::MAX);
    let rows = |count: usize| u16::try_from(count).unwrap_or(u16::MAX).saturating_add(2);
    let [top, members, agents, events, foot] = Layout::vertical([
        Constraint::Length(head_rows.saturating_add(1)),
        Constraint::Length(rows(seen.members.members.len())),
        Constraint::Length(rows(seen.agents.agents.len())),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(head), top);
    frame.render_widget(members_table(seen, age_ms, area.width, colour), members);
    frame.render_widget(agents_table(seen, age_ms, area.width, colour), agents);
    frame.render_widget(events_table(seen, events, colour), events);
    frame.render_widget(Paragraph::new("q quits"), foot);
}

fn head(
    seen: &Seen,
    trouble: Option<&str>,
    age_ms: u64,
    width: u16,
    colour: bool,
) -> Vec<Line<'static>> {
    let status = &seen.status;
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut lines = wrapped(&summary(status), width, bold);
    if let Some(trouble) = trouble {
        let text = format!("{} old: {}", duration(age_ms), clean(trouble));
        lines.extend(wrapped(&text, width, style(Some(Mood::Bad), colour)));
    }
    lines.push(facts(status, age_ms, colour));
    let notes = status.local.notes.iter();
    let notes = notes.filter(|note| **note != status.summary);
    for sentence in status.unprotected.iter().chain(notes) {
        let text = format!("! {}", clean(sentence));
        lines.extend(wrapped(&text, width, style(Some(Mood::Wary), colour)));
    }
    lines
}

/// A sentence on as many lines as it needs, broken between words.
fn wrapped(text: &str, width: u16, style: Style) -> Vec<Line<'static>> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if Span::raw(format!("{line} {word}")).width() <= usize::from(width) => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
        .into_iter()
        .map(|line| Line::styled(line, style))
        .collect()
}

fn facts(status: &StatusReply, age_ms: u64, colour: bool) -> Line<'static> {
    let quorum = if status.quorum { Mood::Good } else { Mood::Bad };
    let name = |name: &Option<String>| {
        name.as_deref()
            .map_or("none".into(), |name| clean(name).into_owned())
    };
    Line::from(vec![
        Span::raw("quorum "),
        Span::styled(yes_no(status.quorum), style(Some(quorum), colour)),
        Span::raw(format!(
            " · leader {} · primary {} · view {} · {} ago",
            name(&status.agent_leader),
            name(&status.primary_member_name),
            status.view_id,
            duration(age_ms),
        )),
    ])
}

fn members_table(
    seen: &Seen,
    age_ms: u64,
    width: u16,
    colour: bool,
) -> ratatui::widgets::Table<'static> {
    let members = &seen.members.members;
    let aged =
        |ms: Option<u64>| ms.map_or("-".to_owned(), |ms| duration(ms.saturating_add(age_ms)));
    table(
        vec![
            Column::words("MEMBER", 0, members.iter().map(|m| m.member_name.clone())),
            Column::words("ADDRESS", 6, members.iter().map(address)),
            Column::moods(
                "STATE",
                0,
                members
                    .iter()
                    .map(|m| (state(m), Mood::of_state(&m.member_state))),
            ),
            Column::words("ROLE", 1, members.iter().map(|m| m.member_role.clone())),
            Column::words(
                "WRITABLE",
                4,
                members.iter().map(|m| yes_no(m.writable).to_owned()),
            ),
            Column::numbers(
                "LAG",
                3,
                members
                    .iter()
                    .map(|m| m.replication_lag_ms.map_or("-".into(), duration)),
            ),
            Column::numbers("AGE", 2, members.iter().map(|m| aged(m.heartbeat_age_ms))),
            Column::numbers(
                "QPS",
                7,
                members.iter().map(|m| {
                    m.queries_per_second
                        .map_or("-".into(), |qps| format!("{qps:.0}"))
                }),
            ),
            Column::words("SITE", 8, members.iter().map(|m| m.site.clone())),
            Column::sentences(
                "ERROR",
                5,
                members
                    .iter()
                    .map(|m| m.last_error.clone().unwrap_or_default()),
            ),
        ],
        width,
        colour,
    )
}

fn agents_table(
    seen: &Seen,
    age_ms: u64,
    width: u16,
    colour: bool,
) -> ratatui::widgets::Table<'static> {
    let agents = &seen.agents.agents;
    let contact = |agent: &crate::control::types::Agent| match agent.last_contact_ms {
        _ if agent.agent_id == seen.status.local.agent_id => "here".to_owned(),
        Some(ms) => duration(ms.saturating_add(age_ms)),
        None => "never".to_owned(),
    };
    table(
        vec![
            Column::words("AGENT", 0, agents.iter().map(|a| a.agent_name.clone())),
            Column::words("ADDRESS", 3, agents.iter().map(|a| a.address.clone())),
            Column::moods(
                "STATE",
                0,
                agents
                    .iter()
                    .map(|a| (a.agent_state.clone(), Mood::of_state(&a.agent_state))),
            ),
            Column::words("ROLE", 1, agents.iter().map(|a| a.agent_role.clone())),
            Column::numbers("CONTACT", 2, agents.iter().map(contact)),
            Column::words("VERSION", 4, agents.iter().map(|a| a.agent_version.clone())),
        ],
        width,
        colour,
    )
}

/// The newest events that fit, the newest on top.
fn events_table(seen: &Seen, area: Rect, colour: bool) -> ratatui::widgets::Table<'static> {
    let rows = usize::from(area.height.saturating_sub(1));
    let events: Vec<_> = seen.events.events.iter().rev().take(rows).collect();
    // The day is the same for most; the clock time is what tells.
    let time = |text: &str| match text.split_once('T') {
        Some((_, clock)) => clock.chars().take(8).collect(),
        None => text.to_owned(),
    };
    table(
        vec![
            Column::words("EVENT", 0, events.iter().map(|e| time(&e.event_time))),
            Column::words("TYPE", 3, events.iter().map(|e| e.event_type.clone())),
            Column::words("OF", 0, events.iter().map(|e| member(e).to_owned())),
            Column::maybe_moods("CHANGE", 1, events.iter().map(|e| (change(e), mood(e)))),
            Column::sentences("REASON", 2, events.iter().map(|e| e.reason.clone())),
        ],
        area.width,
        colour,
    )
}
