//! What this agent does for the text protocol.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_core::command::{Entry, Outcome};
use muster_core::ids::{AgentId, MemberId};
use muster_core::state::ClusterState;

use super::run::Node;
use crate::text::{Beat, Group};

/// The agent, as the text protocol sees it.
pub(super) struct TextSide(pub(super) Arc<Node>);

impl Group for TextSide {
    fn agent_id(&self) -> Option<AgentId> {
        self.0.phase.load().member().map(|m| m.me)
    }

    fn state(&self) -> Arc<ClusterState> {
        self.0.means.shown.state()
    }

    fn beats(&self) -> BTreeMap<MemberId, Beat> {
        let observed = self.0.means.shown.observed();
        let beats = observed.members.iter().map(|seen| {
            let beat = Beat {
                wall_us: seen.wall_clock_us,
                ttl_ms: seen.heartbeat_ttl_ms,
            };
            (MemberId(seen.member_id.clone()), beat)
        });
        beats.collect()
    }

    fn heard(&self, member_id: &MemberId, boot_ms: u64, wall_us: i64) {
        if let Some(member) = self.0.phase.load().member() {
            member.evidence().hear_text(boot_ms, member_id, wall_us);
        }
    }

    async fn propose(&self, entry: Entry) -> Result<Outcome, String> {
        let phase = self.0.phase.load_full();
        let Some(member) = phase.member() else {
            return Err(phase.sentence().unwrap_or_default().to_owned());
        };
        let done = member
            .propose_entry(entry)
            .await
            .map_err(|e| e.to_string())?;
        Ok(done.outcome)
    }
}
