//! Commands to propose.

use muster_core::command::{AgentDeclaration, Command, Entry};
use muster_core::ids::AgentId;
use muster_core::state::{Authority, ClusterState};

/// Address of agent `id` in these tests.
#[must_use]
pub fn address(id: AgentId) -> String {
    format!("host-{id}.test:7400")
}

fn declaration(id: AgentId, version: &str) -> AgentDeclaration {
    AgentDeclaration {
        name: format!("host-{id}"),
        address: address(id),
        site: String::new(),
        priority: 100,
        arbitrator: false,
        version: version.to_owned(),
    }
}

fn fingerprint(id: AgentId) -> String {
    format!("{:064x}", id.0)
}

fn entry(reason: &str, command: Command) -> Entry {
    Entry {
        time_us: 1_700_000_000_000_000,
        reason: reason.to_owned(),
        command,
    }
}

/// Makes the cluster.
#[must_use]
pub fn found() -> Entry {
    let command = Command::Found {
        cluster_id: "6f9c3c52-0000-4000-8000-000000000001".to_owned(),
        cluster_name: "test".to_owned(),
        authority: Authority {
            certificate_pem: "certificate".to_owned(),
            key_pem: "key".to_owned(),
        },
        agent: declaration(AgentId(1), "0"),
        key_fingerprint: fingerprint(AgentId(1)),
    };
    entry("the cluster was made", command)
}

fn token(id: AgentId) -> String {
    format!("{:064x}", 0xf00d_0000 + id.0)
}

/// What lets agent `id` in: a token and its use. Ids are given in the order of joining.
#[must_use]
pub fn join(id: AgentId) -> [Entry; 2] {
    [
        entry(
            "a token was made",
            Command::CreateToken {
                token_hash: token(id),
            },
        ),
        entry(
            &format!("agent {id} joins"),
            Command::Join {
                token_hash: token(id),
                key_fingerprint: fingerprint(id),
                agent: declaration(id, "0"),
            },
        ),
    ]
}

/// A change that nobody else makes: `mark` is in its event afterwards.
#[must_use]
pub fn marked(mark: &str) -> Entry {
    let command = Command::DeclareAgent {
        agent_id: AgentId(1),
        agent: declaration(AgentId(1), mark),
    };
    entry(mark, command)
}

/// Takes an agent out of the ordered state.
#[must_use]
pub fn remove(id: AgentId) -> Entry {
    entry(
        &format!("agent {id} is removed"),
        Command::RemoveAgent { agent_id: id },
    )
}

/// Goes on alone, a generation higher.
#[must_use]
pub fn recover(id: AgentId) -> Entry {
    entry("a majority was lost", Command::Recover { agent_id: id })
}

/// The reasons in the event list, oldest first; those of [`marked`] are the marks.
#[must_use]
pub fn marks(state: &ClusterState) -> Vec<String> {
    state
        .events
        .iter()
        .map(|event| {
            let mark = event.reason.split_once(": ").map(|(_, mark)| mark);
            mark.unwrap_or(&event.reason).to_owned()
        })
        .collect()
}
