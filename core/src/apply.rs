//! `apply`: the one place where the ordered state changes.
//!
//! Every agent runs it over the same log and must come to the same state, letter by letter: it reads nothing but its
//! arguments. A command is examined first and carried out only then, so a refused one leaves no trace; a command that
//! finds everything as it wants it changes nothing, so one that is proposed twice after a lost answer is harmless. All
//! that one entry changes makes exactly one new view.

mod agents;
mod check;
mod members;
mod recover;
mod text_members;
mod tokens;

pub use members::declaration;

use muster_link::text::clip_text;

use crate::command::{Command, Entry, Outcome};
use crate::ids::{AgentId, MemberId, ViewId};
use crate::limits::EVENTS_MAX;
use crate::state::{ClusterState, Event, EventKind};

/// Applies a committed entry. Deterministic: the same state, index and entry give the same result on every agent.
///
/// `_index` is the entry's place in the log; no command of this version needs it. A refused entry changes nothing, not
/// even the view.
pub fn apply(state: &mut ClusterState, _index: u64, entry: &Entry) -> Outcome {
    if !state.founded() {
        match &entry.command {
            Command::Found { .. } => {}
            Command::VotersAre { voters } => {
                // The consensus exists a moment before the cluster does. There is no view yet that this could change.
                state.voters.clone_from(voters);
                return Outcome::Unchanged;
            }
            _ => {
                return Outcome::Refused {
                    reason: "there is no cluster here yet; run `muster init` on the first host, or `muster join` to \
                             come into an existing one"
                        .to_owned(),
                };
            }
        }
    }
    let mut draft = Draft {
        view_id: state.view_id.next(),
        state,
        entry,
        events: Vec::new(),
    };
    match dispatch(&mut draft) {
        Ok(Effect::Nothing) => Outcome::Unchanged,
        Ok(Effect::Changed) => Outcome::Changed {
            view_id: draft.commit(),
        },
        Ok(Effect::Joined(agent_id)) => Outcome::Joined {
            agent_id,
            view_id: draft.commit(),
        },
        Ok(Effect::JoinedBefore(agent_id)) => Outcome::Joined {
            agent_id,
            view_id: draft.state.view_id,
        },
        Err(Refusal(reason)) => Outcome::Refused {
            reason: clip_text(&reason),
        },
    }
}

fn dispatch(draft: &mut Draft<'_>) -> Result<Effect, Refusal> {
    let entry = draft.entry;
    match &entry.command {
        Command::Found {
            cluster_id,
            cluster_name,
            authority,
            agent,
            key_fingerprint,
        } => agents::found(
            draft,
            cluster_id,
            cluster_name,
            authority,
            agent,
            key_fingerprint,
        ),
        Command::CreateToken { token_hash } => tokens::create(draft, token_hash),
        Command::ExpireToken { token_hash } => tokens::expire(draft, token_hash),
        Command::Join {
            token_hash,
            key_fingerprint,
            agent,
        } => agents::join(draft, token_hash, key_fingerprint, agent),
        Command::DeclareAgent { agent_id, agent } => agents::declare(draft, *agent_id, agent),
        Command::DeclareMember { agent_id, member } => members::declare(draft, *agent_id, member),
        Command::RemoveAgent { agent_id } => agents::remove(draft, *agent_id),
        Command::SetMembers { changes } => members::set(draft, changes),
        Command::Set { key, value } => set(draft, key, value),
        Command::TextJoin {
            agent_id,
            member_id,
            host,
            port,
            state,
            role,
            draining,
        } => text_members::join(
            draft,
            *agent_id,
            member_id,
            &text_members::Said {
                host,
                port: *port,
                state: *state,
                role: *role,
                draining: *draining,
            },
        ),
        Command::TextStatus {
            agent_id,
            member_id,
            state,
            draining,
        } => text_members::status(draft, *agent_id, member_id, *state, *draining),
        Command::TextLeave {
            agent_id,
            member_id,
        } => text_members::leave(draft, *agent_id, member_id),
        Command::Recover { agent_id } => recover::recover(draft, *agent_id),
        Command::VotersAre { voters } => agents::voters_are(draft, voters),
    }
}

/// What a command that was not refused did. Only what says `Changed` or `Joined` makes a view.
enum Effect {
    Nothing,
    Changed,
    Joined(AgentId),
    JoinedBefore(AgentId),
}

/// Why a command was refused, and what to do, as a sentence.
struct Refusal(String);

impl Refusal {
    fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// A change in the making: the state, the view that it will be, and the events that tell of it.
struct Draft<'a> {
    state: &'a mut ClusterState,
    entry: &'a Entry,
    view_id: ViewId,
    events: Vec<PendingEvent>,
}

struct PendingEvent {
    kind: EventKind,
    member_id: Option<MemberId>,
    before: Option<String>,
    after: Option<String>,
    reason: String,
}

impl Draft<'_> {
    /// Notes an event without a before and after; its reason is the entry's.
    fn tell(&mut self, kind: EventKind, member_id: Option<&MemberId>) {
        let reason = self.entry.reason.clone();
        self.tell_why(kind, member_id, reason);
    }

    /// Notes an event with a reason of its own.
    fn tell_why(&mut self, kind: EventKind, member_id: Option<&MemberId>, reason: String) {
        self.tell_change(kind, member_id, None, None, reason);
    }

    /// Notes a change from something to something.
    fn tell_change(
        &mut self,
        kind: EventKind,
        member_id: Option<&MemberId>,
        before: Option<String>,
        after: Option<String>,
        reason: String,
    ) {
        self.events.push(PendingEvent {
            kind,
            member_id: member_id.cloned(),
            before,
            after,
            reason,
        });
    }

    /// Makes it the new view.
    fn commit(&mut self) -> ViewId {
        let state = &mut *self.state;
        debug_assert!(self.view_id > state.view_id);
        state.view_id = self.view_id;
        for event in self.events.drain(..) {
            if state.events.len() >= EVENTS_MAX {
                state.events.pop_front();
            }
            state.events.push_back(Event {
                event_id: state.next_event_id,
                view_id: self.view_id,
                epoch: state.epoch,
                time_us: self.entry.time_us,
                kind: event.kind,
                member_id: event.member_id,
                before: event.before.as_deref().map(clip_text),
                after: event.after.as_deref().map(clip_text),
                reason: clip_text(&event.reason),
            });
            state.next_event_id += 1;
        }
        self.view_id
    }
}

fn set(draft: &mut Draft<'_>, key: &str, value: &str) -> Result<Effect, Refusal> {
    let refuse = |error: crate::settings::SettingError| Refusal::new(error.to_string());
    let before = draft.state.settings.get(key).map_err(refuse)?;
    draft.state.settings.set(key, value).map_err(refuse)?;
    let after = draft.state.settings.get(key).map_err(refuse)?;
    if before == after {
        return Ok(Effect::Nothing);
    }
    let reason = format!("{key}: {}", draft.entry.reason);
    draft.tell_change(
        EventKind::SettingChanged,
        None,
        Some(before),
        Some(after),
        reason,
    );
    Ok(Effect::Changed)
}
