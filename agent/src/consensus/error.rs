//! What can go wrong, said so that a person knows what happened and what to do.

use std::path::PathBuf;

use muster_core::ids::AgentId;

/// Why the store could not be opened. The agent must not start: it could forget a promise it has made.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the store open.
    #[error(
        "another muster agent is already running on {path}: stop it first, or give this one a folder of its own",
        path = .0.display()
    )]
    InUse(PathBuf),
    /// The folder or a file in it cannot be used.
    #[error(
        "the store {path} cannot be used: {why}; check that the folder exists on a healthy disk with free space and \
         belongs to the user that muster runs as",
        path = .path.display()
    )]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        why: std::io::Error,
    },
    /// What is on disk is not what was written.
    #[error(
        "the store {path} is damaged: {why}; this agent does not start on it, because it might have forgotten a vote \
         or an agreed change. If the others are well: take this agent out with 'muster remove', move the folder away and \
         join again as a new agent. If this was the only copy: restore the folder from a backup",
        path = .path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The store is another agent's.
    #[error(
        "the store {path} belongs to agent {found}, not to agent {wanted}: an agent's number is used once, so point \
         this agent to its own folder, or join again as a new agent with an empty one",
        path = .path.display()
    )]
    OtherAgent {
        /// Which file.
        path: PathBuf,
        /// The agent that the store says it belongs to.
        found: AgentId,
        /// The agent that wanted to open it.
        wanted: AgentId,
    },
    /// Nothing to recover from.
    #[error(
        "the store {path} holds no cluster: there is nothing to recover; 'muster init' makes a new one",
        path = .0.display()
    )]
    Empty(PathBuf),
    /// This agent is not one of the cluster's any more.
    #[error(
        "agent {agent} was removed from the cluster that the store {path} holds, so the cluster cannot go on from here: \
         recover on a host that still belongs to it",
        path = .path.display()
    )]
    NotInCluster {
        /// Which folder.
        path: PathBuf,
        /// The agent.
        agent: AgentId,
    },
    /// The engine did not start.
    #[error("the consensus did not start: {0}")]
    Engine(String),
}

/// Why a proposal, a barrier or a change of the group did not go through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Only the leader can propose; nothing has happened.
    #[error("this agent does not lead; {}", match .leader {
        Some(leader) => format!("agent {leader} does: ask that one"),
        None => "no leader is known at the moment: try again".to_owned(),
    })]
    NotLeader {
        /// Who leads, as far as known.
        leader: Option<AgentId>,
    },
    /// This agent led, but reached no majority in time; nothing has happened.
    #[error(
        "no majority of the voters answered within {after_ms} ms, nothing was changed: see 'muster agents' for who is missing"
    )]
    NoQuorum {
        /// How long it tried.
        after_ms: u64,
    },
    /// It may have happened or may still happen: look at the state before trying again.
    #[error(
        "the change was handed to the group, but whether it was agreed on is not known ({why}): look at the state before trying again"
    )]
    Unknown {
        /// What came in between.
        why: String,
    },
    /// The group cannot do that; nothing has happened.
    #[error("{0}")]
    Refused(String),
    /// The consensus of this agent has ended.
    #[error("the consensus of this agent has stopped: {0}")]
    Stopped(String),
}

/// Why a request of another agent was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServeError {
    /// The sender speaks for another agent than its certificate says, or does not belong to the group any more.
    #[error("the request of agent {from} was refused: {why}")]
    Refused {
        /// Who sent it, by its certificate.
        from: AgentId,
        /// Why.
        why: String,
    },
    /// The consensus of this agent has ended.
    #[error("the consensus of this agent has stopped: {0}")]
    Stopped(String),
}
