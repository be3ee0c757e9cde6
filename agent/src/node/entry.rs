//! Into a cluster and out of it: init, join, leave, recover, and what is found on disk at the start.
//!
//! The identity on disk is what decides: an agent with one is a member, an agent without one belongs nowhere, and what
//! else lies in its state folder then is a leftover of something that was not finished. Leftovers are moved aside, never
//! deleted.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use muster_core::command::{AgentDeclaration, Command, Entry, Outcome};
use muster_core::ids::AgentId;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::member::{self, Means, Member, StartError, store_dir};
use crate::clock;
use crate::consensus::{
    BoxFuture, Consensus, ProposeError, RaftReply, RaftRpc, RaftTransport, Timing, TransportError,
};
use crate::control::Refusal;
use crate::control::types::{InitReply, JoinReply, JoinRequest};
use crate::peer::authority::{self, Signer};
use crate::peer::identity::{Identity, LiveIdentity};
use crate::peer::join::{self, JoinError};
use crate::peer::token::Token;
use crate::peer::wire::{self, RefusalKind};

/// How long the agent that is asked to let us in may take.
const JOIN_WITHIN: Duration = Duration::from_secs(20);
/// Between two attempts while the group has no leader.
const JOIN_PAUSE: Duration = Duration::from_millis(200);
/// How long the state may take to arrive after that.
const STATE_WITHIN: Duration = Duration::from_secs(30);

/// A group of one has nobody to call.
#[derive(Debug)]
struct Nobody;

impl RaftTransport for Nobody {
    fn call<'a>(
        &'a self,
        to: AgentId,
        _address: &'a str,
        _rpc: RaftRpc,
        _deadline: Duration,
    ) -> BoxFuture<'a, Result<RaftReply, TransportError>> {
        Box::pin(async move {
            Err(TransportError::Unreachable {
                to,
                why: "this group has one agent".to_owned(),
            })
        })
    }
}

/// Makes a cluster with this agent in it, on disk. The caller starts the membership.
pub(super) async fn found(
    means: &Means,
    cluster_name: &str,
) -> Result<(Identity, InitReply), Refusal> {
    let failed = |why: String| {
        Refusal::failed(format!(
            "the cluster was not made: {why}; mend that and run 'muster init' again"
        ))
    };
    set_leftover_aside(&store_dir(&means.config)).map_err(|e| failed(e.to_string()))?;
    let cluster_id = Uuid::new_v4().to_string();
    let authority = authority::found(&cluster_id).map_err(|e| failed(e.to_string()))?;
    let pending = means
        .identities
        .pending()
        .map_err(|e| failed(e.to_string()))?;
    let csr_pem = pending.csr_pem().map_err(|e| failed(e.to_string()))?;
    let me = AgentId(1);
    let agent = member::declaration(&means.config, false);
    let entry = Entry {
        time_us: clock::wall_us(),
        reason: format!("'muster init' on host '{}'", agent.name),
        command: Command::Found {
            cluster_id: cluster_id.clone(),
            cluster_name: cluster_name.to_owned(),
            authority: authority.clone(),
            agent,
            key_fingerprint: pending.fingerprint(),
        },
    };
    let token = Token::create(&cluster_id, &authority.certificate_pem)
        .map_err(|e| failed(e.to_string()))?;
    // The group is complete on disk before the identity is: a crash in between leaves a leftover, not half a member.
    let consensus = Consensus::open(
        &store_dir(&means.config),
        me,
        Arc::new(Nobody),
        Timing::default(),
    )
    .await
    .map_err(|e| failed(e.to_string()))?;
    let founded = found_group(&consensus, &means.config.agent.advertise, entry, &token).await;
    consensus.shutdown().await;
    drop(consensus);
    founded.map_err(failed)?;
    let signer = Signer::load(&authority, &cluster_id).map_err(|e| failed(e.to_string()))?;
    let certificate = signer
        .sign(&csr_pem, me)
        .map_err(|e| failed(e.to_string()))?;
    let identity = means
        .identities
        .install(&pending, &certificate, &authority.certificate_pem, None)
        .map_err(|e| failed(e.to_string()))?;
    Ok((
        identity,
        InitReply {
            cluster_id,
            token: token.to_string(),
        },
    ))
}

async fn found_group(
    consensus: &Consensus,
    address: &str,
    entry: Entry,
    token: &Token,
) -> Result<(), String> {
    let founded = consensus
        .found(address, entry)
        .await
        .map_err(|e| e.to_string())?;
    if let Outcome::Refused { reason } = founded.outcome {
        return Err(reason);
    }
    let first_token = Entry {
        time_us: clock::wall_us(),
        reason: "the first join token, made by 'muster init'".to_owned(),
        command: Command::CreateToken {
            token_hash: token.secret.hash(),
        },
    };
    propose_alone(consensus, first_token).await
}

/// Waits until somebody leads: an agent that was just started answers to a command only then. Nothing is lost if
/// it takes longer.
pub(super) async fn wait_for_leader(member: &Member) {
    let mut standing = member.consensus.standing();
    let led = timeout(STATE_WITHIN, standing.wait_for(|s| s.leader.is_some())).await;
    if !led.is_ok_and(|r| r.is_ok()) {
        tracing::warn!("nobody leads the group yet");
    }
}

/// Enters a cluster: asks with the token, starts the membership, and waits for the state.
pub(super) async fn join(
    means: &Means,
    request: &JoinRequest,
) -> Result<(Arc<Member>, JoinReply), Refusal> {
    let token: Token = request
        .token
        .parse()
        .map_err(|e| Refusal::refused(format!("{e}")))?;
    set_leftover_aside(&store_dir(&means.config)).map_err(|e| Refusal::failed(e.to_string()))?;
    let agent = member::declaration(&means.config, request.arbitrator);
    let (reply, identity) = ask_to_join(means, &request.address, &token, agent).await?;
    let member = Member::start(means.clone(), LiveIdentity::new(identity))
        .await
        .map_err(|e| {
            Refusal::failed(format!(
                "the cluster let this host in as agent {}, but it did not start: {e}",
                reply.agent_id
            ))
        })?;
    let me = reply.agent_id;
    let mut states = member.consensus.state();
    let received = timeout(
        STATE_WITHIN,
        states.wait_for(|s| s.agents.contains_key(&me)),
    )
    .await;
    let received = matches!(received, Ok(Ok(_)));
    if !received {
        // It belongs already; the state comes as soon as the others reach it.
        tracing::warn!("the cluster's state has not arrived yet");
        return Ok((
            member,
            JoinReply {
                agent_id: me.0,
                cluster_name: format!(
                    "{} (its state has not arrived yet: check that the other agents reach {})",
                    reply.cluster_name, means.config.agent.advertise
                ),
            },
        ));
    }
    Ok((
        member,
        JoinReply {
            agent_id: me.0,
            cluster_name: reply.cluster_name,
        },
    ))
}

/// Asks until the group answers with yes or no: while it elects a leader, it says neither.
async fn ask_to_join(
    means: &Means,
    address: &str,
    token: &Token,
    agent: AgentDeclaration,
) -> Result<(wire::JoinReply, Identity), Refusal> {
    let deadline = Instant::now() + JOIN_WITHIN;
    loop {
        let asked = join::join(
            &means.identities,
            address,
            token,
            agent.clone(),
            JOIN_WITHIN,
        )
        .await;
        match asked {
            Err(JoinError::Refused(refusal))
                if matches!(refusal.kind, RefusalKind::NotLeader | RefusalKind::Busy)
                    && Instant::now() < deadline =>
            {
                sleep(JOIN_PAUSE).await;
            }
            Err(error) => return Err(Refusal::refused(error.to_string())),
            Ok(joined) => return Ok(joined),
        }
    }
}

/// Rewrites the group on disk so that this agent goes on alone, one generation higher. The membership must have ended.
pub(super) async fn recover(means: &Means, me: AgentId) -> Result<(), Refusal> {
    let failed = |why: String| {
        Refusal::failed(format!(
            "the recovery was not finished: {why}; mend that and run 'muster recover --force' again"
        ))
    };
    let store = store_dir(&means.config);
    Consensus::recover_alone(&store, me)
        .await
        .map_err(|e| failed(e.to_string()))?;
    // Nothing of it is shown, and nobody else is called, before the generation is raised.
    let consensus = Consensus::open(&store, me, Arc::new(Nobody), Timing::default())
        .await
        .map_err(|e| failed(e.to_string()))?;
    let entry = Entry {
        time_us: clock::wall_us(),
        reason: format!("'muster recover --force' on host '{}'", means.config.name),
        command: Command::Recover { agent_id: me },
    };
    let raised = propose_alone(&consensus, entry).await;
    consensus.shutdown().await;
    raised.map_err(failed)
}

/// Proposes in a group of one, as soon as it has elected itself.
async fn propose_alone(consensus: &Consensus, entry: Entry) -> Result<(), String> {
    let mut standing = consensus.standing();
    let leads = timeout(STATE_WITHIN, standing.wait_for(|s| s.i_lead))
        .await
        .is_ok_and(|r| r.is_ok());
    if !leads {
        return Err("this agent did not come to lead its own group".to_owned());
    }
    match consensus.propose(entry).await {
        Ok(done) => match done.outcome {
            Outcome::Refused { reason } => Err(reason),
            _ => Ok(()),
        },
        Err(error) => Err(error.to_string()),
    }
}

/// Starts what the disk says: a membership, or none.
pub(super) async fn resume(means: &Means) -> Result<Option<Arc<Member>>, ResumeError> {
    match means.identities.load()? {
        None => Ok(None),
        Some(identity) => Ok(Some(
            Member::start(means.clone(), LiveIdentity::new(identity)).await?,
        )),
    }
}

/// Why an agent that belongs to a cluster could not start.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// Its identity.
    #[error(transparent)]
    Identity(#[from] crate::peer::identity::IdentityError),
    /// The rest.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Takes this agent out of its cluster, through the others: votes first, then membership. The caller ends it here.
pub(super) async fn leave(member: &Member) -> Result<(), Refusal> {
    let state = member.state();
    if state.agents.len() == 1 {
        return Err(Refusal::refused(format!(
            "this is the only agent of its cluster: without it there is no cluster. To end the cluster, stop the agent and move {} away",
            member.config.agent.state_dir.display()
        )));
    }
    hand_over_votes(member).await?;
    let command = Command::RemoveAgent {
        agent_id: member.me,
    };
    let done = member
        .propose(
            command,
            format!("'muster leave' on host '{}'", member.config.name),
        )
        .await;
    match done {
        Ok(done) => match done.outcome {
            Outcome::Refused { reason } => Err(Refusal::refused(reason)),
            _ => Ok(()),
        },
        // The others may have shut the door between agreeing and telling us.
        Err(ProposeError::Unknown { why }) => Err(Refusal::failed(format!(
            "whether the cluster took this agent out is not known ({why}): look at 'muster agents' on another host, and run 'muster leave' again if it is still there"
        ))),
        Err(error) => Err(Refusal::refused(error.to_string())),
    }
}

/// An agent that leads first lets another lead, which then takes it out like any other. The last voter brings in
/// another one before.
async fn hand_over_votes(member: &Member) -> Result<(), Refusal> {
    let consensus = &member.consensus;
    let standing = consensus.standing().borrow().clone();
    if !standing.i_lead {
        return Ok(());
    }
    let refused = |e: ProposeError| Refusal::refused(e.to_string());
    let state = member.state();
    let seen = member.observe_as_leader(&standing);
    let Some(successors) = muster_core::decide::voters::without(&state, &seen, member.me) else {
        return Err(Refusal::refused(
            "no other agent is heard and up to date enough to vote instead of this one: see 'muster agents', and try again when one is",
        ));
    };
    let voting = |id: &&AgentId| standing.voters.contains(*id);
    let to = match successors.iter().find(voting) {
        Some(to) => *to,
        None => {
            let mut both = successors.clone();
            both.insert(member.me);
            consensus.set_voters(both).await.map_err(refused)?;
            *successors
                .iter()
                .next()
                .ok_or_else(|| Refusal::failed("nobody is left to vote"))?
        }
    };
    consensus.transfer(to).await.map_err(refused)
}

/// Moves a store without an identity away. It is kept: whoever wonders later finds it.
pub(super) fn set_leftover_aside(store: &Path) -> std::io::Result<()> {
    if !store.exists() {
        return Ok(());
    }
    let aside = (1..).map(|n| numbered(store, n)).find(|p| !p.exists());
    let Some(aside) = aside else { return Ok(()) };
    tracing::warn!(from = %store.display(), to = %aside.display(), "a store of an earlier membership was moved aside");
    std::fs::rename(store, aside)
}

fn numbered(store: &Path, n: u32) -> PathBuf {
    let mut name = store.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".old-{n}"));
    store.with_file_name(name)
}
