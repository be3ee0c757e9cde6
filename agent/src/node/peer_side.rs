//! What this agent does with the requests of its peers.

use std::time::Duration;

use muster_core::command::{Command, Entry, Outcome};
use muster_core::evidence::Heartbeat;
use muster_core::ids::AgentId;

use super::member::Member;
use crate::clock;
use crate::consensus::{ProposeError, RaftReply, RaftRpc, ServeError};
use crate::peer::admission::Admission;
use crate::peer::client::CallError;
use crate::peer::handler::PeerHandler;
use crate::peer::wire::{JoinReply, JoinRequest, ProposeReply, Refusal, RefusalKind};

/// How long a join that is passed on may take.
const JOIN_WITHIN: Duration = Duration::from_secs(15);

impl PeerHandler for Member {
    fn admission(&self, from: AgentId) -> Admission {
        Admission::judge(&self.state(), from)
    }

    async fn raft(&self, from: AgentId, rpc: RaftRpc) -> Result<RaftReply, Refusal> {
        self.consensus
            .serve(from, rpc)
            .await
            .map_err(|error| match error {
                ServeError::Refused { .. } => {
                    Refusal::new(RefusalKind::Forbidden, error.to_string())
                }
                ServeError::Stopped(_) => Refusal::new(RefusalKind::Failed, error.to_string()),
            })
    }

    async fn heartbeat(&self, from: AgentId, heartbeat: Heartbeat) -> Result<Heartbeat, Refusal> {
        self.hear(heartbeat);
        let state = self.state();
        Ok(self.evidence().answer(clock::boot_ms(), &state, from))
    }

    async fn propose(&self, from: AgentId, entry: Entry) -> Result<ProposeReply, Refusal> {
        may_propose(from, &entry.command)?;
        match self.consensus.propose(entry).await {
            Ok(done) => Ok(ProposeReply::Applied {
                index: done.index,
                outcome: done.outcome,
            }),
            Err(ProposeError::NotLeader { leader }) => Ok(ProposeReply::NotLeader { leader }),
            Err(error) => Err(refusal(&error)),
        }
    }

    async fn join(
        &self,
        from: Option<AgentId>,
        request: JoinRequest,
    ) -> Result<JoinReply, Refusal> {
        let leader = self.consensus.standing().borrow().leader;
        match leader {
            Some(leader) if leader == self.me => self.let_in(request).await,
            Some(leader) if from.is_none() => {
                let Some(address) = self.routes.address_of(leader) else {
                    return Err(Refusal::not_leader(None));
                };
                let passed_on = self
                    .routes
                    .client
                    .forward_join(leader, &address, &request, JOIN_WITHIN)
                    .await;
                passed_on.map_err(|error| match error {
                    CallError::Refused { refusal, .. } => refusal,
                    other => Refusal::new(
                        RefusalKind::Busy,
                        format!(
                            "the leader could not be asked ({other}); run the same command again"
                        ),
                    ),
                })
            }
            // Passed on to us by one that thought we lead: it says so to the host, which tries again.
            leader => Err(Refusal::not_leader(leader)),
        }
    }

    async fn renew(&self, from: AgentId, csr_pem: String) -> Result<String, Refusal> {
        let standing = self.consensus.standing().borrow().clone();
        if !standing.i_lead {
            return Err(Refusal::not_leader(standing.leader));
        }
        // A leader that was cut off could sign for one that the others have removed meanwhile.
        self.consensus
            .read_barrier()
            .await
            .map_err(|e| refusal(&e))?;
        Admission::judge(&self.state(), from).check(from)?;
        self.sign(from, &csr_pem)
            .map_err(|why| Refusal::new(RefusalKind::Invalid, why))
    }
}

impl Member {
    async fn let_in(&self, request: JoinRequest) -> Result<JoinReply, Refusal> {
        let invalid = |why: String| Refusal::new(RefusalKind::Invalid, why);
        let token_hash = request.token_hash().map_err(|e| invalid(e.to_string()))?;
        let key_fingerprint = request
            .key_fingerprint()
            .map_err(|e| invalid(e.to_string()))?;
        let name = request.agent.name.clone();
        let entry = Entry {
            time_us: clock::wall_us(),
            reason: format!("host '{name}' joined with a token"),
            command: Command::Join {
                token_hash,
                key_fingerprint,
                agent: request.agent,
            },
        };
        let done = self
            .consensus
            .propose(entry)
            .await
            .map_err(|e| refusal(&e))?;
        let agent_id = match done.outcome {
            Outcome::Joined { agent_id, .. } => agent_id,
            Outcome::Refused { reason } => return Err(Refusal::new(RefusalKind::Declined, reason)),
            other => {
                return Err(Refusal::new(
                    RefusalKind::Failed,
                    format!("joining brought {other:?}"),
                ));
            }
        };
        let certificate_pem = self.sign(agent_id, &request.csr_pem).map_err(invalid)?;
        let state = self.state();
        Ok(JoinReply {
            agent_id,
            certificate_pem,
            ca_pem: state.authority.certificate_pem.clone(),
            cluster_id: state.cluster_id.clone(),
            cluster_name: state.cluster_name.clone(),
            peers: state
                .agents
                .iter()
                .filter(|(id, _)| **id != agent_id)
                .map(|(id, a)| (*id, a.address.clone()))
                .collect(),
        })
    }
}

/// What one agent may propose through another. Verdicts about members are the leader's own, founding and recovering
/// happen on the host itself, and nobody declares for another.
fn may_propose(from: AgentId, command: &Command) -> Result<(), Refusal> {
    let itself = match command {
        Command::DeclareAgent { agent_id, .. }
        | Command::TextJoin { agent_id, .. }
        | Command::TextStatus { agent_id, .. }
        | Command::TextLeave { agent_id, .. } => *agent_id == from,
        Command::CreateToken { .. } | Command::RemoveAgent { .. } | Command::Set { .. } => true,
        Command::Found { .. }
        | Command::ExpireToken { .. }
        | Command::Join { .. }
        | Command::DeclareMember { .. }
        | Command::SetMembers { .. }
        | Command::Recover { .. }
        | Command::VotersAre { .. } => false,
    };
    if itself {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalKind::Forbidden,
        format!("agent {from} may not propose this for the group"),
    ))
}

fn refusal(error: &ProposeError) -> Refusal {
    let kind = match error {
        ProposeError::NotLeader { leader } => return Refusal::not_leader(*leader),
        ProposeError::NoQuorum { .. } => RefusalKind::Busy,
        ProposeError::Refused(_) => RefusalKind::Declined,
        ProposeError::Unknown { .. } | ProposeError::Stopped(_) => RefusalKind::Failed,
    };
    Refusal::new(kind, error.to_string())
}
