//! Reading the facts out of the server: which statements, and what their columns mean, for each family.

use std::path::Path;

use muster_link::report::{Channel, Facts, Flavor, Identity};
use muster_link::text::{clip_gtid, clip_text};

use crate::daemon::member_id::member_id;
use crate::daemon::session::{Rows, Session, SqlError};

/// Addresses that the configuration fixes; whatever is missing comes from the server's own variables.
#[derive(Debug, Clone, Default)]
pub struct Advertise {
    /// `muster_advertise_host`.
    pub host: Option<String>,
    /// `muster_advertise_port`.
    pub port: Option<u16>,
}

/// Counts statements to give a rate, without those that reading the facts itself has cost.
#[derive(Debug, Default)]
pub struct Rate {
    last: Option<(u64, u64)>,
    own: u64,
}

impl Rate {
    /// `own` statements of ours have been counted by the server since the last call of [`per_second`](Self::per_second).
    pub fn add_own(&mut self, own: u64) {
        self.own += own;
    }

    /// The rate since the last call, at `now_ms` with `questions` counted so far; none at the first call.
    pub fn per_second(&mut self, now_ms: u64, questions: u64) -> Option<f64> {
        let own = std::mem::take(&mut self.own);
        let (then_ms, before) = self.last.replace((now_ms, questions))?;
        let passed_ms = now_ms.checked_sub(then_ms).filter(|passed| *passed > 0)?;
        // FLUSH STATUS sets the counter back: then there is no rate for once.
        let counted = questions.checked_sub(before)?.saturating_sub(own);
        Some(counted as f64 * 1_000.0 / passed_ms as f64)
    }
}

/// Who the server is. The outer error is the session's; the inner one is a sentence about an identity that cannot be
/// known.
pub fn identity(
    session: &mut dyn Session,
    flavor: Flavor,
    advertise: &Advertise,
) -> Result<Result<Identity, String>, SqlError> {
    let uuid = match flavor {
        Flavor::Mysql => ", @@global.server_uuid AS uuid",
        Flavor::Mariadb => "",
    };
    let rows = session.query(&format!(
        "SELECT VERSION() AS version, @@global.hostname AS hostname, @@global.report_host AS report_host, \
         @@global.report_port AS report_port, @@global.port AS port, @@global.datadir AS datadir, \
         @@global.socket AS socket{uuid}"
    ))?;
    let text = |name: &str| rows.first(name).unwrap_or_default().to_owned();
    let filled = |name: &str| Some(text(name)).filter(|value| !value.is_empty());
    let port = |name: &str| text(name).parse::<u16>().ok().filter(|port| *port != 0);
    let datadir = text("datadir");
    let id = match flavor {
        Flavor::Mysql => filled("uuid")
            .ok_or_else(|| "the server has no server_uuid; it cannot be a member".to_owned()),
        Flavor::Mariadb => member_id(Path::new(&datadir)),
    };
    Ok(id.map(|member_id| Identity {
        member_id,
        flavor,
        server_version: clip_text(&text("version")),
        pid: std::process::id(),
        host: clip_text(
            &advertise
                .host
                .clone()
                .or_else(|| filled("report_host"))
                .unwrap_or_else(|| text("hostname")),
        ),
        port: advertise
            .port
            .or_else(|| port("report_port"))
            .or_else(|| port("port"))
            .unwrap_or(0),
        datadir,
        socket: text("socket"),
    }))
}

/// All facts. `rate` keeps the counter of statements between calls.
pub fn facts(
    session: &mut dyn Session,
    flavor: Flavor,
    now_ms: u64,
    rate: &mut Rate,
) -> Result<Facts, SqlError> {
    let mut facts = match flavor {
        Flavor::Mysql => mysql_variables(session)?,
        Flavor::Mariadb => mariadb_variables(session)?,
    };
    facts.channels = channels(session, flavor)?;
    facts.replicas = replicas(session, flavor)?;
    let names = [
        "Threads_connected",
        "Threads_running",
        "Uptime",
        "Questions",
    ];
    let status = session.status(&names)?;
    let number = |at: usize| {
        status
            .get(at)
            .and_then(|value| value.as_deref()?.parse::<u64>().ok())
    };
    facts.threads_connected = number(0).and_then(|count| count.try_into().ok());
    facts.threads_running = number(1).and_then(|count| count.try_into().ok());
    facts.uptime_s = number(2).unwrap_or(0);
    facts.queries_per_second = number(3).and_then(|questions| rate.per_second(now_ms, questions));
    Ok(facts)
}

fn mysql_variables(session: &mut dyn Session) -> Result<Facts, SqlError> {
    Ok(Facts {
        read_only: is_on(session.variable("read_only")?.as_deref()),
        super_read_only: is_on(session.variable("super_read_only")?.as_deref()),
        server_id: session
            .variable("server_id")?
            .and_then(|id| id.parse().ok())
            .unwrap_or(0),
        gtid_executed: clip_gtid(
            session
                .variable("gtid_executed")?
                .unwrap_or_default()
                .replace('\n', ""),
        ),
        ..Facts::default()
    })
}

fn mariadb_variables(session: &mut dyn Session) -> Result<Facts, SqlError> {
    let rows = session.query(
        "SELECT @@global.read_only AS read_only, @@global.server_id AS server_id, \
         @@global.gtid_current_pos AS gtid_current_pos",
    )?;
    Ok(Facts {
        read_only: is_on(rows.first("read_only")),
        super_read_only: false,
        server_id: rows
            .first("server_id")
            .and_then(|id| id.parse().ok())
            .unwrap_or(0),
        gtid_executed: clip_gtid(
            rows.first("gtid_current_pos")
                .unwrap_or_default()
                .to_owned(),
        ),
        ..Facts::default()
    })
}

/// The replication channels alone: what a replica must notice fast.
pub fn channels(session: &mut dyn Session, flavor: Flavor) -> Result<Vec<Channel>, SqlError> {
    let rows = session.query(match flavor {
        Flavor::Mysql => "SHOW REPLICA STATUS",
        Flavor::Mariadb => "SHOW ALL SLAVES STATUS",
    })?;
    let mut channels: Vec<Channel> = rows
        .rows
        .iter()
        .filter_map(|row| channel(&rows, row))
        .collect();
    if flavor == Flavor::Mysql {
        for channel in &mut channels {
            name_the_worker(session, channel)?;
        }
    }
    Ok(channels)
}

/// A replica with several workers says only that one of them failed; what happened is told by the worker.
fn name_the_worker(session: &mut dyn Session, channel: &mut Channel) -> Result<(), SqlError> {
    let Some(error) = channel
        .error
        .as_mut()
        .filter(|error| error.starts_with("Coordinator stopped"))
    else {
        return Ok(());
    };
    let name = channel.name.replace('\\', "\\\\").replace('\'', "''");
    let rows = session.query(&format!(
        "SELECT LAST_ERROR_MESSAGE AS message FROM performance_schema.replication_applier_status_by_worker \
         WHERE CHANNEL_NAME = '{name}' AND LAST_ERROR_NUMBER <> 0 ORDER BY LAST_ERROR_TIMESTAMP DESC LIMIT 1"
    ))?;
    if let Some(message) = rows.first("message").filter(|message| !message.is_empty()) {
        *error = clip_text(message);
    }
    Ok(())
}

fn channel(rows: &Rows, row: &[Option<String>]) -> Option<Channel> {
    let text = |names: &[&str]| rows.value(row, names).unwrap_or_default();
    let name = text(&["Channel_Name", "Connection_name"]);
    let source_host = text(&["Source_Host", "Master_Host"]);
    // A channel that was reset keeps its row but has no source; group replication's own channels have "<NULL>".
    if source_host.is_empty() || source_host == "<NULL>" {
        return None;
    }
    let receiver = text(&["Replica_IO_Running", "Slave_IO_Running"]);
    let applier = text(&["Replica_SQL_Running", "Slave_SQL_Running"]);
    let source_uuid = text(&["Source_UUID", "Master_UUID"]);
    let error = [&["Last_SQL_Error"], &["Last_IO_Error"]]
        .into_iter()
        .map(|names| text(names))
        .find(|error| !error.is_empty());
    Some(Channel {
        name: clip_text(name),
        source_host: clip_text(source_host),
        source_port: text(&["Source_Port", "Master_Port"]).parse().unwrap_or(0),
        source_uuid: Some(source_uuid)
            .filter(|uuid| !uuid.is_empty())
            .map(clip_text),
        source_server_id: text(&["Source_Server_Id", "Master_Server_Id"])
            .parse()
            .ok()
            .filter(|id| *id != 0),
        receiver_running: receiver == "Yes",
        receiver_connecting: matches!(receiver, "Connecting" | "Preparing"),
        applier_running: applier == "Yes",
        lag_ms: rows
            .value(row, &["Seconds_Behind_Source", "Seconds_Behind_Master"])
            .and_then(|seconds| seconds.parse::<u64>().ok())
            .map(|seconds| seconds.saturating_mul(1_000)),
        error: error.map(clip_text),
    })
}

/// The sessions that send the binary log, and the name that each replica gave itself there: what `SHOW REPLICAS` says,
/// where the session may not ask that. With performance_schema=OFF it is empty; then only the replicas themselves tell
/// whom they replicate from.
const MYSQL_REPLICAS: &str = "SELECT STRAIGHT_JOIN DISTINCT v.VARIABLE_VALUE AS Replica_UUID \
     FROM performance_schema.threads t JOIN performance_schema.user_variables_by_thread v USING (THREAD_ID) \
     WHERE t.PROCESSLIST_COMMAND IN ('Binlog Dump', 'Binlog Dump GTID') \
     AND v.VARIABLE_NAME IN ('replica_uuid', 'slave_uuid')";
/// `ER_SPECIFIC_ACCESS_DENIED_ERROR`.
const DENIED: u32 = 1227;

/// Replicas that are connected to this server now.
fn replicas(session: &mut dyn Session, flavor: Flavor) -> Result<Vec<String>, SqlError> {
    let rows = match flavor {
        Flavor::Mysql => match session.query("SHOW REPLICAS") {
            Err(SqlError::Server { code: DENIED, .. }) => session.query(MYSQL_REPLICAS),
            other => other,
        },
        Flavor::Mariadb => session.query("SHOW SLAVE HOSTS"),
    }?;
    let mut replicas: Vec<String> = rows
        .rows
        .iter()
        .filter_map(|row| rows.value(row, &["Replica_UUID", "Server_id"]))
        .filter(|replica| !replica.is_empty())
        .map(clip_text)
        .collect();
    // The server gives them in the order of a hash; a stable order makes equal facts equal.
    replicas.sort_unstable();
    replicas.dedup();
    Ok(replicas)
}

fn is_on(value: Option<&str>) -> bool {
    value.is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("on"))
}

/// The two differ in something that the agent must hear at once, not only at the next interval.
pub fn differ_in_role(old: &Facts, new: &Facts) -> bool {
    let quiet = |channel: &Channel| Channel {
        lag_ms: None,
        ..channel.clone()
    };
    old.read_only != new.read_only
        || old.super_read_only != new.super_read_only
        || old.server_id != new.server_id
        || old.replicas != new.replicas
        || !old
            .channels
            .iter()
            .map(quiet)
            .eq(new.channels.iter().map(quiet))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::fake::{FakeServer, scratch_dir};
    use crate::server::ServerApi;

    #[test]
    fn a_rate_leaves_our_own_statements_out_and_survives_a_reset_counter() {
        let mut rate = Rate::default();
        assert_eq!(rate.per_second(1_000, 100), None);
        rate.add_own(10);
        assert_eq!(rate.per_second(1_500, 210), Some(200.0));
        assert_eq!(rate.per_second(2_000, 5), None, "FLUSH STATUS");
        assert_eq!(rate.per_second(2_000, 50), None, "no time passed");
        assert_eq!(rate.per_second(3_000, 51), Some(1.0));
    }

    #[test]
    fn mysql_facts_are_read_from_its_columns() {
        let server = FakeServer::serving();
        server.set_replica("10.0.0.7", true);
        let mut session = server.open_session().unwrap();
        let facts = facts(&mut *session, Flavor::Mysql, 0, &mut Rate::default()).unwrap();
        assert_eq!(facts.gtid_executed, "aaaa:1-5,bbbb:1-2");
        assert_eq!(facts.server_id, 7);
        let channel = &facts.channels[0];
        assert_eq!(
            (channel.source_host.as_str(), channel.source_port),
            ("10.0.0.7", 3306)
        );
        assert!(channel.receiver_running && channel.applier_running);
        assert_eq!(
            (channel.lag_ms, channel.source_server_id),
            (Some(2_000), Some(3))
        );
        assert_eq!(facts.threads_connected, Some(4));
    }

    #[test]
    fn mariadb_columns_mean_the_same() {
        let rows = Rows {
            columns: [
                "Connection_name",
                "Master_Host",
                "Master_Port",
                "Slave_IO_Running",
                "Slave_SQL_Running",
                "Seconds_Behind_Master",
                "Last_SQL_Error",
                "Master_Server_Id",
            ]
            .map(str::to_owned)
            .to_vec(),
            rows: vec![],
        };
        let row = ["", "h", "3307", "Connecting", "No", "", "broken", "0"]
            .map(|text| Some(text.to_owned()));
        let channel = channel(&rows, &row).unwrap();
        assert!(
            channel.receiver_connecting && !channel.receiver_running && !channel.applier_running
        );
        assert_eq!(
            (
                channel.error.as_deref(),
                channel.lag_ms,
                channel.source_server_id
            ),
            (Some("broken"), None, None)
        );
    }

    #[test]
    fn a_reset_channel_is_no_channel() {
        let rows = Rows {
            columns: vec!["Master_Host".into()],
            rows: vec![],
        };
        assert_eq!(channel(&rows, &[Some(String::new())]), None);
        assert_eq!(channel(&rows, &[None]), None);
        assert_eq!(channel(&rows, &[]), None);
    }

    #[test]
    fn lag_and_gtid_are_no_change_of_role_but_a_stopped_thread_is() {
        let channel = Channel {
            applier_running: true,
            ..Channel::default()
        };
        let old = Facts {
            channels: vec![channel.clone()],
            ..Facts::default()
        };
        let mut new = old.clone();
        new.gtid_executed = "x:1".into();
        new.channels[0].lag_ms = Some(5);
        assert!(!differ_in_role(&old, &new));
        new.channels[0].applier_running = false;
        assert!(differ_in_role(&old, &new));
        assert!(differ_in_role(
            &old,
            &Facts {
                read_only: true,
                ..old.clone()
            }
        ));
        assert!(differ_in_role(
            &old,
            &Facts {
                channels: vec![],
                ..old.clone()
            }
        ));
    }

    #[test]
    fn the_advertised_address_wins_over_report_host_and_host_name() {
        let server = FakeServer::serving();
        let mut session = server.open_session().unwrap();
        let mut who = |advertise: Advertise| {
            identity(&mut *session, Flavor::Mysql, &advertise)
                .unwrap()
                .unwrap()
        };
        let own = who(Advertise::default());
        assert_eq!((own.host.as_str(), own.port), ("fake-host", 3310));
        let told = who(Advertise {
            host: Some("db1.example".into()),
            port: Some(1),
        });
        assert_eq!((told.host.as_str(), told.port), ("db1.example", 1));
        server.set_variable("report_host", "reported");
        server.set_variable("report_port", "4444");
        let reported = identity(&mut *session, Flavor::Mysql, &Advertise::default())
            .unwrap()
            .unwrap();
        assert_eq!((reported.host.as_str(), reported.port), ("reported", 4444));
    }

    #[test]
    fn a_mariadb_without_a_usable_identity_gives_the_sentence() {
        let server = FakeServer::serving();
        let dir = scratch_dir("identity");
        server.set_variable("datadir", dir.path().to_str().unwrap());
        let mut session = server.open_session().unwrap();
        let one = identity(&mut *session, Flavor::Mariadb, &Advertise::default())
            .unwrap()
            .unwrap();
        let two = identity(&mut *session, Flavor::Mariadb, &Advertise::default())
            .unwrap()
            .unwrap();
        assert_eq!(one, two);
        std::fs::write(dir.path().join(crate::daemon::member_id::FILE_NAME), "junk").unwrap();
        let sentence = identity(&mut *session, Flavor::Mariadb, &Advertise::default())
            .unwrap()
            .unwrap_err();
        assert!(sentence.contains("cannot be used"), "{sentence}");
    }
}
