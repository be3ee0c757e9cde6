//! Who replicates from whom, as far as the reports tell.

use std::collections::{BTreeMap, BTreeSet};

use muster_link::report::{Channel, Facts};

use crate::evidence::{OwnMember, Seen};
use crate::ids::{AgentId, MemberId};
use crate::state::{ClusterState, MemberState};

/// Who replicates from whom.
pub struct Topology<'a> {
    state: &'a ClusterState,
    facts: BTreeMap<&'a MemberId, &'a Facts>,
    /// None = two members have this `server_id`, so it says nothing.
    by_server_id: BTreeMap<u32, Option<&'a MemberId>>,
    by_address: BTreeMap<(String, u16), &'a MemberId>,
}

/// What is wrong with the receiving side of a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Trouble {
    /// A receiver tries to connect, and its source is not known to be down.
    pub connecting: bool,
    /// A thread is stopped.
    pub stopped: bool,
}

impl<'a> Topology<'a> {
    /// From the newest known facts of every member.
    #[must_use]
    pub fn new(state: &'a ClusterState, agents: &'a BTreeMap<AgentId, Seen>) -> Self {
        let mut facts = BTreeMap::new();
        let mut by_server_id = BTreeMap::new();
        for (member_id, record) in &state.members {
            let own = agents
                .get(&record.agent_id)
                .and_then(|seen| speaks_for(seen, member_id));
            if let Some(known) = own.and_then(facts_of) {
                facts.insert(member_id, known);
                by_server_id
                    .entry(known.server_id)
                    .and_modify(|id| *id = None)
                    .or_insert(Some(member_id));
            }
        }
        let by_address = state
            .members
            .iter()
            .map(|(id, m)| ((m.host.to_ascii_lowercase(), m.port), id))
            .collect();
        Self {
            state,
            facts,
            by_server_id,
            by_address,
        }
    }

    /// The newest known facts of a member.
    #[must_use]
    pub fn facts(&self, member_id: &MemberId) -> Option<&'a Facts> {
        self.facts.get(member_id).copied()
    }

    /// The member that a channel receives from; none where it is outside of the cluster. MySQL tells the source's UUID;
    /// MariaDB its `server_id`, or at least the address.
    #[must_use]
    pub fn source(&self, channel: &Channel) -> Option<&'a MemberId> {
        if let Some(uuid) = channel.source_uuid.as_deref().filter(|u| !u.is_empty()) {
            return self.by_uuid(uuid);
        }
        let address = (
            channel.source_host.to_ascii_lowercase(),
            channel.source_port,
        );
        if let Some(member_id) = self.by_address.get(&address) {
            return Some(member_id);
        }
        channel
            .source_server_id
            .filter(|id| *id != 0)
            .and_then(|id| self.by_server_id.get(&id).copied().flatten())
    }

    fn by_uuid(&self, uuid: &str) -> Option<&'a MemberId> {
        let exact = MemberId(uuid.to_owned());
        let found = self.state.members.get_key_value(&exact).or_else(|| {
            let lower = MemberId(uuid.to_ascii_lowercase());
            self.state.members.get_key_value(&lower)
        });
        found.map(|(id, _)| id)
    }

    /// Members that another member replicates from, or that say so themselves of a connected replica.
    #[must_use]
    pub fn followed(&self) -> BTreeSet<&'a MemberId> {
        let mut followed = BTreeSet::new();
        for (member_id, facts) in &self.facts {
            for channel in &facts.channels {
                if let Some(source) = self.source(channel)
                    && source != *member_id
                {
                    followed.insert(source);
                }
            }
            let connected = facts.replicas.iter().any(|replica| {
                let by_uuid = self.by_uuid(replica);
                let by_server_id = replica
                    .parse::<u32>()
                    .ok()
                    .and_then(|id| self.by_server_id.get(&id).copied().flatten());
                by_uuid.or(by_server_id).is_some_and(|id| id != *member_id)
            });
            if connected {
                followed.insert(*member_id);
            }
        }
        followed
    }

    /// What is wrong with the receiving side of a server. A receiver that tries to reach a source which the group knows
    /// to be down is doing all it can: that trouble is its source's.
    #[must_use]
    pub fn trouble(&self, own: &OwnMember) -> Trouble {
        let mut trouble = Trouble::default();
        for channel in facts_of(own).into_iter().flat_map(|f| &f.channels) {
            let receiving = channel.receiver_running || channel.receiver_connecting;
            if !receiving || !channel.applier_running {
                trouble.stopped = true;
            }
            if !channel.receiver_running && channel.receiver_connecting {
                let source = self
                    .source(channel)
                    .and_then(|id| self.state.members.get(id));
                trouble.connecting |=
                    source.is_none_or(|source| source.state == MemberState::Online);
            }
        }
        trouble
    }
}

/// What the agent said of its server, if that is the member asked for.
#[must_use]
pub fn speaks_for<'a>(seen: &'a Seen, member_id: &MemberId) -> Option<&'a OwnMember> {
    seen.own
        .as_deref()
        .filter(|own| own.identity.member_id == member_id.0)
}

/// The facts of the newest report.
#[must_use]
pub fn facts_of(own: &OwnMember) -> Option<&Facts> {
    own.report.as_ref().and_then(|report| report.facts.as_ref())
}
