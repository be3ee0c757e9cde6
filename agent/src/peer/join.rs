//! The call of a host that wants in: no certificate of its own yet, and a token that says whom to trust.
//!
//! The secret leaves this host only after the other side has proven, in the handshake, that the authority whose
//! fingerprint is in the token has signed it as an agent of the cluster that the token names. What comes back is checked
//! against the same.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use muster_core::command::AgentDeclaration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::certificate::{self, PeerIdentity};
use super::client::send;
use super::connection::ConnectionPace;
use super::dial::{client_tls, secure};
use super::identity::{Identity, IdentityError, IdentityStore};
use super::request::Route;
use super::token::Token;
use super::traffic::Traffic;
use super::verify::{self, CalledVerifier, WrongPeer};
use super::wire::{JoinReply, JoinRequest, Refusal};

/// Why a host did not get in.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// Nobody there.
    #[error("{address} cannot be reached: {why}; check the address and that an agent runs there")]
    Unreachable {
        /// Where.
        address: String,
        /// Why.
        why: String,
    },
    /// Somebody there, but not an agent of the token's cluster. The secret was not sent.
    #[error(
        "{address} is not an agent of the cluster that this token is for; the token's secret was not sent: {why}"
    )]
    NotOurs {
        /// Where.
        address: String,
        /// Why.
        why: String,
    },
    /// The cluster says no.
    #[error("{0}")]
    Refused(Refusal),
    /// No answer in time. Joining again with the same token and state folder is safe.
    #[error("{address} did not answer within {} s; run the same command again", .after.as_secs())]
    Late {
        /// Where.
        address: String,
        /// The deadline.
        after: Duration,
    },
    /// An answer that makes no sense. Joining again with the same token and state folder is safe.
    #[error(
        "the answer of {address} makes no sense: {why}; run the same command again, at another agent's address if it stays"
    )]
    Nonsense {
        /// Where.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// This host's own disk.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// Joins through the agent at `address`: asks with the pending key of `store` and puts the identity that comes back on
/// disk. Safe to repeat until it succeeds: the same key gets the same agent id.
pub async fn join(
    store: &IdentityStore,
    address: &str,
    token: &Token,
    agent: AgentDeclaration,
    deadline: Duration,
) -> Result<(JoinReply, Identity), JoinError> {
    let pending = store.pending()?;
    let request = JoinRequest {
        token_secret: token.secret.text(),
        csr_pem: pending.csr_pem().map_err(IdentityError::from)?,
        agent,
    };
    let asked = timeout(deadline, ask(address, token, &request)).await;
    let reply = asked.map_err(|_| JoinError::Late {
        address: address.to_owned(),
        after: deadline,
    })??;
    check(address, token, &reply)?;
    let expected = PeerIdentity {
        cluster_id: token.cluster_id.to_string(),
        agent_id: reply.agent_id,
    };
    let identity = store.install(
        &pending,
        &reply.certificate_pem,
        &reply.ca_pem,
        Some(&expected),
    )?;
    Ok((reply, identity))
}

async fn ask(address: &str, token: &Token, request: &JoinRequest) -> Result<JoinReply, JoinError> {
    let nonsense = |why: String| JoinError::Nonsense {
        address: address.to_owned(),
        why,
    };
    let verifier = CalledVerifier::pinned(token.ca_fingerprint, token.cluster_id.to_string());
    let tls = client_tls(verifier, None).map_err(|e| nonsense(e.to_string()))?;
    let stream = connect(address).await.map_err(|e| JoinError::Unreachable {
        address: address.to_owned(),
        why: e.to_string(),
    })?;
    let pace = ConnectionPace::default();
    let live = secure(stream, tls, &Arc::new(Traffic::default()), &pace)
        .await
        .map_err(|e| JoinError::NotOurs {
            address: address.to_owned(),
            why: verify::words(&e),
        })?;
    let body = serde_json::to_vec(request).map_err(|e| nonsense(e.to_string()))?;
    let driven = tokio::spawn(live.open);
    let answered = send(live.sender, Route::Join, Bytes::from(body)).await;
    driven.abort();
    let answer = answered
        .map_err(|e| nonsense(e.why))?
        .map_err(JoinError::Refused)?;
    serde_json::from_slice(&answer).map_err(|e| nonsense(e.to_string()))
}

async fn connect(address: &str) -> io::Result<TcpStream> {
    let mut failed = io::Error::other("its name has no address");
    for place in lookup_host(address).await? {
        match timeout(
            ConnectionPace::default().attempt_time_max,
            TcpStream::connect(place),
        )
        .await
        {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = error,
            Err(_) => failed = io::Error::new(io::ErrorKind::TimedOut, "no answer"),
        }
    }
    Err(failed)
}

/// The answer must speak of the token's cluster, and its certificate must be that authority's.
fn check(address: &str, token: &Token, reply: &JoinReply) -> Result<(), JoinError> {
    let nonsense = |why: String| JoinError::Nonsense {
        address: address.to_owned(),
        why,
    };
    let ca = certificate::from_pem(&reply.ca_pem).map_err(|e| nonsense(e.to_string()))?;
    if certificate::sha256(&ca) != token.ca_fingerprint {
        return Err(nonsense(WrongPeer::NotPinned.to_string()));
    }
    let own = certificate::from_pem(&reply.certificate_pem).map_err(|e| nonsense(e.to_string()))?;
    let said = verify::check(&own, &ca, &token.cluster_id.to_string())
        .map_err(|e| nonsense(e.to_string()))?;
    if reply.cluster_id != said.identity.cluster_id || reply.agent_id != said.identity.agent_id {
        return Err(nonsense(
            "its certificate is for another agent than it says".to_owned(),
        ));
    }
    Ok(())
}
