//! Whether to believe a peer's certificate: signed by this cluster's authority, for the right use, naming an agent of
//! this cluster. All of X.509 is judged by webpki; what is ours is which time it judges by, and the name.
//!
//! **Time.** A wrong or stepping wall clock must change nothing between agents, so a certificate is judged at a time
//! inside its own validity: if the clock is webpki's complaint, it is asked again with the nearest time that fits. The
//! dates drive renewal; the right to speak ends by the ordered state (`removed_agents`), which no clock can move.
//! See `docs/adr/0005-certificates-and-clocks.md` for why.

use std::io;
use std::sync::Arc;

use muster_core::ids::AgentId;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError as TlsCertificateError, DigitallySignedStruct, DistinguishedName, Error,
    OtherError, RootCertStore, SignatureScheme,
};

use super::certificate::{self, AgentCertificate, PeerIdentity};

/// The cryptography of the peer port.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A certificate that is well signed and still not the one we want.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongPeer {
    /// Another cluster.
    #[error("the peer belongs to another cluster ({theirs}; ours is {ours})")]
    OtherCluster {
        /// Ours.
        ours: String,
        /// The peer's.
        theirs: String,
    },
    /// Another agent than the one that was called.
    #[error(
        "agent {found} answers at the address of agent {expected}; one of the two has a wrong address"
    )]
    OtherAgent {
        /// Who was called.
        expected: AgentId,
        /// Who answered.
        found: AgentId,
    },
    /// The authority is not the one that the token names.
    #[error("the host that answers does not belong to the cluster that this token is for")]
    NotPinned,
    /// No agent's certificate.
    #[error("{0}")]
    Unreadable(#[from] super::authority::CertificateError),
}

impl From<WrongPeer> for Error {
    fn from(wrong: WrongPeer) -> Self {
        Self::InvalidCertificate(TlsCertificateError::Other(OtherError(Arc::new(wrong))))
    }
}

/// What went wrong with a connection, in words for people: our own sentence where the certificate was ours to judge.
pub(super) fn words(error: &io::Error) -> String {
    let tls = error.get_ref().and_then(|e| e.downcast_ref::<Error>());
    match tls {
        Some(Error::InvalidCertificate(TlsCertificateError::Other(OtherError(wrong)))) => {
            wrong.to_string()
        }
        Some(Error::InvalidCertificate(why)) => {
            format!("its certificate is not one of this cluster ({why})")
        }
        _ => error.to_string(),
    }
}

/// Asks `judge` with the clock's time and, where the clock is the complaint, with the nearest time that fits.
fn whatever_the_clock<T>(
    now: UnixTime,
    judge: impl Fn(UnixTime) -> Result<T, Error>,
) -> Result<T, Error> {
    match judge(now) {
        Err(Error::InvalidCertificate(TlsCertificateError::ExpiredContext {
            not_after, ..
        })) => judge(not_after),
        Err(Error::InvalidCertificate(TlsCertificateError::NotValidYetContext {
            not_before,
            ..
        })) => judge(not_before),
        judged => judged,
    }
}

fn of_cluster(
    end_entity: &CertificateDer<'_>,
    cluster_id: &str,
) -> Result<AgentCertificate, WrongPeer> {
    let said = certificate::read(end_entity)?;
    if said.identity.cluster_id != cluster_id {
        return Err(WrongPeer::OtherCluster {
            ours: cluster_id.to_owned(),
            theirs: said.identity.cluster_id,
        });
    }
    Ok(said)
}

/// Signed by the authority itself: between it and an agent there is nobody, whatever a peer sends along.
fn chain_to(
    roots: &RootCertStore,
    end_entity: &CertificateDer<'_>,
    now: UnixTime,
    provider: &CryptoProvider,
) -> Result<(), Error> {
    let parsed = ParsedCertificate::try_from(end_entity)?;
    let algorithms = provider.signature_verification_algorithms.all;
    whatever_the_clock(now, |time| {
        verify_server_cert_signed_by_trust_anchor(&parsed, roots, &[], time, algorithms)
    })
}

fn only(ca: &CertificateDer<'_>) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone().into_owned())?;
    Ok(roots)
}

/// Checks that a certificate was signed by `ca` for an agent of `cluster_id`, and says what it says.
pub fn check(
    certificate: &CertificateDer<'_>,
    ca: &CertificateDer<'_>,
    cluster_id: &str,
) -> Result<AgentCertificate, Error> {
    let roots = only(ca)?;
    chain_to(&roots, certificate, UnixTime::now(), &provider())?;
    Ok(of_cluster(certificate, cluster_id)?)
}

/// Checks those who call us. No certificate at all is let through: such a caller may only ask to join.
#[derive(Debug)]
pub(super) struct CallerVerifier {
    webpki: Arc<dyn ClientCertVerifier>,
    cluster_id: String,
}

impl CallerVerifier {
    pub(super) fn new(ca: &CertificateDer<'_>, cluster_id: &str) -> Result<Self, Error> {
        let webpki = WebPkiClientVerifier::builder_with_provider(Arc::new(only(ca)?), provider())
            .allow_unauthenticated()
            .clear_root_hint_subjects()
            .build()
            .map_err(|e| Error::General(e.to_string()))?;
        Ok(Self {
            webpki,
            cluster_id: cluster_id.to_owned(),
        })
    }
}

impl ClientCertVerifier for CallerVerifier {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = whatever_the_clock(now, |time| {
            self.webpki.verify_client_cert(end_entity, &[], time)
        })?;
        of_cluster(end_entity, &self.cluster_id)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// Whom we mean to call.
#[derive(Debug)]
enum Wanted {
    /// One agent of our cluster.
    Agent(RootCertStore, PeerIdentity),
    /// Any agent of the cluster whose authority has this fingerprint.
    Pinned {
        ca_fingerprint: [u8; 32],
        cluster_id: String,
    },
}

/// Checks those whom we call.
#[derive(Debug)]
pub(super) struct CalledVerifier {
    wanted: Wanted,
    provider: Arc<CryptoProvider>,
}

impl CalledVerifier {
    /// Expects this agent, under this authority.
    pub(super) fn agent(ca: &CertificateDer<'_>, expected: PeerIdentity) -> Result<Self, Error> {
        Ok(Self {
            wanted: Wanted::Agent(only(ca)?, expected),
            provider: provider(),
        })
    }

    /// Expects any agent of the cluster that a token names.
    pub(super) fn pinned(ca_fingerprint: [u8; 32], cluster_id: String) -> Self {
        Self {
            wanted: Wanted::Pinned {
                ca_fingerprint,
                cluster_id,
            },
            provider: provider(),
        }
    }
}

impl ServerCertVerifier for CalledVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.wanted {
            Wanted::Agent(roots, expected) => {
                chain_to(roots, end_entity, now, &self.provider)?;
                let said = of_cluster(end_entity, &expected.cluster_id)?;
                if said.identity.agent_id != expected.agent_id {
                    return Err(WrongPeer::OtherAgent {
                        expected: expected.agent_id,
                        found: said.identity.agent_id,
                    }
                    .into());
                }
            }
            Wanted::Pinned {
                ca_fingerprint,
                cluster_id,
            } => {
                // Agents send their authority's certificate along for this very moment.
                let ca = intermediates
                    .iter()
                    .find(|ca| certificate::sha256(ca) == *ca_fingerprint)
                    .ok_or(WrongPeer::NotPinned)?;
                chain_to(&only(ca)?, end_entity, now, &self.provider)?;
                of_cluster(end_entity, cluster_id)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
