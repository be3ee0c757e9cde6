//! The requests and answers themselves, in the engine's own types; opaque outside this folder.

use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize};

use super::types::{SnapshotMeta, TypeConfig, Vote};

/// What one agent's consensus asks of another's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Question {
    /// Store these entries, or learn that there are none beyond these.
    Append(AppendEntriesRequest<TypeConfig>),
    /// I lead. Names the last entry that the receiver has told this leader it holds; the answer is that of an append.
    Heartbeat(AppendEntriesRequest<TypeConfig>),
    /// Vote for me.
    Vote(VoteRequest<TypeConfig>),
    /// Would you vote for me? Changes nothing at the voter, so that an agent that was cut off disturbs nobody.
    PreVote(VoteRequest<TypeConfig>),
    /// Take over the whole state.
    Snapshot {
        /// The leader that sends it.
        vote: Vote,
        /// What the state contains.
        meta: SnapshotMeta,
        /// The state, as JSON text.
        data: String,
    },
    /// Lead from now on.
    Transfer(TransferLeaderRequest<TypeConfig>),
}

impl Question {
    /// A word for logs and metrics.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Append(_) => "append",
            Self::Heartbeat(_) => "heartbeat",
            Self::Vote(_) => "vote",
            Self::PreVote(_) => "pre_vote",
            Self::Snapshot { .. } => "snapshot",
            Self::Transfer(_) => "transfer",
        }
    }
}

/// What the other answers. Its kind must be that of the question.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Answer {
    /// To [`Question::Append`] and [`Question::Heartbeat`].
    Append(AppendEntriesResponse<TypeConfig>),
    /// To [`Question::Vote`].
    Vote(VoteResponse<TypeConfig>),
    /// To [`Question::PreVote`].
    PreVote(VoteResponse<TypeConfig>),
    /// To [`Question::Snapshot`].
    Snapshot(SnapshotResponse<TypeConfig>),
    /// To [`Question::Transfer`].
    Transfer(TransferLeaderResponse<TypeConfig>),
}
