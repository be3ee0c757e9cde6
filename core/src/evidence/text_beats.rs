//! When the members of the text protocol were last heard: for showing only. Their silence is judged by the agent that
//! they joined through, and by nobody else.

use std::collections::BTreeMap;

use super::TextBeat;
use crate::ids::{AgentId, MemberId};
use crate::limits::MEMBERS_MAX;
use crate::state::{ClusterState, MemberKind};

/// When one was last heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextHeard {
    /// On this agent's clock, in milliseconds.
    pub heard_ms: u64,
    /// Wall clock of the host of the agent that heard it, microseconds since 1970 UTC; for people only.
    pub wall_clock_us: i64,
}

/// Members of the text protocol that joined through one agent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextBeats(BTreeMap<MemberId, TextHeard>);

impl TextBeats {
    /// What another agent told at `said_ms`.
    pub(super) fn told(said_ms: u64, beats: Vec<TextBeat>) -> Self {
        Self(
            beats
                .into_iter()
                .take(MEMBERS_MAX)
                .map(|beat| {
                    let heard = TextHeard {
                        heard_ms: said_ms.saturating_sub(beat.age_ms),
                        wall_clock_us: beat.wall_clock_us,
                    };
                    (beat.member_id, heard)
                })
                .collect(),
        )
    }

    /// The same for another to hear at `now_ms`.
    pub(super) fn tell(&self, now_ms: u64) -> Vec<TextBeat> {
        self.0
            .iter()
            .map(|(member_id, heard)| TextBeat {
                member_id: member_id.clone(),
                age_ms: now_ms.saturating_sub(heard.heard_ms),
                wall_clock_us: heard.wall_clock_us,
            })
            .collect()
    }

    pub(super) fn hear(&mut self, now_ms: u64, member_id: &MemberId, wall_clock_us: i64) {
        if self.0.len() < MEMBERS_MAX || self.0.contains_key(member_id) {
            let heard = TextHeard {
                heard_ms: now_ms,
                wall_clock_us,
            };
            self.0.insert(member_id.clone(), heard);
        }
    }

    /// Keeps those that still belong to `agent_id`.
    pub(super) fn follow(&mut self, state: &ClusterState, agent_id: AgentId) {
        self.0.retain(|member_id, _| {
            let member = state.members.get(member_id);
            member.is_some_and(|m| m.kind == MemberKind::Text && m.agent_id == agent_id)
        });
    }

    /// When `member_id` was last heard.
    #[must_use]
    pub fn get(&self, member_id: &MemberId) -> Option<TextHeard> {
        self.0.get(member_id).copied()
    }
}
