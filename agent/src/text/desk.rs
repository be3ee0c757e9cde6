//! What the requests do: commands to the group where something changes, and nothing but a note where nothing does.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use muster_core::command::{Command, Entry, Outcome};
use muster_core::ids::{AgentId, MemberId};
use muster_core::limits::TEXT_TTL_MS;
use muster_core::state::{ClusterState, MemberKind, MemberRecord};
use uuid::Uuid;

use super::grammar::{Address, Answer, Error, Request, Row, Status};
use super::presence::Presence;
use crate::clock::{boot_ms, wall_us};

/// What the text protocol needs of the rest of the agent.
pub trait Group: Send + Sync + 'static {
    /// This agent; none before it belongs to a cluster.
    fn agent_id(&self) -> Option<AgentId>;
    /// The newest ordered state that was applied here.
    fn state(&self) -> Arc<ClusterState>;
    /// What is known here of the heartbeats of members that did not join by text through this agent.
    fn beats(&self) -> BTreeMap<MemberId, Beat>;
    /// A member that joined through this agent was heard: everybody's rows should say so.
    fn heard(&self, member_id: &MemberId, boot_ms: u64, wall_us: i64);
    /// Proposes a change and waits until it is committed; an error is a sentence that says why not.
    fn propose(&self, entry: Entry) -> impl Future<Output = Result<Outcome, String>> + Send;
}

/// A member's last heartbeat as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// Wall clock of the member's own host, microseconds since 1970 UTC.
    pub wall_us: Option<i64>,
    /// How long a heartbeat stays valid, in milliseconds.
    pub ttl_ms: u64,
}

/// Answers requests and counts silence.
#[derive(Debug)]
pub(super) struct Desk<G> {
    group: G,
    presence: Mutex<Presence>,
}

impl<G: Group> Desk<G> {
    pub(super) fn new(group: G) -> Self {
        Self {
            group,
            presence: Mutex::default(),
        }
    }

    pub(super) async fn answer(&self, request: Request) -> Answer {
        match self.try_answer(request).await {
            Ok(answer) => answer,
            Err(error) => Answer::Error(error),
        }
    }

    /// Lets go of those that have been silent for their ttl. To be called every [`super::presence::LOOK_EVERY_MS`].
    pub(super) async fn look(&self) {
        let Some(agent_id) = self.group.agent_id() else {
            return;
        };
        let state = self.group.state();
        let ours = text_members_of(&state, agent_id).map(|(id, _)| id);
        let expired = self.presence().look(boot_ms(), ours);
        for member_id in expired {
            let name = state
                .members
                .get(&member_id)
                .map_or("", |m| m.name.as_str());
            let reason = format!("{name} sent no heartbeat for {} s", TEXT_TTL_MS / 1_000);
            let leave = Command::TextLeave {
                agent_id,
                member_id: member_id.clone(),
            };
            // Without a majority it stays, and the next look tries again.
            match self.group.propose(entry(reason, leave)).await {
                Ok(outcome) => tracing::info!(member = name, ?outcome, "a text member expired"),
                Err(error) => {
                    tracing::debug!(member = name, %error, "a text member's end could not be told")
                }
            }
        }
    }

    async fn try_answer(&self, request: Request) -> Result<Answer, Error> {
        let agent_id = self
            .group
            .agent_id()
            .ok_or_else(|| Error::other("This agent belongs to no cluster yet"))?;
        let state = self.group.state();
        match request {
            Request::ServerList => Ok(Answer::Rows(self.rows(&state, agent_id))),
            Request::Join {
                address,
                status,
                role,
            } => {
                let member_id = member_id(&state, &address);
                let reason = format!("{address} said join {}", status.word());
                let (member_state, draining) = status.state();
                let as_it_is = state.members.get(&member_id).is_some_and(|known| {
                    known.kind == MemberKind::Text
                        && known.agent_id == agent_id
                        && known.host == address.host
                        && (known.state, known.draining) == (member_state, draining)
                        && known.role == role
                });
                if as_it_is {
                    self.hear(&member_id);
                    return Ok(Answer::Ok);
                }
                let join = Command::TextJoin {
                    agent_id,
                    member_id: member_id.clone(),
                    host: address.host,
                    port: address.port,
                    state: member_state,
                    role,
                    draining,
                };
                self.propose(entry(reason, join)).await?;
                self.hear(&member_id);
                Ok(Answer::Ok)
            }
            Request::Heartbeat { address, status } => {
                let (member_id, record) = known(&state, &address)?;
                ours(record, agent_id)?;
                let mut record = record.clone();
                let (member_state, draining) = status.state();
                if (record.state, record.draining) != (member_state, draining) {
                    let reason = format!("{address} said {}", status.word());
                    let command = Command::TextStatus {
                        agent_id,
                        member_id: member_id.clone(),
                        state: member_state,
                        draining,
                    };
                    self.propose(entry(reason, command)).await?;
                    (record.state, record.draining) = (member_state, draining);
                }
                self.hear(&member_id);
                let beat = self.beat_of_ours(&member_id);
                Ok(Answer::Rows(vec![row(&record, beat)]))
            }
            Request::Leave { address } => {
                let (member_id, record) = known(&state, &address)?;
                ours(record, agent_id)?;
                let leave = Command::TextLeave {
                    agent_id,
                    member_id,
                };
                self.propose(entry(format!("{address} said leave"), leave))
                    .await?;
                Ok(Answer::Ok)
            }
        }
    }

    async fn propose(&self, entry: Entry) -> Result<(), Error> {
        match self.group.propose(entry).await {
            Ok(Outcome::Refused { reason }) => Err(Error::other(reason)),
            Ok(_) => Ok(()),
            Err(sentence) => Err(Error::other(sentence)),
        }
    }

    fn rows(&self, state: &ClusterState, agent_id: AgentId) -> Vec<Row> {
        let beats = self.group.beats();
        let mut rows: Vec<_> = state
            .members
            .iter()
            .map(|(id, record)| {
                let ours = record.kind == MemberKind::Text && record.agent_id == agent_id;
                let beat = match (ours, record.kind) {
                    (true, _) => self.beat_of_ours(id),
                    (false, kind) => beats.get(id).copied().unwrap_or(Beat {
                        wall_us: None,
                        ttl_ms: match kind {
                            MemberKind::Text => TEXT_TTL_MS,
                            MemberKind::Plugin => state.settings.heartbeat_ttl_ms,
                        },
                    }),
                };
                row(record, beat)
            })
            .collect();
        rows.sort_by(|a, b| (a.agent_id, &a.host, a.port).cmp(&(b.agent_id, &b.host, b.port)));
        rows
    }

    fn hear(&self, member_id: &MemberId) {
        let (boot_ms, wall_us) = (boot_ms(), wall_us());
        self.presence().hear(member_id, boot_ms, wall_us);
        self.group.heard(member_id, boot_ms, wall_us);
    }

    fn beat_of_ours(&self, member_id: &MemberId) -> Beat {
        Beat {
            wall_us: self
                .presence()
                .last(member_id)
                .and_then(|heard| heard.wall_us),
            ttl_ms: TEXT_TTL_MS,
        }
    }

    fn presence(&self) -> MutexGuard<'_, Presence> {
        // Each call under this lock leaves it whole.
        self.presence.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The MEMBER_ID of a server that speaks the text protocol: always the same for a host and port in one cluster,
/// whichever agent it comes through. Host names differ by more than their case or not at all.
#[must_use]
pub fn text_member_id(cluster_id: &str, host: &str, port: u16) -> MemberId {
    let space = Uuid::parse_str(cluster_id)
        .unwrap_or_else(|_| Uuid::new_v5(&Uuid::NAMESPACE_OID, cluster_id.as_bytes()));
    let name = format!("muster text {}:{port}", host.to_ascii_lowercase());
    MemberId(
        Uuid::new_v5(&space, name.as_bytes())
            .hyphenated()
            .to_string(),
    )
}

fn member_id(state: &ClusterState, address: &Address) -> MemberId {
    text_member_id(&state.cluster_id, &address.host, address.port)
}

/// The member at `address`: the one that joined by text, else one with a plugin there.
fn known<'a>(
    state: &'a ClusterState,
    address: &Address,
) -> Result<(MemberId, &'a MemberRecord), Error> {
    let id = member_id(state, address);
    if let Some(record) = state.members.get(&id) {
        return Ok((id, record));
    }
    let same =
        |m: &MemberRecord| m.port == address.port && m.host.eq_ignore_ascii_case(&address.host);
    match state.members.iter().find(|(_, m)| same(m)) {
        Some((id, record)) => Ok((id.clone(), record)),
        None => Err(Error::other(format!(
            "No member bears the name {address}; send join first"
        ))),
    }
}

/// The group would refuse it too, but only after it has become an entry of everybody's log.
fn ours(record: &MemberRecord, agent_id: AgentId) -> Result<(), Error> {
    if record.kind != MemberKind::Text {
        return Err(Error::other(format!(
            "Member {} reports by its plugin, the text protocol has no say in it",
            record.name
        )));
    }
    if record.agent_id != agent_id {
        return Err(Error::other(format!(
            "{} joined through agent {}, and only that one speaks for it; send join here to move it",
            record.name, record.agent_id
        )));
    }
    Ok(())
}

fn text_members_of(
    state: &ClusterState,
    agent_id: AgentId,
) -> impl Iterator<Item = (&MemberId, &MemberRecord)> {
    state
        .members
        .iter()
        .filter(move |(_, m)| m.kind == MemberKind::Text && m.agent_id == agent_id)
}

fn row(record: &MemberRecord, beat: Beat) -> Row {
    Row {
        agent_id: record.agent_id.0,
        host: record.host.clone(),
        port: record.port,
        status: Status::of(record.state, record.draining),
        role: record.role,
        // Scripts compare whole seconds; a shorter time than the true one would call a good row stale.
        ttl_s: beat.ttl_ms.div_ceil(1_000),
        last_heartbeat_us: beat.wall_us,
    }
}

fn entry(reason: String, command: Command) -> Entry {
    Entry {
        time_us: wall_us(),
        reason,
        command,
    }
}

#[cfg(test)]
#[path = "desk_tests.rs"]
pub(super) mod tests;
