//! Where the other agents are reached, for everything that calls them.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use muster_core::ids::AgentId;
use muster_core::state::ClusterState;

use crate::consensus::{BoxFuture, RaftReply, RaftRpc, RaftTransport, TransportError};
use crate::peer::client::PeerClient;

/// The client with the newest addresses of the ordered state. The consensus keeps addresses of its own, from when an
/// agent was let in; a host that has moved since is found by what it declared last.
#[derive(Debug)]
pub(super) struct Routes {
    pub(super) client: PeerClient,
    addresses: RwLock<BTreeMap<AgentId, String>>,
}

impl Routes {
    pub(super) fn new(client: PeerClient) -> Self {
        Self {
            client,
            addresses: RwLock::default(),
        }
    }

    /// Takes the addresses of a new state, and closes connections to who does not belong any more.
    pub(super) fn update(&self, state: &ClusterState) {
        let new: BTreeMap<_, _> = state
            .agents
            .iter()
            .map(|(id, a)| (*id, a.address.clone()))
            .collect();
        let mut known = self
            .addresses
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if *known == new {
            return;
        }
        *known = new;
        drop(known);
        self.client.retain(|id| !state.removed_agents.contains(&id));
    }

    /// `host:port` of an agent of the newest state.
    pub(super) fn address_of(&self, id: AgentId) -> Option<String> {
        self.addresses
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned()
    }
}

impl RaftTransport for Routes {
    fn call<'a>(
        &'a self,
        to: AgentId,
        address: &'a str,
        rpc: RaftRpc,
        deadline: Duration,
    ) -> BoxFuture<'a, Result<RaftReply, TransportError>> {
        Box::pin(async move {
            let newest = self.address_of(to);
            let address = newest.as_deref().unwrap_or(address);
            RaftTransport::call(&self.client, to, address, rpc, deadline).await
        })
    }
}
