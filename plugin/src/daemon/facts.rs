//! The facts thread: reads what the server knows of itself, through one session inside it that stays open.
//!
//! It may hang in any statement for as long as the server likes; the link thread then goes on with the newest known
//! facts and says how long this one has been gone. It must not hold its session open while the server stops: a server
//! waits for all sessions before it asks any plugin to end. So the link thread, which never blocks, watches the
//! server's phase and rings, and the session is closed within milliseconds.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use muster_link::limits::{REPORT_INTERVAL_MS_MAX, REPORT_INTERVAL_MS_MIN};
use muster_link::report::{Facts, Flavor, Phase};

use crate::daemon::clock::boot_ms;
use crate::daemon::member_id::member_id;
use crate::daemon::read::{self, Advertise, Rate};
use crate::daemon::session::{Rows, Session, SqlError};
use crate::daemon::shared::{Known, Shared};
use crate::daemon::voice::Voice;
use crate::server::{Level, Quick, ServerApi};

/// While the server is starting we look this often whether it serves.
const START_POLL: Duration = Duration::from_millis(20);
/// The channels of a replica are read at least this often.
const CHANNELS_MS: u64 = 100;
/// Pause before a session is opened again after that failed.
const REOPEN_MS: u64 = 250;
/// The identity is read again this often, for what may change: `report_host` is fixed, but a file may be repaired.
const IDENTITY_MS: u64 = 5_000;

/// `muster_report_interval_ms` as it is set now, within its limits.
pub fn interval_ms(server: &dyn ServerApi) -> u64 {
    u64::from(
        server
            .settings()
            .report_interval_ms
            .clamp(REPORT_INTERVAL_MS_MIN, REPORT_INTERVAL_MS_MAX),
    )
}

/// Everything the thread needs.
pub struct FactsThread {
    /// The server around us.
    pub server: &'static dyn ServerApi,
    /// Shared with the link thread.
    pub shared: Arc<Shared>,
    /// `muster_advertise_*`.
    pub advertise: Advertise,
}

impl FactsThread {
    /// Runs until told to stop.
    pub fn run(self) {
        let mut reader = Reader::new(self);
        while !reader.thread.shared.stopping() {
            let pause = match reader.phase() {
                Phase::Starting => {
                    reader.identify_early();
                    START_POLL
                }
                Phase::Serving => reader.round(boot_ms()),
                Phase::Stopping => {
                    reader.close();
                    Duration::from_secs(1)
                }
            };
            reader.thread.shared.facts_bell.wait(pause);
        }
        reader.close();
    }
}

struct Reader {
    thread: FactsThread,
    session: Option<Box<dyn Session>>,
    known: Known,
    identity_trouble: Option<String>,
    rate: Rate,
    voice: Voice,
    quick: Quick,
    all_due_ms: u64,
    channels_due_ms: u64,
    identity_due_ms: u64,
    open_due_ms: u64,
    lost_ms: u64,
}

impl Reader {
    fn new(thread: FactsThread) -> Self {
        let voice = Voice::new(thread.server);
        Self {
            thread,
            session: None,
            known: Known::default(),
            identity_trouble: None,
            rate: Rate::default(),
            voice,
            quick: Quick::default(),
            all_due_ms: 0,
            channels_due_ms: 0,
            identity_due_ms: 0,
            open_due_ms: 0,
            lost_ms: 0,
        }
    }

    fn phase(&self) -> Phase {
        self.thread.shared.phase(self.thread.server)
    }

    /// The agent should know as early as can be which member it is that starts.
    fn identify_early(&mut self) {
        if self.known.identity.is_some() || self.identity_trouble.is_some() {
            return;
        }
        let Some(mut identity) = self.thread.server.early_identity() else {
            return;
        };
        if identity.flavor == Flavor::Mariadb {
            match member_id(Path::new(&identity.datadir)) {
                Ok(id) => identity.member_id = id,
                Err(sentence) => {
                    self.voice.say(boot_ms(), Level::Error, &sentence);
                    self.identity_trouble = Some(sentence.clone());
                    self.set_trouble(Some(sentence));
                    self.thread.shared.tell(self.known.clone());
                }
            }
        }
        if !identity.member_id.is_empty() {
            self.known.identity = Some(Arc::new(identity));
            self.known.change += 1;
            self.thread.shared.tell(self.known.clone());
        }
    }

    fn close(&mut self) {
        if self.session.is_some() {
            let _inside = self.thread.shared.inside();
            self.session = None;
            self.thread.shared.set_session_open(false);
        }
    }

    /// Reads what is due, tells it, and gives the pause until something is due again.
    fn round(&mut self, now_ms: u64) -> Duration {
        if let Err(error) = self.read_due(now_ms) {
            self.failed(now_ms, &error);
        }
        let due_ms = match (&self.session, self.replicates()) {
            (None, _) => self.open_due_ms,
            (Some(_), true) => self.all_due_ms.min(self.channels_due_ms),
            (Some(_), false) => self.all_due_ms,
        };
        Duration::from_millis(due_ms.saturating_sub(boot_ms()).max(1))
    }

    fn replicates(&self) -> bool {
        self.known
            .facts
            .as_ref()
            .is_some_and(|facts| !facts.channels.is_empty())
    }

    fn read_due(&mut self, now_ms: u64) -> Result<(), SqlError> {
        let flavor = self.thread.server.flavor();
        let shared = self.thread.shared.clone();
        if self.session.is_none() {
            if now_ms < self.open_due_ms {
                return Ok(());
            }
            let _inside = shared.inside();
            shared.set_session_open(true);
            match self.thread.server.open_session() {
                Ok(session) => self.session = Some(session),
                Err(error) => {
                    shared.set_session_open(false);
                    return Err(error);
                }
            }
            self.all_due_ms = 0;
            self.identity_due_ms = 0;
        }
        let quick = self.thread.server.quick();
        if quick != self.quick {
            self.quick = quick;
            self.all_due_ms = 0;
        }
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        let mut session = Watched {
            session: &mut **session,
            shared: &shared,
            statements: 0,
        };
        if now_ms >= self.identity_due_ms {
            let found = read::identity(&mut session, flavor, &self.thread.advertise)?;
            self.identity_due_ms = now_ms + IDENTITY_MS;
            match found {
                Ok(identity) => {
                    self.identity_trouble = None;
                    if self.known.identity.as_deref() != Some(&identity) {
                        self.known.identity = Some(Arc::new(identity));
                        self.known.change += 1;
                    }
                }
                // An identity once known stays: the process cannot become another member.
                Err(sentence) => self.identity_trouble = Some(sentence),
            }
        }
        let facts = if now_ms >= self.all_due_ms {
            let facts = read::facts(&mut session, flavor, now_ms, &mut self.rate)?;
            self.all_due_ms = now_ms + interval_ms(self.thread.server);
            self.channels_due_ms = now_ms + CHANNELS_MS;
            Some(facts)
        } else if now_ms >= self.channels_due_ms
            && let Some(known) = self
                .known
                .facts
                .as_deref()
                .filter(|facts| !facts.channels.is_empty())
        {
            self.channels_due_ms = now_ms + CHANNELS_MS;
            Some(Facts {
                channels: read::channels(&mut session, flavor)?,
                ..known.clone()
            })
        } else {
            None
        };
        self.rate.add_own(session.statements);
        self.succeeded(now_ms, facts);
        Ok(())
    }

    fn succeeded(&mut self, now_ms: u64, facts: Option<Facts>) {
        if let Some(facts) = facts {
            if self
                .known
                .facts
                .as_deref()
                .is_none_or(|old| read::differ_in_role(old, &facts))
            {
                self.known.change += 1;
            }
            self.known.facts = Some(Arc::new(facts));
        }
        match &self.identity_trouble {
            Some(sentence) => self.voice.say(now_ms, Level::Error, sentence),
            None if self.known.trouble.is_some() => self.voice.over(),
            None => {}
        }
        self.set_trouble(self.identity_trouble.clone());
        self.thread.shared.tell(self.known.clone());
    }

    fn set_trouble(&mut self, trouble: Option<String>) {
        if self.known.trouble != trouble {
            self.known.trouble = trouble;
            self.known.change += 1;
        }
    }

    fn failed(&mut self, now_ms: u64, error: &SqlError) {
        // A server that stops closes our session; that is no trouble to speak of.
        if self.phase() != Phase::Serving {
            self.close();
            return;
        }
        let sentence = format!(
            "the state of this server could not be read: {error}; it is tried again all the time"
        );
        self.voice.say(now_ms, Level::Warning, &sentence);
        match error {
            SqlError::Lost(_) => {
                self.close();
                // Killed by hand, most likely: a new one at once, and no trouble unless that fails as well.
                if self.known.trouble.is_none() && now_ms >= self.lost_ms + REOPEN_MS {
                    self.lost_ms = now_ms;
                    self.open_due_ms = now_ms;
                    return;
                }
                self.open_due_ms = now_ms + REOPEN_MS;
            }
            SqlError::NoSession(_) => self.open_due_ms = now_ms + REOPEN_MS,
            SqlError::Server { .. } => {}
        }
        self.set_trouble(Some(sentence));
        self.thread.shared.tell(self.known.clone());
    }
}

/// A session whose every statement is seen by the link thread, and counted.
struct Watched<'a> {
    session: &'a mut dyn Session,
    shared: &'a Shared,
    statements: u64,
}

impl Session for Watched<'_> {
    fn query(&mut self, sql: &str) -> Result<Rows, SqlError> {
        self.statements += 1;
        let _inside = self.shared.inside();
        self.session.query(sql)
    }

    fn variable(&mut self, name: &str) -> Result<Option<String>, SqlError> {
        let _inside = self.shared.inside();
        self.session.variable(name)
    }

    fn status(&mut self, names: &[&str]) -> Result<Vec<Option<String>>, SqlError> {
        let _inside = self.shared.inside();
        self.session.status(names)
    }
}
