//! How a host comes in.

use std::time::Duration;

use muster_core::ids::AgentId;
use muster_core::state::TokenRecord;

use super::rig::{CLUSTER, Cluster, Folder, SOON, declaration, heartbeat, pace};
use crate::peer::client::PeerClient;
use crate::peer::identity::{IdentityStore, LiveIdentity};
use crate::peer::join::{JoinError, join};
use crate::peer::token::Token;
use crate::peer::wire::RefusalKind;

fn token(cluster: &Cluster) -> Token {
    let token = Token::create(CLUSTER, &cluster.authority.certificate_pem).unwrap();
    let record = TokenRecord {
        ttl_ms: 1,
        used_by: None,
    };
    let mut state = cluster.state.lock().unwrap();
    state.tokens.insert(token.secret.hash(), record);
    token
}

#[tokio::test]
async fn a_host_joins_and_then_speaks() {
    let cluster = Cluster::new(CLUSTER);
    let one = cluster.agent(1).await;
    let token: Token = token(&cluster).to_string().parse().unwrap();
    let folder = Folder::new();
    let store = IdentityStore::open(&folder.0).unwrap();
    let address = one.address.to_string();
    let (reply, identity) = join(&store, &address, &token, declaration("two"), SOON)
        .await
        .unwrap();
    assert_eq!(reply.agent_id, AgentId(2));
    assert_eq!(reply.cluster_name, "test");
    assert_eq!(identity.peer().agent_id, AgentId(2));

    let stored = store.load().unwrap().unwrap();
    assert_eq!(stored.certificate(), identity.certificate());
    let client = PeerClient::with_pace(LiveIdentity::new(stored), Default::default(), pace());
    let answer = client
        .heartbeat(AgentId(1), &address, &heartbeat(AgentId(2)), SOON)
        .await
        .unwrap();
    assert_eq!(answer.agent_id, AgentId(1));
}

#[tokio::test]
async fn a_join_that_is_repeated_gets_the_same_number() {
    let cluster = Cluster::new(CLUSTER);
    let one = cluster.agent(1).await;
    let token = token(&cluster);
    let address = one.address.to_string();
    let folder = Folder::new();
    let store = IdentityStore::open(&folder.0).unwrap();
    // The host asks, and loses the answer together with its process: what it has left is its pending key.
    let fingerprint = store.pending().unwrap().fingerprint();
    let other = Folder::new();
    std::fs::create_dir(other.0.join("peer")).unwrap();
    std::fs::copy(
        folder.0.join("peer/pending-key.pem"),
        other.0.join("peer/pending-key.pem"),
    )
    .unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(other.0.join("peer"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let copy = IdentityStore::open(&other.0).unwrap();
    let (first, _) = join(&copy, &address, &token, declaration("two"), SOON)
        .await
        .unwrap();
    let (second, identity) = join(&store, &address, &token, declaration("two"), SOON)
        .await
        .unwrap();
    assert_eq!(first.agent_id, second.agent_id);
    assert_eq!(identity.certificate().key_fingerprint, fingerprint);

    // Another host with the same token is another matter.
    let third = Folder::new();
    let store = IdentityStore::open(&third.0).unwrap();
    let refused = join(&store, &address, &token, declaration("three"), SOON)
        .await
        .unwrap_err();
    let JoinError::Refused(refusal) = refused else {
        panic!("{refused}");
    };
    assert_eq!(refusal.kind, RefusalKind::Declined);
    assert!(store.load().unwrap().is_none());
}

#[tokio::test]
async fn a_secret_is_not_told_to_another_cluster() {
    let ours = Cluster::new(CLUSTER);
    let theirs = Cluster::new(CLUSTER);
    let token = token(&ours);
    let stranger = theirs.agent(1).await;
    let folder = Folder::new();
    let store = IdentityStore::open(&folder.0).unwrap();
    let address = stranger.address.to_string();
    let error = join(&store, &address, &token, declaration("two"), SOON)
        .await
        .unwrap_err();
    assert!(matches!(error, JoinError::NotOurs { .. }), "{error}");
    assert_eq!(stranger.handler.times("join"), 0);

    // The right authority, and a token that names another cluster id.
    let real = ours.agent(1).await;
    let mut bent = token.clone();
    bent.cluster_id = uuid::Uuid::from_u128(5);
    let address = real.address.to_string();
    let error = join(&store, &address, &bent, declaration("two"), SOON)
        .await
        .unwrap_err();
    assert!(matches!(error, JoinError::NotOurs { .. }), "{error}");
    assert!(error.to_string().contains("another cluster"), "{error}");
    assert_eq!(real.handler.times("join"), 0);
}

#[tokio::test]
async fn a_join_that_gets_no_answer_ends_in_time() {
    let cluster = Cluster::new(CLUSTER);
    let token = token(&cluster);
    let folder = Folder::new();
    let store = IdentityStore::open(&folder.0).unwrap();
    // Accepts and says nothing.
    let deaf = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = deaf.local_addr().unwrap().to_string();
    let within = Duration::from_millis(200);
    let error = join(&store, &address, &token, declaration("two"), within)
        .await
        .unwrap_err();
    assert!(matches!(error, JoinError::Late { .. }), "{error}");
    drop(deaf);
    let error = join(&store, &address, &token, declaration("two"), SOON)
        .await
        .unwrap_err();
    assert!(matches!(error, JoinError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn an_agent_that_does_not_lead_passes_a_join_on() {
    let cluster = Cluster::new(CLUSTER);
    let (one, two) = (cluster.agent(1).await, cluster.agent(2).await);
    let token = token(&cluster);
    let folder = Folder::new();
    let store = IdentityStore::open(&folder.0).unwrap();
    let request = crate::peer::wire::JoinRequest {
        token_secret: token.secret.text(),
        csr_pem: store.pending().unwrap().csr_pem().unwrap(),
        agent: declaration("three"),
    };
    assert!(!format!("{request:?}").contains(&token.secret.text()));
    let address = one.address.to_string();
    let reply = two
        .client
        .forward_join(AgentId(1), &address, &request, SOON)
        .await
        .unwrap();
    assert_eq!(reply.agent_id, AgentId(3));
    assert_eq!(one.handler.times("join passed on"), 1);
}
