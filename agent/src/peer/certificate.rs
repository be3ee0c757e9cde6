//! Reading certificates: whom one speaks for, how long it is meant to live, and its fingerprints.
//!
//! Nothing here decides whether a certificate is to be believed; that is [`super::verify`].

use std::fmt;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use muster_core::ids::AgentId;
use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use time::OffsetDateTime;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::authority::CertificateError;
use super::limits::PEM_BYTES_MAX;

const SCHEME: &str = "muster://";
const CLUSTER_ID_CHARS_MAX: usize = 64;

/// Whom a certificate speaks for; written in it as `muster://CLUSTER_ID/agent/ID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerIdentity {
    /// UUID of the cluster.
    pub cluster_id: String,
    /// Number of the agent.
    pub agent_id: AgentId,
}

impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/agent/{}", self.cluster_id, self.agent_id)
    }
}

impl PeerIdentity {
    /// Makes one, if the cluster id is fit to stand in a certificate.
    pub fn new(cluster_id: &str, agent_id: AgentId) -> Result<Self, CertificateError> {
        let identity = Self {
            cluster_id: cluster_id.to_owned(),
            agent_id,
        };
        match Self::parse(&identity.to_string()) {
            Some(parsed) if parsed == identity => Ok(identity),
            _ => Err(CertificateError::NoIdentity),
        }
    }

    /// Reads the one form that [`fmt::Display`] writes, and no other.
    #[must_use]
    pub fn parse(uri: &str) -> Option<Self> {
        let (cluster_id, agent) = uri.strip_prefix(SCHEME)?.split_once("/agent/")?;
        let cluster_fits = (1..=CLUSTER_ID_CHARS_MAX).contains(&cluster_id.len())
            && cluster_id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let number: u64 = agent.parse().ok()?;
        let identity = Self {
            cluster_id: cluster_id.to_owned(),
            agent_id: AgentId(number),
        };
        (cluster_fits && number > 0 && agent == number.to_string()).then_some(identity)
    }
}

/// What an agent's certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentCertificate {
    /// Whom it speaks for.
    pub identity: PeerIdentity,
    /// Beginning of its validity.
    pub not_before: OffsetDateTime,
    /// End of its validity; for renewal, see [`super::verify`].
    pub not_after: OffsetDateTime,
    /// SHA-256 of its public key (SubjectPublicKeyInfo in DER), hex.
    pub key_fingerprint: String,
}

/// Reads an agent's certificate.
pub fn read(der: &CertificateDer<'_>) -> Result<AgentCertificate, CertificateError> {
    let certificate = parse(der)?;
    let names = certificate
        .subject_alternative_name()
        .map_err(|_| CertificateError::NotACertificate)?
        .ok_or(CertificateError::NoIdentity)?;
    // Exactly one name: two would let a reader and a checker each look at another one.
    let [GeneralName::URI(uri)] = names.value.general_names.as_slice() else {
        return Err(CertificateError::NoIdentity);
    };
    Ok(AgentCertificate {
        identity: PeerIdentity::parse(uri).ok_or(CertificateError::NoIdentity)?,
        not_before: certificate.validity().not_before.to_datetime(),
        not_after: certificate.validity().not_after.to_datetime(),
        key_fingerprint: fingerprint(certificate.public_key().raw),
    })
}

/// The whole public key (SubjectPublicKeyInfo in DER) of a certificate.
pub(super) fn public_key_info(der: &CertificateDer<'_>) -> Result<Vec<u8>, CertificateError> {
    Ok(parse(der)?.public_key().raw.to_vec())
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, CertificateError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(CertificateError::NotACertificate),
    }
}

/// The first certificate in a PEM text.
pub fn from_pem(pem: &str) -> Result<CertificateDer<'static>, CertificateError> {
    if pem.len() > PEM_BYTES_MAX {
        return Err(CertificateError::TooLong);
    }
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| CertificateError::NotACertificate)
}

/// A certificate as PEM text.
#[must_use]
pub fn to_pem(der: &CertificateDer<'_>) -> String {
    let body = STANDARD.encode(der);
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in body.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

/// SHA-256 of the first certificate in a PEM text.
pub fn pem_fingerprint(pem: &str) -> Result<[u8; 32], CertificateError> {
    Ok(sha256(&from_pem(pem)?))
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut sum = [0; 32];
    sum.copy_from_slice(digest(&SHA256, bytes).as_ref());
    sum
}

/// SHA-256, hex.
pub(super) fn fingerprint(bytes: &[u8]) -> String {
    hex(&sha256(bytes))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_one_form_is_an_identity() {
        for bad in [
            "",
            "muster://",
            "muster:///agent/1",
            "muster://c/agent/",
            "muster://c/agent/0",
            "muster://c/agent/01",
            "muster://c/agent/+1",
            "muster://c/agent/-1",
            "muster://c/agent/18446744073709551616",
            "muster://c/agent/1/",
            "muster://c/d/agent/1",
            "muster://c/agent/1?x",
            "muster://ç/agent/1",
            "Muster://c/agent/1",
            "http://c/agent/1",
        ] {
            assert_eq!(PeerIdentity::parse(bad), None, "{bad}");
        }
        assert!(PeerIdentity::new("c/agent/1", AgentId(2)).is_err());
        assert!(PeerIdentity::new("", AgentId(2)).is_err());
        assert!(PeerIdentity::new("c", AgentId(0)).is_err());
    }

    proptest! {
        #[test]
        fn an_identity_is_read_back(cluster in "[0-9a-f-]{1,64}", id in 1..=u64::MAX) {
            let made = PeerIdentity::new(&cluster, AgentId(id)).unwrap();
            prop_assert_eq!(PeerIdentity::parse(&made.to_string()), Some(made));
        }

        #[test]
        fn any_text_and_any_bytes_are_survived(text in "\\PC{0,100}", bytes: Vec<u8>) {
            let _ = PeerIdentity::parse(&text);
            prop_assert!(read(&CertificateDer::from(bytes)).is_err());
            prop_assert!(from_pem(&text).is_err());
        }
    }
}
