//! The promises, looked after at every step.

use std::collections::BTreeMap;

use muster_core::ids::AgentId;
use muster_core::state::{ClusterState, MemberRole, MemberState};

/// What has been seen so far, to compare with.
#[derive(Debug, Default)]
pub struct Checks {
    /// Key with which each number of an agent was given.
    keys: BTreeMap<AgentId, String>,
    /// Reports as each voter received them from each agent: when the newest was made, and since when there was no gap
    /// longer than a ttl between them.
    heard: BTreeMap<(AgentId, AgentId), Heard>,
    /// Times that a member became unreachable.
    pub unreachable: usize,
    /// Changes of state by host, for those who count.
    pub changes: BTreeMap<String, usize>,
}

#[derive(Debug, Clone, Copy)]
struct Heard {
    incarnation: u64,
    number: u64,
    made_ms: u64,
    steady_since_ms: u64,
}

impl Checks {
    /// A committed entry made this state of that one.
    ///
    /// # Errors
    /// The promise that it breaks.
    pub fn committed(&mut self, before: &ClusterState, after: &ClusterState) -> Result<(), String> {
        if after.view_id < before.view_id {
            return Err(format!(
                "VIEW_ID went back from {} to {}",
                before.view_id, after.view_id
            ));
        }
        let same_view = after.view_id == before.view_id;
        if after.founded() && same_view != (after == before) {
            return Err(format!(
                "view {} and its content do not change together",
                after.view_id
            ));
        }
        if after.view_id.0 > before.view_id.0 + 1 {
            return Err("one entry made more than one view".to_owned());
        }
        let primaries = after
            .members
            .values()
            .filter(|m| m.role == MemberRole::Primary)
            .count();
        let writable: Vec<_> = after.members.values().filter(|m| m.writable).collect();
        if primaries > 1 || writable.len() > 1 {
            return Err(format!(
                "{primaries} PRIMARY and {} WRITABLE in view {}",
                writable.len(),
                after.view_id
            ));
        }
        if writable
            .iter()
            .any(|m| m.role != MemberRole::Primary || m.state != MemberState::Online)
        {
            return Err("a writable member is not an online primary".to_owned());
        }
        for (id, agent) in &after.agents {
            let key = self
                .keys
                .entry(*id)
                .or_insert_with(|| agent.key_fingerprint.clone());
            if *key != agent.key_fingerprint {
                return Err(format!("number {id} was given to two agents"));
            }
        }
        for (id, member) in &after.members {
            if before.members.get(id).map(|m| m.state) != Some(member.state) {
                *self.changes.entry(id.0.clone()).or_default() += 1;
                self.unreachable += usize::from(member.state == MemberState::Unreachable);
            }
        }
        let ids: Vec<u64> = after.events.iter().map(|e| e.event_id).collect();
        if !ids.is_sorted_by(|a, b| a < b) {
            return Err("numbers of events do not grow".to_owned());
        }
        Ok(())
    }

    /// A voter received a heartbeat of an agent that has a server.
    pub fn heard(
        &mut self,
        voter: AgentId,
        about: AgentId,
        (incarnation, number): (u64, u64),
        made_ms: u64,
        now_ms: u64,
        ttl_ms: u64,
    ) {
        let heard = self.heard.entry((voter, about)).or_insert(Heard {
            incarnation,
            number: 0,
            made_ms: 0,
            steady_since_ms: now_ms,
        });
        if now_ms.saturating_sub(heard.made_ms) > ttl_ms {
            heard.steady_since_ms = now_ms;
        }
        if heard.incarnation != incarnation || number > heard.number {
            heard.incarnation = incarnation;
            heard.number = number;
            heard.made_ms = heard.made_ms.max(made_ms);
        }
    }

    /// The leader says that the server of an agent is unreachable: not true while a majority of voters has been hearing it
    /// for so long that their word must have arrived.
    ///
    /// # Errors
    /// The promise that it breaks.
    pub fn said_unreachable(
        &self,
        about: AgentId,
        voters: &[AgentId],
        now_ms: u64,
        (ttl_ms, patience_ms): (u64, u64),
    ) -> Result<(), String> {
        let hear = voters
            .iter()
            .filter(|voter| {
                self.heard.get(&(**voter, about)).is_some_and(|heard| {
                    now_ms.saturating_sub(heard.made_ms) <= ttl_ms
                        && now_ms.saturating_sub(heard.steady_since_ms) > patience_ms
                })
            })
            .count();
        if hear > voters.len() / 2 {
            return Err(format!(
                "the server of agent {about} is called unreachable while {hear} of {} voters hear it",
                voters.len()
            ));
        }
        Ok(())
    }

    /// How long ago the newest report of an agent's server, that a voter has received, was made.
    #[must_use]
    pub fn report_age_ms(&self, voter: AgentId, about: AgentId, now_ms: u64) -> Option<u64> {
        self.heard
            .get(&(voter, about))
            .map(|heard| now_ms.saturating_sub(heard.made_ms))
    }
}
