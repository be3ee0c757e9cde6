//! The join token: one printable word that brings one host in.
//!
//! ```text
//! muster1-BASE64URL(cluster id 16 | SHA-256 of the CA certificate 32 | secret 20 | check 4)
//! ```
//!
//! The fingerprint lets the joiner know whom it talks to before it says anything; the secret lets the group know that
//! the joiner was invited. The check only catches a word that was cut or mistyped, and is no protection. Only the
//! SHA-256 of the secret is ever written into the ordered state.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use uuid::Uuid;

use super::certificate::hex;
use super::limits::TOKEN_BYTES_MAX;

const FAMILY: &str = "muster";
const PREFIX: &str = "muster1-";
const SECRET_BYTES: usize = 20;
const CHECK_BYTES: usize = 4;
const BODY_BYTES: usize = 16 + 32 + SECRET_BYTES;
const TEXT_CHARS: usize = (BODY_BYTES + CHECK_BYTES) / 3 * 4;
const _: () = assert!((BODY_BYTES + CHECK_BYTES).is_multiple_of(3));
const _: () = assert!(PREFIX.len() + TEXT_CHARS <= TOKEN_BYTES_MAX);

/// Why a text is not a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Nothing there.
    #[error("the token is empty; give the whole word that 'muster token create' printed")]
    Empty,
    /// Something else altogether.
    #[error(
        "this is not a join token; give the whole word, beginning with {PREFIX}, that 'muster token create' printed"
    )]
    NotAToken,
    /// A token of another version.
    #[error(
        "this token is of version {0}, and this muster knows version 1; use the same version of muster on both hosts"
    )]
    OtherVersion(String),
    /// The end is missing.
    #[error(
        "the token is cut short ({have} of {TEXT_CHARS} characters after '{PREFIX}'); copy it whole"
    )]
    Truncated {
        /// Characters after the prefix.
        have: usize,
    },
    /// Something was added.
    #[error("the token is too long; copy the one word, without what stands beside it")]
    TooLong,
    /// A character that no token has.
    #[error("the token has a character at place {0} that no token has; copy it again")]
    BadCharacter(usize),
    /// A character was changed.
    #[error("the token was changed on its way (its check does not fit); copy it again")]
    Check,
    /// The cluster's id is no UUID.
    #[error("the cluster id '{0}' is not a UUID; a token cannot be made for it")]
    ClusterId(String),
    /// The system gives no random numbers.
    #[error("the system gave no random numbers; try again")]
    NoRandom,
}

/// The secret part of a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; SECRET_BYTES]);

impl Secret {
    /// Draws a new one, of 160 bits.
    pub fn draw() -> Result<Self, TokenError> {
        let mut bytes = [0; SECRET_BYTES];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| TokenError::NoRandom)?;
        Ok(Self(bytes))
    }

    /// Reads the text that [`Secret::text`] writes.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong);
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| TokenError::NotAToken)?;
        let bytes = bytes.try_into().map_err(|_| TokenError::NotAToken)?;
        Ok(Self(bytes))
    }

    /// The secret as it travels in a join request, inside TLS, to an agent that has proven the pinned CA.
    #[must_use]
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// SHA-256, hex: all that the group keeps.
    #[must_use]
    pub fn hash(&self) -> String {
        hex(digest(&SHA256, &self.0).as_ref())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// A join token. Prints as the word a person copies; its `Debug` hides the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// UUID of the cluster.
    pub cluster_id: Uuid,
    /// SHA-256 of the CA's certificate in DER.
    pub ca_fingerprint: [u8; 32],
    /// Proves the invitation.
    pub secret: Secret,
}

impl Token {
    /// A new token for a cluster and its CA certificate (PEM).
    pub fn create(cluster_id: &str, ca_pem: &str) -> Result<Self, TokenError> {
        let cluster_id = Uuid::parse_str(cluster_id)
            .map_err(|_| TokenError::ClusterId(cluster_id.to_owned()))?;
        let ca_fingerprint =
            super::certificate::pem_fingerprint(ca_pem).map_err(|_| TokenError::NotAToken)?;
        Ok(Self {
            cluster_id,
            ca_fingerprint,
            secret: Secret::draw()?,
        })
    }

    fn check(body: &[u8]) -> [u8; CHECK_BYTES] {
        let mut context = ring::digest::Context::new(&SHA256);
        context.update(PREFIX.as_bytes());
        context.update(body);
        let mut check = [0; CHECK_BYTES];
        check.copy_from_slice(&context.finish().as_ref()[..CHECK_BYTES]);
        check
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(BODY_BYTES + CHECK_BYTES);
        bytes.extend_from_slice(self.cluster_id.as_bytes());
        bytes.extend_from_slice(&self.ca_fingerprint);
        bytes.extend_from_slice(&self.secret.0);
        let check = Self::check(&bytes);
        bytes.extend_from_slice(&check);
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TokenError::Empty);
        }
        if !text.starts_with(PREFIX) {
            return Err(match other_version(text) {
                Some(version) => TokenError::OtherVersion(version),
                None if PREFIX.starts_with(text) => TokenError::Truncated { have: 0 },
                None => TokenError::NotAToken,
            });
        }
        let body = &text[PREFIX.len()..];
        if let Some(place) = body
            .bytes()
            .take(TEXT_CHARS)
            .position(|b| !(b.is_ascii_alphanumeric() || b == b'-' || b == b'_'))
        {
            return Err(TokenError::BadCharacter(PREFIX.len() + place + 1));
        }
        if body.len() < TEXT_CHARS {
            return Err(TokenError::Truncated { have: body.len() });
        }
        if body.len() > TEXT_CHARS {
            return Err(TokenError::TooLong);
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(body)
            .map_err(|_| TokenError::NotAToken)?;
        let (body, check) = bytes.split_at(BODY_BYTES);
        if Self::check(body) != check {
            return Err(TokenError::Check);
        }
        let (cluster, rest) = body.split_at(16);
        let (ca, secret) = rest.split_at(32);
        match (cluster.try_into(), ca.try_into(), secret.try_into()) {
            (Ok(cluster), Ok(ca_fingerprint), Ok(secret)) => Ok(Self {
                cluster_id: Uuid::from_bytes(cluster),
                ca_fingerprint,
                secret: Secret(secret),
            }),
            _ => Err(TokenError::NotAToken),
        }
    }
}

/// The version of a token that is one, but not of ours.
fn other_version(text: &str) -> Option<String> {
    let (digits, _) = text.strip_prefix(FAMILY)?.split_once('-')?;
    let fits = (1..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    (fits && digits != "1").then(|| digits.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(cluster: u128, ca: [u8; 32], secret: [u8; SECRET_BYTES]) -> Token {
        Token {
            cluster_id: Uuid::from_u128(cluster),
            ca_fingerprint: ca,
            secret: Secret(secret),
        }
    }

    fn sample() -> String {
        token(7, [3; 32], [9; SECRET_BYTES]).to_string()
    }

    #[test]
    fn a_token_is_one_printable_word() {
        let text = sample();
        assert_eq!(text.len(), PREFIX.len() + TEXT_CHARS);
        assert!(
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        );
    }

    #[test]
    fn each_damage_has_its_own_sentence() {
        let text = sample();
        let parse = |t: &str| t.parse::<Token>().unwrap_err();
        assert_eq!(parse(""), TokenError::Empty);
        assert_eq!(parse("  \n"), TokenError::Empty);
        assert_eq!(parse("must"), TokenError::Truncated { have: 0 });
        assert_eq!(parse("hunter2"), TokenError::NotAToken);
        assert_eq!(parse("K10a::server:b"), TokenError::NotAToken);
        assert_eq!(
            parse(&text.replace("muster1-", "muster2-")),
            TokenError::OtherVersion("2".into())
        );
        assert_eq!(
            parse(&text[..text.len() - 1]),
            TokenError::Truncated {
                have: TEXT_CHARS - 1
            }
        );
        assert_eq!(parse(&format!("{text}x")), TokenError::TooLong);
        assert_eq!(
            parse(&format!("{PREFIX}{}", "A".repeat(10_000_000))),
            TokenError::TooLong
        );
        assert_eq!(
            parse(&text.replacen(&text[10..11], "+", 1)),
            TokenError::BadCharacter(text.find(&text[10..11]).unwrap() + 1)
        );
        assert_eq!(parse("muster1-äöü"), TokenError::BadCharacter(9));
    }

    #[test]
    fn debug_shows_no_secret() {
        let token: Token = sample().parse().unwrap();
        let shown = format!("{token:?}");
        assert!(shown.contains("hidden"), "{shown}");
        assert!(!shown.contains("9, 9"), "{shown}");
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(cluster: u128, ca: [u8; 32], secret: [u8; SECRET_BYTES]) {
            let made = token(cluster, ca, secret);
            let read: Token = format!(" {made}\n").parse().unwrap();
            prop_assert_eq!(&read, &made);
            let again = Secret::parse(&made.secret.text()).unwrap();
            prop_assert_eq!(again.hash(), made.secret.hash());
        }

        #[test]
        fn any_text_is_taken_or_refused_without_harm(text in "\\PC{0,300}") {
            let _ = text.parse::<Token>();
            let _ = Secret::parse(&text);
        }

        #[test]
        fn any_text_after_the_prefix_is_refused(text in "muster1-[A-Za-z0-9_-]{96}") {
            prop_assert_eq!(text.parse::<Token>().unwrap_err(), TokenError::Check);
        }

        #[test]
        fn one_changed_character_is_noticed(
            cluster: u128, ca: [u8; 32], secret: [u8; SECRET_BYTES],
            place in PREFIX.len()..PREFIX.len() + TEXT_CHARS, other in "[A-Za-z0-9_-]",
        ) {
            let text = token(cluster, ca, secret).to_string();
            prop_assume!(text[place..=place] != other);
            let mut changed = text.clone();
            changed.replace_range(place..=place, &other);
            prop_assert_eq!(changed.parse::<Token>().unwrap_err(), TokenError::Check);
        }

        #[test]
        fn every_beginning_is_told_to_be_cut(cut in 0..PREFIX.len() + TEXT_CHARS) {
            let text = sample();
            let error = text[..cut].parse::<Token>().unwrap_err();
            let fits = matches!(error, TokenError::Truncated { .. } | TokenError::Empty);
            prop_assert!(fits, "{:?}", error);
        }
    }
}
