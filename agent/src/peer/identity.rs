//! This agent's own key and certificate: on disk, in use, and renewed.
//!
//! `STATE_DIR/peer/identity.pem` holds the key, the certificate and the authority's certificate in one file, so that
//! the three change together, by one rename. `pending-key.pem` is a key for which a certificate is being asked: it is on
//! disk before the request leaves, so that a request repeated after a crash is the same request.

use std::fmt;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rcgen::{KeyPair, PublicKeyData as _};
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::ring::sign::any_ecdsa_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use time::OffsetDateTime;

use super::authority::{self, CertificateError};
use super::certificate::{self, AgentCertificate, PeerIdentity};
use super::limits::PEM_BYTES_MAX;
use super::verify;

const FOLDER: &str = "peer";
const IDENTITY_FILE: &str = "identity.pem";
const PENDING_FILE: &str = "pending-key.pem";

/// Why this agent has no identity to speak with.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The disk.
    #[error("cannot {doing} {path}: {source}", path = .path.display())]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others could read the key.
    #[error("{path} can be read by others (mode {mode:o}), and it holds a private key; set it to {right:o}, and if others had access, remove this agent from the cluster and join again", path = .path.display())]
    Exposed {
        /// The file or folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// What it should be.
        right: u32,
    },
    /// The file is damaged.
    #[error("{path} is damaged ({why}); restore it from a backup, or remove this agent from the cluster, delete the file and join again", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// What came back is not what was asked for.
    #[error("the certificate that was issued cannot be used: {0}")]
    NotOurs(String),
    /// No key or request could be made.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// This agent's key and certificate, checked against each other.
pub struct Identity {
    said: AgentCertificate,
    ca: CertificateDer<'static>,
    certified: Arc<CertifiedKey>,
    /// What is written to disk.
    pem: String,
}

impl fmt::Debug for Identity {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("said", &self.said)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads key, certificate and authority, and checks that they belong together.
    fn from_pem(pem: String) -> Result<Self, String> {
        let bytes = pem.as_bytes();
        let key = PrivateKeyDer::from_pem_slice(bytes).map_err(|e| format!("no key: {e}"))?;
        let mut chain = CertificateDer::pem_slice_iter(bytes);
        let mut next = |what: &str| match chain.next() {
            Some(Ok(der)) => Ok(der),
            Some(Err(e)) => Err(format!("{what}: {e}")),
            None => Err(format!("{what} is missing")),
        };
        let own = next("the certificate")?;
        let ca = next("the authority's certificate")?;
        let said = certificate::read(&own).map_err(|e| e.to_string())?;
        verify::check(&own, &ca, &said.identity.cluster_id).map_err(|e| e.to_string())?;
        let key = any_ecdsa_type(&key).map_err(|e| e.to_string())?;
        let certified = CertifiedKey::new(vec![own, ca.clone()], key);
        certified.keys_match().map_err(|e| e.to_string())?;
        Ok(Self {
            said,
            ca,
            certified: Arc::new(certified),
            pem,
        })
    }

    /// Cluster and agent.
    #[must_use]
    pub fn peer(&self) -> &PeerIdentity {
        &self.said.identity
    }

    /// What the certificate says.
    #[must_use]
    pub fn certificate(&self) -> &AgentCertificate {
        &self.said
    }

    /// The authority's certificate, PEM: for tokens and backups.
    #[must_use]
    pub fn ca_pem(&self) -> String {
        certificate::to_pem(&self.ca)
    }

    pub(super) fn ca(&self) -> &CertificateDer<'static> {
        &self.ca
    }

    /// Whether a new certificate should be asked for: past two thirds of its life, or not begun by this host's clock.
    /// A wrong clock asks too early or too late, and neither does harm.
    #[must_use]
    pub fn renewal_due(&self, now: OffsetDateTime) -> bool {
        let life = self.said.not_after - self.said.not_before;
        now < self.said.not_before || now >= self.said.not_before + life * 2 / 3
    }
}

impl Identity {
    /// What an operator should know of this certificate: that it has not been renewed when it should have been.
    #[must_use]
    pub fn trouble(&self, now: OffsetDateTime) -> Option<String> {
        let life = self.said.not_after - self.said.not_before;
        let late = now >= self.said.not_before + life * 5 / 6;
        late.then(|| {
            format!(
                "the certificate of this agent is good until {} and has not been renewed; agents still talk to each \
                 other, and the log says why the renewal fails",
                self.said.not_after.date()
            )
        })
    }
}

/// A key for which a certificate is being asked.
pub struct PendingKey {
    key: KeyPair,
}

impl fmt::Debug for PendingKey {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PendingKey")
            .field(&self.fingerprint())
            .finish()
    }
}

impl PendingKey {
    /// The request for a certificate, PEM.
    pub fn csr_pem(&self) -> Result<String, CertificateError> {
        authority::request_for(&self.key)
    }

    /// SHA-256 of the public key, hex.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        certificate::fingerprint(&self.key.subject_public_key_info())
    }
}

/// The folder that holds this agent's identity.
#[derive(Debug, Clone)]
pub struct IdentityStore {
    folder: PathBuf,
}

impl IdentityStore {
    /// Opens `STATE_DIR/peer`, making it where it is missing. The state folder itself must exist.
    pub fn open(state_dir: &Path) -> Result<Self, IdentityError> {
        let folder = state_dir.join(FOLDER);
        match fs::DirBuilder::new().mode(0o700).create(&folder) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.map_err(disk("make", &folder))?,
        }
        not_exposed(&folder, 0o700)?;
        Ok(Self { folder })
    }

    /// The identity on disk; none before this host has joined.
    pub fn load(&self) -> Result<Option<Identity>, IdentityError> {
        let path = self.folder.join(IDENTITY_FILE);
        let Some(pem) = read(&path)? else {
            return Ok(None);
        };
        match Identity::from_pem(pem) {
            Ok(identity) => Ok(Some(identity)),
            Err(why) => Err(IdentityError::Damaged { path, why }),
        }
    }

    /// The key to ask a certificate for: the one of the last attempt, or a new one.
    pub fn pending(&self) -> Result<PendingKey, IdentityError> {
        let path = self.folder.join(PENDING_FILE);
        if let Some(pem) = read(&path)?
            && let Ok(key) = KeyPair::from_pem(&pem)
            && key.is_compatible(&rcgen::PKCS_ECDSA_P256_SHA256)
        {
            return Ok(PendingKey { key });
        }
        // None there, or one that was never used: a damaged one is not worth stopping for.
        let key = authority::new_key()?;
        self.write(PENDING_FILE, &key.serialize_pem())?;
        Ok(PendingKey { key })
    }

    /// Takes the certificate that was issued for `pending`, checks it, and puts it on disk as this agent's identity.
    ///
    /// `expected` is whom it must speak for, where that is known already (a renewal); `ca_pem` is the authority, which
    /// the caller knows to be the right one.
    pub fn install(
        &self,
        pending: &PendingKey,
        certificate_pem: &str,
        ca_pem: &str,
        expected: Option<&PeerIdentity>,
    ) -> Result<Identity, IdentityError> {
        if certificate_pem.len() > PEM_BYTES_MAX || ca_pem.len() > PEM_BYTES_MAX {
            return Err(IdentityError::NotOurs("it is too long".to_owned()));
        }
        let pem = format!(
            "{}{}{}",
            ended(&pending.key.serialize_pem()),
            ended(&only_one(certificate_pem)?),
            ended(&only_one(ca_pem)?),
        );
        let identity = Identity::from_pem(pem).map_err(IdentityError::NotOurs)?;
        if let Some(expected) = expected
            && identity.peer() != expected
        {
            return Err(IdentityError::NotOurs(format!(
                "it is for {}, and this is {expected}",
                identity.peer()
            )));
        }
        self.write(IDENTITY_FILE, &identity.pem)?;
        let pending_path = self.folder.join(PENDING_FILE);
        match fs::remove_file(&pending_path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(disk("remove", &pending_path)(e));
            }
            _ => {}
        }
        Ok(identity)
    }

    /// Forgets the identity, after this agent has left the cluster.
    pub fn forget(&self) -> Result<(), IdentityError> {
        for file in [IDENTITY_FILE, PENDING_FILE] {
            let path = self.folder.join(file);
            match fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(disk("remove", &path)(e));
                }
                _ => {}
            }
        }
        self.sync_folder()
    }

    /// Whole or not at all: a new file, synced, renamed into place, and the folder synced.
    fn write(&self, file: &str, text: &str) -> Result<(), IdentityError> {
        let path = self.folder.join(file);
        let partial = self.folder.join(format!("{file}.partial"));
        match fs::remove_file(&partial) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(disk("remove", &partial)(e));
            }
            _ => {}
        }
        let mut out = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial)
            .map_err(disk("make", &partial))?;
        out.write_all(text.as_bytes())
            .and_then(|()| out.sync_all())
            .map_err(disk("write", &partial))?;
        fs::rename(&partial, &path).map_err(disk("rename into", &path))?;
        self.sync_folder()
    }

    fn sync_folder(&self) -> Result<(), IdentityError> {
        fs::File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(disk("sync", &self.folder))
    }
}

fn disk(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> IdentityError {
    let path = path.to_owned();
    move |source| IdentityError::Disk {
        doing,
        path,
        source,
    }
}

fn not_exposed(path: &Path, right: u32) -> Result<(), IdentityError> {
    let mode = fs::metadata(path)
        .map_err(disk("look at", path))?
        .permissions()
        .mode()
        & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(IdentityError::Exposed {
        path: path.to_owned(),
        mode,
        right,
    })
}

fn read(path: &Path) -> Result<Option<String>, IdentityError> {
    let file = match fs::File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(disk("open", path))?,
    };
    not_exposed(path, 0o600)?;
    let mut bytes = Vec::new();
    file.take(PEM_BYTES_MAX as u64 * 4)
        .read_to_end(&mut bytes)
        .map_err(disk("read", path))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(IdentityError::Damaged {
            path: path.to_owned(),
            why: "not text".to_owned(),
        }),
    }
}

/// Only the first certificate of a text that came from a peer goes to disk, and nothing that stood around it.
fn only_one(pem: &str) -> Result<String, IdentityError> {
    Ok(certificate::to_pem(&certificate::from_pem(pem)?))
}

fn ended(text: &str) -> String {
    format!("{}\n", text.trim_end())
}

/// The identity in use. Listener and client take it from here for each new connection, so that a renewed one needs no
/// restart; connections that are open go on with the one they began with.
#[derive(Debug)]
pub struct LiveIdentity {
    current: ArcSwap<Identity>,
}

impl LiveIdentity {
    /// Begins with the identity from disk.
    #[must_use]
    pub fn new(identity: Identity) -> Arc<Self> {
        Arc::new(Self {
            current: ArcSwap::from_pointee(identity),
        })
    }

    /// The identity now.
    #[must_use]
    pub fn current(&self) -> Arc<Identity> {
        self.current.load_full()
    }

    /// Takes a renewed one; only another certificate for the same agent of the same cluster is taken.
    pub fn replace(&self, identity: Identity) -> Result<(), IdentityError> {
        let current = self.current();
        if identity.peer() != current.peer() || identity.ca != current.ca {
            return Err(IdentityError::NotOurs(format!(
                "it is for {}, and this is {}",
                identity.peer(),
                current.peer()
            )));
        }
        self.current.store(Arc::new(identity));
        Ok(())
    }
}

impl ResolvesServerCert for LiveIdentity {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.load().certified))
    }
}

impl ResolvesClientCert for LiveIdentity {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.load().certified))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
