//! What a plugin says is checked before anything believes it.
//!
//! The plugin is ours and its server's uid was checked, but it may be another build, its server may hold any text in
//! its variables, and the socket's peer may be any program of that user. Texts that are only shown are cut to their
//! limits; what identifies is refused when it does not fit.

use muster_link::limits::TEXT_CHARS_MAX;
use muster_link::report::{Identity, Report};
use muster_link::text::{clip_gtid, clip_text};

use super::limits::{
    BUILD_CHARS_MAX, CHANNELS_MAX, HOST_CHARS_MAX, MEMBER_ID_CHARS_MAX, PATH_CHARS_MAX,
    REPLICAS_MAX, VERSION_CHARS_MAX,
};

/// Why an introduction is refused, as a sentence for the server's error log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum IdentityError {
    #[error(
        "the server's MEMBER_ID {0:?} is no UUID; look at auto.cnf (MariaDB: the plugin's file) in the data directory"
    )]
    NoUuid(String),
    #[error("the server gave no host name; set report_host or muster_advertise_host")]
    NoHost,
    #[error("the server's host name {0:?} is no name or address; set muster_advertise_host")]
    BadHost(String),
    #[error("the server gave port 0; set report_port or muster_advertise_port")]
    NoPort,
}

/// `identity` with texts cut to their limits, or why it cannot be believed. An empty `member_id` stays: it is not
/// known yet.
pub(super) fn identity(mut identity: Identity) -> Result<Identity, IdentityError> {
    if !identity.member_id.is_empty() {
        let id = &identity.member_id;
        let fits = id.chars().count() <= MEMBER_ID_CHARS_MAX;
        match uuid::Uuid::parse_str(id) {
            // MEMBER_ID is compared as text everywhere, so there is one way to write it.
            Ok(uuid) if fits => identity.member_id = uuid.hyphenated().to_string(),
            _ => return Err(IdentityError::NoUuid(cut(id, 80))),
        }
        if identity.host.is_empty() {
            return Err(IdentityError::NoHost);
        }
        if identity.port == 0 {
            return Err(IdentityError::NoPort);
        }
    }
    let shown = |c: char| !c.is_whitespace() && !c.is_control();
    if identity.host.chars().count() > HOST_CHARS_MAX || !identity.host.chars().all(shown) {
        return Err(IdentityError::BadHost(cut(&identity.host, 80)));
    }
    identity.server_version = cut(&identity.server_version, VERSION_CHARS_MAX);
    identity.datadir = cut(&identity.datadir, PATH_CHARS_MAX);
    identity.socket = cut(&identity.socket, PATH_CHARS_MAX);
    Ok(identity)
}

/// `report` with everything cut to its limits.
pub(super) fn report(mut report: Report) -> Report {
    report.trouble = report.trouble.map(|text| clip_text(&text));
    if let Some(facts) = &mut report.facts {
        facts.gtid_executed = clip_gtid(std::mem::take(&mut facts.gtid_executed));
        facts.replicas.truncate(REPLICAS_MAX);
        for replica in &mut facts.replicas {
            *replica = cut(replica, TEXT_CHARS_MAX);
        }
        facts.channels.truncate(CHANNELS_MAX);
        for channel in &mut facts.channels {
            channel.name = cut(&channel.name, TEXT_CHARS_MAX);
            channel.source_host = cut(&channel.source_host, HOST_CHARS_MAX);
            channel.source_uuid = channel
                .source_uuid
                .take()
                .map(|uuid| cut(&uuid, MEMBER_ID_CHARS_MAX));
            channel.error = channel.error.take().map(|error| clip_text(&error));
        }
        facts.queries_per_second = facts
            .queries_per_second
            .filter(|rate| rate.is_finite() && *rate >= 0.0);
    }
    report
}

/// A build id as it may be compared and shown.
pub(super) fn build(build: &str) -> String {
    cut(build, BUILD_CHARS_MAX)
}

/// A path as it may be opened; none if it is not absolute or too long.
pub(super) fn path(path: &str) -> Option<std::path::PathBuf> {
    let fits = path.starts_with('/') && path.chars().count() <= PATH_CHARS_MAX;
    (fits && !path.contains('\0')).then(|| path.into())
}

fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        None => text.to_owned(),
        Some((end, _)) => text[..end].to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_data;
    use super::*;
    use muster_link::limits::GTID_BYTES_MAX;
    use muster_link::report::{Channel, Facts};

    #[test]
    fn an_identity_that_fits_is_taken_as_it_is() {
        let given = test_data::identity("a");
        assert_eq!(identity(given.clone()), Ok(given));
    }

    #[test]
    fn a_member_id_has_one_spelling() {
        let mut given = test_data::identity("a");
        given.member_id = given.member_id.to_uppercase();
        assert_eq!(identity(given), Ok(test_data::identity("a")));
    }

    #[test]
    fn an_unknown_member_id_is_allowed_and_a_bad_one_is_not() {
        let mut given = test_data::identity("a");
        given.member_id = String::new();
        given.host = String::new();
        assert!(identity(given.clone()).is_ok());
        for bad in ["x", "'; DROP TABLE", &"f".repeat(1_000), "not-a-uuid\n"] {
            given.member_id = bad.to_owned();
            assert!(
                matches!(identity(given.clone()), Err(IdentityError::NoUuid(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn addresses_must_be_usable() {
        let mut given = test_data::identity("a");
        given.host = "two words".into();
        assert!(matches!(
            identity(given.clone()),
            Err(IdentityError::BadHost(_))
        ));
        given.host = String::new();
        assert_eq!(identity(given.clone()), Err(IdentityError::NoHost));
        given.host = "h".into();
        given.port = 0;
        assert_eq!(identity(given), Err(IdentityError::NoPort));
    }

    #[test]
    fn texts_are_cut() {
        let mut given = test_data::identity("a");
        given.server_version = "🦀".repeat(500);
        let taken = identity(given).unwrap();
        assert_eq!(taken.server_version.chars().count(), VERSION_CHARS_MAX);

        let mut given = test_data::report(1);
        given.facts = Some(Facts {
            gtid_executed: "g".repeat(GTID_BYTES_MAX + 1),
            replicas: vec!["r".repeat(9_999); REPLICAS_MAX + 1],
            channels: vec![
                Channel {
                    error: Some("e".repeat(9_999)),
                    source_host: "h".repeat(9_999),
                    ..Channel::default()
                };
                CHANNELS_MAX + 1
            ],
            queries_per_second: Some(-1.0),
            ..Facts::default()
        });
        let facts = report(given).facts.unwrap();
        assert!(facts.gtid_executed.len() <= GTID_BYTES_MAX);
        assert_eq!(facts.replicas.len(), REPLICAS_MAX);
        assert_eq!(facts.replicas[0].len(), TEXT_CHARS_MAX);
        assert_eq!(facts.channels.len(), CHANNELS_MAX);
        assert_eq!(facts.channels[0].source_host.len(), HOST_CHARS_MAX);
        assert_eq!(
            facts.channels[0].error.as_ref().unwrap().chars().count(),
            TEXT_CHARS_MAX
        );
        assert_eq!(facts.queries_per_second, None);
    }

    #[test]
    fn only_absolute_paths_are_opened() {
        assert!(path("/usr/lib/mysql/plugin/muster.so").is_some());
        for bad in ["", "muster.so", "../x", "/a\0b"] {
            assert_eq!(path(bad), None);
        }
    }
}
