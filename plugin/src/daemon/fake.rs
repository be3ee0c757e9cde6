//! A server that exists only in tests: it answers the statements that the daemon asks, and can hang, stop, kill the
//! session or run out of connections.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use muster_link::report::{Flavor, Identity, Phase};

use crate::daemon::session::{Rows, Session, SqlError};
use crate::server::{Level, Quick, ServerApi};
use crate::settings::Settings;

/// A folder of a test's own, removed with it.
pub struct ScratchDir(PathBuf);

impl ScratchDir {
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn scratch_dir(name: &str) -> ScratchDir {
    let path =
        std::env::temp_dir().join(format!("muster-{name}-{}", uuid::Uuid::new_v4().simple()));
    std::fs::create_dir(&path).unwrap();
    ScratchDir(path)
}

pub struct State {
    pub phase: Phase,
    pub quick: Quick,
    pub early_identity: Option<Identity>,
    pub variables: HashMap<String, String>,
    pub replica_of: Option<(String, bool)>,
    pub settings: Settings,
    /// Statements hang while this is set.
    pub hang: bool,
    /// The next statement finds its session killed.
    pub killed: bool,
    pub too_many_connections: bool,
    pub sessions_open: usize,
    pub sessions_opened: usize,
    /// Panic at the next statement.
    pub panic: bool,
    log: Vec<String>,
}

pub struct FakeServer(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

impl FakeServer {
    /// Lives as long as the test process: the daemon wants a server that outlives it.
    pub fn serving() -> &'static Self {
        let variables = [
            ("server_uuid", "3e11fa47-71ca-11e1-9e33-c80aa9429562"),
            ("version", "9.9.9-fake"),
            ("hostname", "fake-host"),
            ("report_host", ""),
            ("report_port", "0"),
            ("port", "3310"),
            ("datadir", "/nonexistent/data/"),
            ("socket", "/nonexistent/mysql.sock"),
            ("read_only", "0"),
            ("super_read_only", "0"),
            ("server_id", "7"),
            ("gtid_executed", "aaaa:1-5,\nbbbb:1-2"),
            ("gtid_current_pos", "0-1-5"),
        ];
        let state = State {
            phase: Phase::Serving,
            quick: Quick::default(),
            early_identity: None,
            variables: variables
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            replica_of: None,
            settings: Settings {
                agent_socket: PathBuf::new(),
                advertise_host: String::new(),
                advertise_port: 0,
                report_interval_ms: 100,
            },
            hang: false,
            killed: false,
            too_many_connections: false,
            sessions_open: 0,
            sessions_opened: 0,
            panic: false,
            log: Vec::new(),
        };
        Box::leak(Box::new(Self(Arc::new(Inner {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }))))
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    pub fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.0.changed.notify_all();
    }

    pub fn set_variable(&self, name: &str, value: &str) {
        self.change(|state| drop(state.variables.insert(name.to_owned(), value.to_owned())));
    }

    pub fn set_replica(&self, source: &str, running: bool) {
        self.change(|state| state.replica_of = Some((source.to_owned(), running)));
    }

    pub fn log_lines(&self) -> Vec<String> {
        self.state().log.clone()
    }
}

impl ServerApi for FakeServer {
    fn flavor(&self) -> Flavor {
        Flavor::Mysql
    }

    fn version(&self) -> String {
        "9.9.9-fake".to_owned()
    }

    fn plugin_path(&self) -> String {
        "/nonexistent/muster.so".to_owned()
    }

    fn settings(&self) -> Settings {
        self.state().settings.clone()
    }

    fn log(&self, _level: Level, text: &str) {
        self.state().log.push(text.to_owned());
    }

    fn boot_ms(&self) -> u64 {
        crate::daemon::clock::boot_ms()
    }

    fn phase(&self) -> Phase {
        self.state().phase
    }

    fn early_identity(&self) -> Option<Identity> {
        self.state().early_identity.clone()
    }

    fn quick(&self) -> Quick {
        self.state().quick
    }

    fn open_session(&self) -> Result<Box<dyn Session>, SqlError> {
        let mut state = self.state();
        if state.too_many_connections {
            return Err(SqlError::NoSession(
                "Too many connections (error 1040)".to_owned(),
            ));
        }
        state.killed = false;
        state.sessions_open += 1;
        state.sessions_opened += 1;
        drop(state);
        Ok(Box::new(FakeSession {
            server: Self(self.0.clone()),
        }))
    }
}

struct FakeSession {
    server: FakeServer,
}

impl Drop for FakeSession {
    fn drop(&mut self) {
        self.server.change(|state| state.sessions_open -= 1);
    }
}

fn rows(columns: &[&str], row: &[&str]) -> Rows {
    Rows {
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
        rows: vec![row.iter().map(|value| Some((*value).to_owned())).collect()],
    }
}

impl Session for FakeSession {
    fn query(&mut self, sql: &str) -> Result<Rows, SqlError> {
        let mut state = self.server.state();
        while state.hang {
            state = self
                .server
                .0
                .changed
                .wait_timeout(state, Duration::from_secs(60))
                .unwrap()
                .0;
        }
        if std::mem::take(&mut state.panic) {
            drop(state);
            panic!("a fake panic inside a statement");
        }
        if state.killed || state.phase != Phase::Serving {
            return Err(SqlError::Lost("Session was killed (error 3169)".to_owned()));
        }
        if sql.starts_with("SHOW REPLICA STATUS") {
            let columns = [
                "Channel_Name",
                "Source_Host",
                "Source_Port",
                "Replica_IO_Running",
                "Replica_SQL_Running",
                "Seconds_Behind_Source",
                "Last_SQL_Error",
                "Last_IO_Error",
                "Source_UUID",
                "Source_Server_Id",
            ];
            return Ok(match &state.replica_of {
                None => Rows::default(),
                Some((host, true)) => rows(
                    &columns,
                    &[
                        "",
                        host,
                        "3306",
                        "Yes",
                        "Yes",
                        "2",
                        "",
                        "",
                        "uuid-of-source",
                        "3",
                    ],
                ),
                Some((host, false)) => rows(
                    &columns,
                    &[
                        "",
                        host,
                        "3306",
                        "Yes",
                        "No",
                        "",
                        "duplicate key",
                        "",
                        "",
                        "0",
                    ],
                ),
            });
        }
        if sql == "SHOW REPLICAS" {
            let text =
                "Access denied; you need (at least one of) the REPLICATION SLAVE privilege(s)"
                    .to_owned();
            return Err(SqlError::Server { code: 1227, text });
        }
        if sql.contains("user_variables_by_thread") {
            return Ok(rows(&["Replica_UUID"], &["uuid-of-replica"]));
        }
        if sql.starts_with("SELECT") {
            let names: Vec<&str> = state.variables.keys().map(String::as_str).collect();
            let mut found = Rows {
                columns: names.iter().map(|name| (*name).to_owned()).collect(),
                rows: vec![],
            };
            found.rows.push(
                names
                    .iter()
                    .map(|name| Some(state.variables[*name].clone()))
                    .collect(),
            );
            found
                .columns
                .iter_mut()
                .filter(|name| *name == "server_uuid")
                .for_each(|name| *name = "uuid".to_owned());
            if let Some(name) = sql
                .strip_prefix("SELECT @@global.")
                .and_then(|rest| rest.strip_suffix(" AS value"))
            {
                return Ok(rows(&["value"], &[&state.variables[name]]));
            }
            return Ok(found);
        }
        Err(SqlError::Server {
            code: 1064,
            text: format!("the fake does not know {sql}"),
        })
    }

    fn status(&mut self, names: &[&str]) -> Result<Vec<Option<String>>, SqlError> {
        let known = HashMap::from([
            ("Threads_connected", "4"),
            ("Threads_running", "2"),
            ("Uptime", "60"),
            ("Questions", "100"),
        ]);
        Ok(names
            .iter()
            .map(|name| known.get(name).map(|value| (*value).to_owned()))
            .collect())
    }
}
