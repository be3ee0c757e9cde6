//! An identity from its key on disk to its renewal in a running agent.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use muster_core::ids::AgentId;
use time::OffsetDateTime;
use tokio::time::timeout;

use super::raw::{Papers, dial};
use super::rig::{CLUSTER, Cluster, Folder, SOON, heartbeat, pace};
use crate::peer::certificate;
use crate::peer::client::PeerClient;
use crate::peer::identity::{Identity, IdentityError, IdentityStore, LiveIdentity};
use crate::peer::renewal::{RenewalPace, keep_renewed, renew};

#[test]
fn nobody_else_can_read_the_key() {
    let cluster = Cluster::new(CLUSTER);
    let (identity, store, folder) = cluster.identity(1);
    let file = folder.0.join("peer/identity.pem");
    let shown = format!(
        "{identity:?} {:?}",
        LiveIdentity::new(store.load().unwrap().unwrap())
    );
    let key = fs::read_to_string(&file).unwrap();
    let body = key.lines().nth(1).unwrap();
    assert!(
        !shown.contains(body) && !shown.contains("PRIVATE"),
        "{shown}"
    );
    assert_eq!(
        fs::metadata(folder.0.join("peer")).unwrap().mode() & 0o777,
        0o700
    );
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    assert!(!folder.0.join("peer/pending-key.pem").exists());

    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let error = store.load().unwrap_err();
    assert!(matches!(error, IdentityError::Exposed { .. }), "{error}");
    assert!(error.to_string().contains("mode 640"), "{error}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    store.load().unwrap().unwrap();

    fs::set_permissions(folder.0.join("peer"), fs::Permissions::from_mode(0o755)).unwrap();
    let error = IdentityStore::open(&folder.0).unwrap_err();
    assert!(matches!(error, IdentityError::Exposed { .. }), "{error}");
}

#[test]
fn a_damaged_identity_is_refused_with_what_to_do() {
    let cluster = Cluster::new(CLUSTER);
    let (_, store, folder) = cluster.identity(1);
    let (_, _, other) = cluster.identity(2);
    let path = folder.0.join("peer/identity.pem");
    let whole = fs::read_to_string(&path).unwrap();
    let others = fs::read_to_string(other.0.join("peer/identity.pem")).unwrap();
    let key_end = whole.find("-----BEGIN CERTIFICATE").unwrap();
    let others_key_end = others.find("-----BEGIN CERTIFICATE").unwrap();
    let mixed = format!("{}{}", &others[..others_key_end], &whole[key_end..]);
    for bad in [
        String::new(),
        whole[..whole.len() / 2].to_owned(),
        whole[..key_end].to_owned(),
        whole[key_end..].to_owned(),
        mixed,
        "x".repeat(1 << 20),
    ] {
        fs::write(&path, &bad).unwrap();
        let error = store.load().unwrap_err();
        assert!(matches!(error, IdentityError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("join again"), "{error}");
    }
    fs::write(&path, &whole).unwrap();
    store.load().unwrap().unwrap();
}

#[test]
fn what_a_crash_left_is_used_or_cleared_away() {
    let folder = Folder::new();
    let store = IdentityStore::open(&folder.0).unwrap();
    let first = store.pending().unwrap().fingerprint();
    // The same key after a restart.
    let store = IdentityStore::open(&folder.0).unwrap();
    assert_eq!(store.pending().unwrap().fingerprint(), first);
    // Half a file of a write that was not finished, and a key that cannot be read.
    fs::write(folder.0.join("peer/pending-key.pem.partial"), "half").unwrap();
    fs::write(folder.0.join("peer/pending-key.pem"), "damaged").unwrap();
    let second = store.pending().unwrap().fingerprint();
    assert_ne!(second, first);
    assert_eq!(store.pending().unwrap().fingerprint(), second);
    store.forget().unwrap();
    assert!(store.load().unwrap().is_none());
}

#[test]
fn only_what_was_asked_for_is_installed() {
    let cluster = Cluster::new(CLUSTER);
    let elsewhere = Cluster::new(CLUSTER);
    let (identity, store, _folder) = cluster.identity(1);
    let before = identity.certificate().clone();
    let live = LiveIdentity::new(identity);
    let pending = store.pending().unwrap();
    let csr = pending.csr_pem().unwrap();
    let ca = &cluster.authority.certificate_pem;
    let own = live.current().peer().clone();
    let other_agent = cluster.signer().sign(&csr, AgentId(2)).unwrap();
    let other_authority = elsewhere.signer().sign(&csr, AgentId(1)).unwrap();
    let other_key = certificate::to_pem(&Papers::of(&cluster, 1).chain[0]);
    for bad in [
        other_agent,
        other_authority,
        other_key,
        String::new(),
        "x".repeat(1 << 20),
    ] {
        let error = store.install(&pending, &bad, ca, Some(&own)).unwrap_err();
        assert!(!matches!(error, IdentityError::Disk { .. }), "{error}");
    }
    assert_eq!(store.load().unwrap().unwrap().certificate(), &before);
    let (other, _, _other_folder) = cluster.identity(2);
    live.replace(other).unwrap_err();
}

/// What the peer at `address` shows as its certificate.
async fn shown(address: std::net::SocketAddr) -> certificate::AgentCertificate {
    let stream = dial(address, None).await.unwrap();
    certificate::read(&stream.get_ref().1.peer_certificates().unwrap()[0]).unwrap()
}

#[tokio::test]
async fn a_certificate_is_renewed_while_the_agent_runs() {
    let cluster = Cluster::new(CLUSTER);
    let (one, two) = (cluster.agent(1).await, cluster.agent(2).await);
    two.greet(&one).await.unwrap();
    one.greet(&two).await.unwrap();
    let before = shown(two.address).await;
    let ask = |csr: String| {
        let (client, address) = (two.client.clone(), one.address.to_string());
        async move {
            client
                .renew(AgentId(1), &address, csr, SOON)
                .await
                .map_err(|e| e.to_string())
        }
    };
    renew(&two.store, &two.live, &ask).await.unwrap();
    let after = shown(two.address).await;
    assert_ne!(after.key_fingerprint, before.key_fingerprint);
    assert_eq!(after.identity, before.identity);
    let stored = two.store.load().unwrap().unwrap();
    assert_eq!(stored.certificate(), &after);
    // The connections that were open go on, and new ones use the new key.
    two.greet(&one).await.unwrap();
    one.greet(&two).await.unwrap();
    assert_eq!(one.traffic.connections_opened(), 2);
    let fresh = PeerClient::with_pace(Arc::clone(&two.live), Default::default(), pace());
    fresh
        .heartbeat(
            AgentId(1),
            &one.address.to_string(),
            &heartbeat(AgentId(2)),
            SOON,
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn renewal_is_asked_for_when_due_and_again_when_it_failed() {
    let cluster = Cluster::new(CLUSTER);
    let (identity, store, _folder) = cluster.identity(2);
    let now = OffsetDateTime::now_utc();
    assert!(!identity.renewal_due(now));
    assert!(!identity.renewal_due(now + time::Duration::days(58)));
    assert!(identity.renewal_due(now + time::Duration::days(60)));
    assert!(identity.renewal_due(now + time::Duration::days(20_000)));
    assert_eq!(identity.trouble(now + time::Duration::days(60)), None);
    let trouble = identity.trouble(now + time::Duration::days(80)).unwrap();
    assert!(trouble.contains("has not been renewed"), "{trouble}");
    // A clock far behind asks too; it gets one that begins in its own past.
    assert!(identity.renewal_due(now - time::Duration::days(3)));

    // One that is due: signed 70 days ago.
    let pending = store.pending().unwrap();
    let csr = pending.csr_pem().unwrap();
    let old = cluster
        .signer()
        .sign_at(&csr, AgentId(2), now - time::Duration::days(70))
        .unwrap();
    let ca = &cluster.authority.certificate_pem;
    let old: Identity = store.install(&pending, &old, ca, None).unwrap();
    let live = LiveIdentity::new(old);
    let asked = Arc::new(AtomicU64::new(0));
    let signer = Arc::new(cluster.signer());
    let counted = Arc::clone(&asked);
    let ask = move |csr: String| {
        let number = counted.fetch_add(1, Ordering::Relaxed);
        let signer = Arc::clone(&signer);
        async move {
            match number {
                0 => Err("no leader".to_owned()),
                1 => Ok("nonsense".to_owned()),
                _ => signer.sign(&csr, AgentId(2)).map_err(|e| e.to_string()),
            }
        }
    };
    let pace = RenewalPace {
        look_every: Duration::from_millis(10),
        retry_after: Duration::from_millis(10),
        rest_after: Duration::from_millis(10),
    };
    let keeping = tokio::spawn(keep_renewed(store.clone(), Arc::clone(&live), pace, ask));
    timeout(SOON, async {
        while live.current().renewal_due(OffsetDateTime::now_utc()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    // Several more looks: nothing is asked for while the new one is fresh.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    keeping.abort();
    let stored = store.load().unwrap().unwrap();
    assert_eq!(stored.certificate(), live.current().certificate());
}
