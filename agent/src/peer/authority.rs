//! The cluster's own certificate authority: made by `muster init`, used by whichever agent leads.
//!
//! Its certificate is as good as eternal, because there is nobody to replace it in time and nothing that its end would
//! protect from; an agent's certificate lives for 90 days and is renewed at two thirds of that. From a request only the
//! public key is taken: the signer writes every other word of the certificate itself.

use std::fmt;

use muster_core::ids::AgentId;
use muster_core::state::Authority;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};
use time::OffsetDateTime;
use time::macros::datetime;

use super::certificate::{self, PeerIdentity};
use super::limits::{CERTIFICATE_BACK_DATED, CERTIFICATE_LIFE, CSR_BYTES_MAX, PEM_BYTES_MAX};

const CA_NOT_BEFORE: OffsetDateTime = datetime!(1970-01-01 00:00 UTC);
/// RFC 5280's way to write "no end".
const CA_NOT_AFTER: OffsetDateTime = datetime!(9999-12-31 23:59:59 UTC);
/// Clocks of signers are taken as lying between these two, so that a broken one cannot make a certificate whose dates
/// cannot be written.
const CLOCK_MIN: OffsetDateTime = datetime!(2000-01-01 00:00 UTC);
const CLOCK_MAX: OffsetDateTime = datetime!(9000-01-01 00:00 UTC);

/// Why a certificate was not made or not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not a certificate.
    #[error("this is not a certificate")]
    NotACertificate,
    /// More text than any certificate has.
    #[error("this is too long to be a certificate")]
    TooLong,
    /// It does not say whose it is.
    #[error("the certificate does not say which agent of which cluster it belongs to")]
    NoIdentity,
    /// A request that makes no sense.
    #[error(
        "the certificate request cannot be read ({0}); the asking agent makes a new one when it tries again"
    )]
    BadRequest(String),
    /// A key of another kind.
    #[error("the certificate request brings a key that is not ECDSA P-256; Muster signs no other")]
    OtherKey,
    /// The authority in the ordered state cannot be used.
    #[error(
        "the cluster's certificate authority cannot be used ({0}); no agent can join or renew until the state is restored from a backup"
    )]
    BadAuthority(String),
    /// The system refuses.
    #[error("the certificate could not be made: {0}")]
    Failed(String),
}

/// Makes the authority of a new cluster.
pub fn found(cluster_id: &str) -> Result<Authority, CertificateError> {
    // An id that could not stand in an agent's certificate must not get a cluster.
    PeerIdentity::new(cluster_id, AgentId(1))?;
    let key = new_key()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = named(format!("muster cluster {cluster_id}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = CA_NOT_BEFORE;
    params.not_after = CA_NOT_AFTER;
    params.serial_number = Some(serial()?);
    let made = params.self_signed(&key).map_err(failed)?;
    Ok(Authority {
        certificate_pem: made.pem(),
        key_pem: key.serialize_pem(),
    })
}

/// Signs agents' certificates with the authority of the ordered state.
pub struct Signer {
    issuer: Issuer<'static, KeyPair>,
    cluster_id: String,
}

impl fmt::Debug for Signer {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signer").field(&self.cluster_id).finish()
    }
}

impl Signer {
    /// Takes the authority from the ordered state.
    pub fn load(authority: &Authority, cluster_id: &str) -> Result<Self, CertificateError> {
        let bad = |why: String| CertificateError::BadAuthority(why);
        if authority.key_pem.len() > PEM_BYTES_MAX {
            return Err(bad("its key is too long".to_owned()));
        }
        let key = KeyPair::from_pem(&authority.key_pem)
            .map_err(|_| bad("its key cannot be read".to_owned()))?;
        let der = certificate::from_pem(&authority.certificate_pem)
            .map_err(|e| bad(format!("its certificate: {e}")))?;
        let certified =
            certificate::public_key_info(&der).map_err(|e| bad(format!("its certificate: {e}")))?;
        if certified != key.subject_public_key_info() {
            return Err(bad("its key does not fit its certificate".to_owned()));
        }
        let issuer = Issuer::from_ca_cert_der(&der, key)
            .map_err(|e| bad(format!("its certificate: {e}")))?;
        Ok(Self {
            issuer,
            cluster_id: cluster_id.to_owned(),
        })
    }

    /// A certificate for `agent_id` with the public key of the request, PEM.
    pub fn sign(&self, csr_pem: &str, agent_id: AgentId) -> Result<String, CertificateError> {
        self.sign_at(csr_pem, agent_id, OffsetDateTime::now_utc())
    }

    /// The same, with `now` as the signer's clock.
    pub fn sign_at(
        &self,
        csr_pem: &str,
        agent_id: AgentId,
        now: OffsetDateTime,
    ) -> Result<String, CertificateError> {
        let request = read_request(csr_pem)?;
        let identity = PeerIdentity::new(&self.cluster_id, agent_id)?;
        let uri = identity
            .to_string()
            .try_into()
            .map_err(|_| CertificateError::NoIdentity)?;
        let now = now.clamp(CLOCK_MIN, CLOCK_MAX);
        let mut params = CertificateParams::default();
        params.distinguished_name = named(format!("muster agent {agent_id}"));
        params.subject_alt_names = vec![SanType::URI(uri)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        params.not_before = now - CERTIFICATE_BACK_DATED;
        params.not_after = now + CERTIFICATE_LIFE;
        params.serial_number = Some(serial()?);
        let signed = params
            .signed_by(&request.public_key, &self.issuer)
            .map_err(failed)?;
        Ok(signed.pem())
    }
}

/// SHA-256 of the public key in a request, hex.
pub fn csr_key_fingerprint(csr_pem: &str) -> Result<String, CertificateError> {
    let request = read_request(csr_pem)?;
    Ok(certificate::fingerprint(
        &request.public_key.subject_public_key_info(),
    ))
}

/// Reads a request and checks that the asker holds the key: the request is signed with it.
fn read_request(csr_pem: &str) -> Result<CertificateSigningRequestParams, CertificateError> {
    if csr_pem.len() > CSR_BYTES_MAX {
        return Err(CertificateError::BadRequest("too long".to_owned()));
    }
    let request = CertificateSigningRequestParams::from_pem(csr_pem)
        .map_err(|e| CertificateError::BadRequest(e.to_string()))?;
    // The algorithm is that of the signature; the point's length shows the curve of the key itself.
    let point = request.public_key.der_bytes();
    if request.public_key.algorithm() != &PKCS_ECDSA_P256_SHA256
        || point.len() != 65
        || point.first() != Some(&4)
    {
        return Err(CertificateError::OtherKey);
    }
    Ok(request)
}

/// A new ECDSA P-256 key.
pub(super) fn new_key() -> Result<KeyPair, CertificateError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)
}

/// A request for a certificate with `key`, PEM.
pub(super) fn request_for(key: &KeyPair) -> Result<String, CertificateError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("muster agent".to_owned());
    let request = params.serialize_request(key).map_err(failed)?;
    request.pem().map_err(failed)
}

fn named(common_name: String) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn serial() -> Result<SerialNumber, CertificateError> {
    let mut bytes = [0_u8; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| CertificateError::Failed("the system gave no random numbers".to_owned()))?;
    // A serial number is positive and has no leading zero.
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn failed(error: rcgen::Error) -> CertificateError {
    CertificateError::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::Duration;

    use super::*;

    const CLUSTER: &str = "6f1c1f0e-9f6a-4a57-9d6d-0a7c1d1f2b3c";

    fn signer() -> (Authority, Signer) {
        let authority = found(CLUSTER).unwrap();
        let signer = Signer::load(&authority, CLUSTER).unwrap();
        (authority, signer)
    }

    #[test]
    fn a_certificate_says_who_and_for_how_long() {
        let (_, signer) = signer();
        let key = new_key().unwrap();
        let csr = request_for(&key).unwrap();
        let now = datetime!(2026-11-20 12:00 UTC);
        let pem = signer.sign_at(&csr, AgentId(4), now).unwrap();
        let said = certificate::read(&certificate::from_pem(&pem).unwrap()).unwrap();
        assert_eq!(said.identity.agent_id, AgentId(4));
        assert_eq!(said.identity.cluster_id, CLUSTER);
        assert_eq!(said.not_before, now - Duration::hours(48));
        assert_eq!(said.not_after, now + Duration::days(90));
        assert_eq!(said.key_fingerprint, csr_key_fingerprint(&csr).unwrap());
    }

    #[test]
    fn any_clock_of_a_signer_gives_a_certificate() {
        let (_, signer) = signer();
        let csr = request_for(&new_key().unwrap()).unwrap();
        for now in [
            datetime!(1970-01-01 00:00 UTC),
            datetime!(0001-01-01 00:00 UTC),
            datetime!(2049-12-31 00:00 UTC),
            datetime!(2050-01-02 00:00 UTC),
            datetime!(9999-12-31 23:59:59 UTC),
        ] {
            let pem = signer.sign_at(&csr, AgentId(1), now).unwrap();
            certificate::read(&certificate::from_pem(&pem).unwrap()).unwrap();
        }
    }

    #[test]
    fn a_request_cannot_choose_its_words() {
        let (_, signer) = signer();
        let key = new_key().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.subject_alt_names = vec![SanType::URI(
            format!("muster://{CLUSTER}/agent/1").try_into().unwrap(),
        )];
        let csr = params.serialize_request(&key).unwrap().pem().unwrap();
        let pem = signer.sign(&csr, AgentId(9)).unwrap();
        let der = certificate::from_pem(&pem).unwrap();
        assert_eq!(
            certificate::read(&der).unwrap().identity.agent_id,
            AgentId(9)
        );
        use x509_parser::prelude::FromDer as _;
        let (_, parsed) = x509_parser::prelude::X509Certificate::from_der(&der).unwrap();
        assert!(!parsed.is_ca());
    }

    #[test]
    fn a_request_must_prove_its_key_and_be_of_our_kind() {
        let (_, signer) = signer();
        let other = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let csr = request_for(&other).unwrap();
        assert_eq!(
            signer.sign(&csr, AgentId(1)).unwrap_err(),
            CertificateError::OtherKey
        );
        for bad in [
            String::new(),
            "garbage".to_owned(),
            "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"
                .to_owned(),
            "A".repeat(CSR_BYTES_MAX + 1),
        ] {
            let refused = signer.sign(&bad, AgentId(1)).unwrap_err();
            assert!(
                matches!(refused, CertificateError::BadRequest(_)),
                "{refused}"
            );
        }
    }

    #[test]
    fn no_key_is_printed() {
        let (authority, signer) = signer();
        let state = muster_core::state::ClusterState {
            authority: authority.clone(),
            ..Default::default()
        };
        let body = authority.key_pem.lines().nth(1).unwrap();
        let shown = format!("{state:?}{signer:?}");
        assert!(
            !shown.contains(body) && !shown.contains("PRIVATE"),
            "{shown}"
        );
    }

    #[test]
    fn a_damaged_authority_is_named() {
        let (authority, _) = signer();
        let other = found(CLUSTER).unwrap();
        let mixed = Authority {
            certificate_pem: authority.certificate_pem.clone(),
            key_pem: other.key_pem,
        };
        for bad in [mixed, Authority::default()] {
            let refused = Signer::load(&bad, CLUSTER).unwrap_err();
            assert!(matches!(refused, CertificateError::BadAuthority(_)));
        }
        assert!(found("no/such").is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_flipped_bit_in_a_request_brings_no_other_key(at in 0_usize..10_000, bit in 0_u8..8) {
            let csr = request_for(&new_key().unwrap()).unwrap();
            let mut der = pem_body(&csr);
            let at = at % der.len();
            der[at] ^= 1 << bit;
            // Unreadable, not signed by its key, or changed where nothing is said; never a panic, never another key.
            if let Ok(fingerprint) = csr_key_fingerprint(&pem_text(&der)) {
                prop_assert_eq!(fingerprint, csr_key_fingerprint(&csr).unwrap());
            }
        }
    }

    fn pem_body(pem: &str) -> Vec<u8> {
        use rustls::pki_types::CertificateSigningRequestDer;
        use rustls::pki_types::pem::PemObject as _;
        CertificateSigningRequestDer::from_pem_slice(pem.as_bytes())
            .unwrap()
            .to_vec()
    }

    fn pem_text(der: &[u8]) -> String {
        use base64::Engine as _;
        let body = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n")
    }
}
