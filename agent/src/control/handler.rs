//! What the control socket needs from the agent behind it. The wiring implements this; tests use a fake.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use muster_link::view::{EventRow, Observed, View};
use tokio::sync::watch;

use super::types::{
    ConfigReply, Done, InitReply, InitRequest, JoinReply, JoinRequest, Local, RecoverRequest,
    RemoveRequest, Setting, TokenReply,
};

/// An answer that takes a while.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Refusal>> + Send + 'a>>;

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request does not fit the state of the cluster or of this agent; nothing has changed. Answered with 409.
    #[error("{0}")]
    Refused(String),
    /// It was tried and went wrong; the sentence says what happened to the state. Answered with 500.
    #[error("{0}")]
    Failed(String),
}

impl Refusal {
    /// Nothing has changed; the sentence says why, and what to do.
    pub fn refused(sentence: impl Into<String>) -> Self {
        Self::Refused(sentence.into())
    }

    /// It went wrong; the sentence says what happened to the state, and what to do.
    pub fn failed(sentence: impl Into<String>) -> Self {
        Self::Failed(sentence.into())
    }
}

/// What an agent shows at one moment: the same parts that it hands to its plugin.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    /// The ordered part.
    pub view: Arc<View>,
    /// The observed part.
    pub observed: Arc<Observed>,
    /// CLOCK_BOOTTIME of this host in milliseconds, at the moment of the call.
    pub now_boot_ms: u64,
    /// The agent itself and its plugin.
    pub local: Local,
}

/// The agent, as the control socket sees it.
///
/// The three looking methods are reads of a snapshot and never wait. An action runs to its end even when the one who
/// asked has hung up; it bounds its own time, so that the one who asked gets a sentence rather than silence
/// ([`super::ACTION_MS_MAX`]).
pub trait Handler: Send + Sync + 'static {
    /// What this agent shows now.
    fn picture(&self) -> Picture;

    /// Events with a number above `after`, oldest first: all that are kept.
    fn events_after(&self, after: u64) -> Vec<EventRow>;

    /// The number of the newest event, changing with each new one.
    fn newest_event(&self) -> watch::Receiver<u64>;

    /// The group's settings.
    fn config_get(&self) -> Answer<'_, ConfigReply>;

    /// Changes one setting of the group.
    fn config_set(&self, setting: Setting) -> Answer<'_, Done>;

    /// Makes a cluster with this agent in it.
    fn init(&self, request: InitRequest) -> Answer<'_, InitReply>;

    /// Makes a join token.
    fn token_create(&self) -> Answer<'_, TokenReply>;

    /// Brings this agent into a cluster; answers when it has received the state.
    fn join(&self, request: JoinRequest) -> Answer<'_, JoinReply>;

    /// Takes this agent out of its cluster.
    fn leave(&self) -> Answer<'_, Done>;

    /// Forgets another agent, and its member with it.
    fn remove(&self, request: RemoveRequest) -> Answer<'_, Done>;

    /// Goes on alone after the majority is lost for good.
    fn recover(&self, request: RecoverRequest) -> Answer<'_, Done>;
}
