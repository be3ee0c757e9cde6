//! The newest picture of the cluster, as one immutable value that readers share.
//!
//! The link's thread publishes a new [`Snapshot`] whenever something came; a reader takes the current one and keeps
//! it as long as it needs. Neither waits for the other.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arc_swap::ArcSwap;
use muster_link::view::{AgentObserved, EventRow, MemberObserved, Observed, View};

/// A connected agent sends at least every report interval; after this long without a word the view is called stale.
pub const STALE_AFTER_MS: u64 = muster_link::limits::AGENT_SILENCE_MS_MAX;

/// Where the link to the agent stands: AGENT_STATE of CLUSTER_VIEW.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentState {
    /// The agent has welcomed this server.
    Connected,
    /// It was connected once; the link is being made again.
    Connecting,
    /// No agent has answered since the daemon plugin was installed.
    NeverConnected,
    /// The daemon plugin is not installed.
    NotInstalled,
}

impl AgentState {
    /// The word that tables and status variables show.
    pub fn as_str(self) -> &'static str {
        match self {
            AgentState::Connected => "CONNECTED",
            AgentState::Connecting => "CONNECTING",
            AgentState::NeverConnected => "NEVER_CONNECTED",
            AgentState::NotInstalled => "NOT_INSTALLED",
        }
    }
}

/// Everything that a table read shows. Parts that did not change are shared with the snapshot before.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// State of the link.
    pub agent_state: AgentState,
    /// Why the link is not there, as a sentence, where that is known.
    pub agent_error: Option<String>,
    /// CLOCK_BOOTTIME in milliseconds at which the agent was last heard; none = never.
    pub heard_boot_ms: Option<u64>,
    /// The ordered facts.
    pub view: Arc<View>,
    /// The observed facts.
    pub observed: Arc<Observed>,
    /// The newest events, oldest first, at most `muster_link::limits::EVENTS_MAX`.
    pub events: Arc<Vec<EventRow>>,
    /// For each member of `view` where it is in `observed.members`.
    member_index: Vec<Option<usize>>,
    /// For each agent of `view` where it is in `observed.agents`.
    agent_index: Vec<Option<usize>>,
}

impl Snapshot {
    /// Nothing known yet.
    pub fn empty(agent_state: AgentState) -> Self {
        Snapshot::new(
            agent_state,
            None,
            None,
            Arc::default(),
            Arc::default(),
            Arc::default(),
        )
    }

    /// Puts the parts together and finds the observed facts of every ordered row once, for all readers.
    pub fn new(
        agent_state: AgentState,
        agent_error: Option<String>,
        heard_boot_ms: Option<u64>,
        view: Arc<View>,
        observed: Arc<Observed>,
        events: Arc<Vec<EventRow>>,
    ) -> Self {
        let members: HashMap<&str, usize> = observed
            .members
            .iter()
            .enumerate()
            .map(|(at, seen)| (seen.member_id.as_str(), at))
            .collect();
        let agents: HashMap<u64, usize> = observed
            .agents
            .iter()
            .enumerate()
            .map(|(at, seen)| (seen.agent_id, at))
            .collect();
        let member_index = view
            .members
            .iter()
            .map(|row| members.get(row.member_id.as_str()).copied())
            .collect();
        let agent_index = view
            .agents
            .iter()
            .map(|row| agents.get(&row.agent_id).copied())
            .collect();
        Snapshot {
            agent_state,
            agent_error,
            heard_boot_ms,
            view,
            observed,
            events,
            member_index,
            agent_index,
        }
    }

    /// Observed facts of the member at position `at` of the view, if there are any.
    pub fn member_observed(&self, at: usize) -> Option<&MemberObserved> {
        self.observed.members.get((*self.member_index.get(at)?)?)
    }

    /// Observed facts of the agent at position `at` of the view, if there are any.
    pub fn agent_observed(&self, at: usize) -> Option<&AgentObserved> {
        self.observed.agents.get((*self.agent_index.get(at)?)?)
    }

    /// Milliseconds since the agent was last heard; none = it never was.
    pub fn age_ms(&self, now_boot_ms: u64) -> Option<u64> {
        self.heard_boot_ms
            .map(|heard| now_boot_ms.saturating_sub(heard))
    }

    /// What a reader should be warned of, as a sentence; none when the picture is fresh.
    pub fn warning(&self, now_boot_ms: u64) -> Option<String> {
        let age = match self.age_ms(now_boot_ms) {
            Some(age) => format!("what is shown is {age} ms old"),
            None => "nothing is known of the cluster".to_owned(),
        };
        let why = self
            .agent_error
            .as_deref()
            .unwrap_or("no agent answers on muster_agent_socket");
        match self.agent_state {
            AgentState::NotInstalled => Some(format!(
                "Muster: the daemon plugin is not installed in this server, {age}; run INSTALL PLUGIN muster SONAME 'muster.so'"
            )),
            AgentState::NeverConnected => Some(format!(
                "Muster: not connected to the local agent yet ({why}), {age}"
            )),
            AgentState::Connecting => Some(format!(
                "Muster: the link to the local agent is down ({why}), {age}"
            )),
            AgentState::Connected => match self.age_ms(now_boot_ms) {
                Some(ms) if ms > STALE_AFTER_MS => {
                    Some(format!("Muster: the local agent is silent, {age}"))
                }
                Some(_) => None,
                None => Some("Muster: the local agent has not sent its view yet".to_owned()),
            },
        }
    }
}

static CURRENT: LazyLock<ArcSwap<Snapshot>> =
    LazyLock::new(|| ArcSwap::from_pointee(Snapshot::empty(AgentState::NotInstalled)));

/// The newest snapshot.
pub fn current() -> Arc<Snapshot> {
    CURRENT.load_full()
}

/// Makes `snapshot` the newest one; readers that hold an older one keep it.
pub fn publish(snapshot: Snapshot) {
    CURRENT.store(Arc::new(snapshot));
}

/// What remains when the daemon is gone: the last picture, which nobody renews.
pub fn unplug() {
    let old = current();
    let (view, observed, events) = (old.view.clone(), old.observed.clone(), old.events.clone());
    publish(Snapshot::new(
        AgentState::NotInstalled,
        None,
        old.heard_boot_ms,
        view,
        observed,
        events,
    ));
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_link::view::MemberRow;

    #[test]
    fn observed_facts_are_found_by_member_id_whatever_their_order() {
        let view = View {
            members: ["a", "b", "c"]
                .map(|id| MemberRow {
                    member_id: id.into(),
                    ..Default::default()
                })
                .to_vec(),
            ..Default::default()
        };
        let observed = Observed {
            members: ["c", "a"]
                .map(|id| MemberObserved {
                    member_id: id.into(),
                    gtid_executed: format!("of {id}"),
                    ..Default::default()
                })
                .to_vec(),
            ..Default::default()
        };
        let snapshot = Snapshot::new(
            AgentState::Connected,
            None,
            Some(10),
            Arc::new(view),
            Arc::new(observed),
            Arc::default(),
        );
        let seen: Vec<_> = (0..4)
            .map(|at| {
                snapshot
                    .member_observed(at)
                    .map(|seen| seen.gtid_executed.as_str())
            })
            .collect();
        assert_eq!(seen, [Some("of a"), None, Some("of c"), None]);
    }

    #[test]
    fn only_a_fresh_picture_of_a_connected_agent_goes_without_a_warning() {
        let at = |state, heard| Snapshot {
            heard_boot_ms: heard,
            ..Snapshot::empty(state)
        };
        assert_eq!(
            at(AgentState::Connected, Some(1_000)).warning(1_000 + STALE_AFTER_MS),
            None
        );
        let stale = at(AgentState::Connected, Some(1_000))
            .warning(1_001 + STALE_AFTER_MS)
            .unwrap();
        assert!(stale.contains("3001 ms old"), "{stale}");
        for state in [
            AgentState::NotInstalled,
            AgentState::NeverConnected,
            AgentState::Connecting,
        ] {
            assert!(at(state, Some(1_000)).warning(1_000).is_some());
        }
        assert!(at(AgentState::Connected, None).warning(1_000).is_some());
    }
}
