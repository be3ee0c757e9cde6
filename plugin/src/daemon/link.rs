//! The link thread: owns the socket to the agent, sends reports, takes the picture of the cluster and publishes it.
//!
//! It waits for nothing but its own `poll`, at most a tick long. So it is also the thread that notices within a tick
//! that the server begins to stop, or that somebody switched `read_only`, while the facts thread may be inside a
//! statement.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use muster_link::limits::{AGENTS_MAX, EVENTS_MAX, MEMBERS_MAX};
use muster_link::message::ToPlugin;
use muster_link::report::{Identity, Phase, Report};
use muster_link::text::clip_text;
use muster_link::view::{EventRow, Observed, View};
use rustix::event::{PollFd, PollFlags};

use crate::counters::{RECONNECTS, REPORTS_SENT, VIEWS_RECEIVED};
use crate::daemon::clock::{boot_ms, wall_clock_us};
use crate::daemon::connection::{Connection, End, Introduction};
use crate::daemon::facts::interval_ms;
use crate::daemon::shared::{Known, Shared};
use crate::daemon::socket::Socket;
use crate::daemon::voice::Voice;
use crate::daemon::wake::wait_any;
use crate::server::{Level, Quick, ServerApi};
use crate::snapshot::{self, AgentState, Snapshot};

/// The longest sleep: how late a stop of the server or a switched `read_only` may be noticed.
const TICK_MS: u64 = 20;
/// The socket and the silence of its peer are looked at as often as this, even if nothing happens.
const LOOK_MS: u64 = 100;
/// First and longest pause between two attempts to connect, before jitter.
const RETRY_MS_MIN: u64 = 50;
/// See [`RETRY_MS_MIN`].
const RETRY_MS_MAX: u64 = 1_000;
/// A connection that lasted this long was a good one: the next attempt begins with the first pause again.
const GOOD_MS: u64 = 2_000;
/// How long the greeting waits for the identity of the server.
const IDENTITY_MS: u64 = 250;
/// While the link is down a wait this short keeps a Bye from being lost in a slow agent, and holds nobody up.
const BYE_MS: u64 = 100;

/// Everything the thread needs.
pub struct LinkThread {
    /// The server around us.
    pub server: &'static dyn ServerApi,
    /// Shared with the facts thread.
    pub shared: Arc<Shared>,
    /// `muster_agent_socket`.
    pub agent_socket: PathBuf,
    /// Build and path of this plugin.
    pub introduction: Introduction,
}

impl LinkThread {
    /// Runs until told to stop.
    pub fn run(self) {
        let mut link = Link::new(self);
        let mut woken = true;
        while !link.thread.shared.stopping() {
            let now_ms = boot_ms();
            let changed = link.watch_server();
            if woken || changed || now_ms >= link.due_ms {
                link.step(now_ms);
                link.due_ms = link.next_due_ms(now_ms);
            }
            woken = link.sleep();
        }
        link.close();
    }
}

struct Link {
    thread: LinkThread,
    voice: Voice,
    connection: Option<Connection>,
    /// What the tables show.
    picture: Picture,
    phase: Phase,
    quick: Quick,
    due_ms: u64,
    retry_ms: u64,
    retry_at_ms: u64,
    started_ms: u64,
    opened_ms: u64,
    was_up: bool,
    report_due_ms: u64,
    /// The change of facts, the phase and the read-only flags that the agent was last told.
    told: Option<(u64, Phase, Quick)>,
    jitter: Jitter,
}

impl Link {
    fn new(thread: LinkThread) -> Self {
        let picture = Picture::new();
        picture.publish();
        Self {
            voice: Voice::new(thread.server),
            connection: None,
            picture,
            phase: Phase::Starting,
            quick: Quick::default(),
            due_ms: 0,
            retry_ms: RETRY_MS_MIN,
            retry_at_ms: 0,
            started_ms: boot_ms(),
            opened_ms: 0,
            was_up: false,
            report_due_ms: 0,
            told: None,
            jitter: Jitter(boot_ms() ^ (u64::from(std::process::id()) << 20) | 1),
            thread,
        }
    }

    /// What can be seen of the server without a statement; wakes the facts thread when that changed, and says so.
    fn watch_server(&mut self) -> bool {
        let phase = self.thread.shared.phase(self.thread.server);
        let quick = self.thread.server.quick();
        let changed = (phase, quick) != (self.phase, self.quick);
        if changed {
            (self.phase, self.quick) = (phase, quick);
            self.thread.shared.facts_bell.ring();
        }
        changed
    }

    fn step(&mut self, now_ms: u64) {
        let known = self.thread.shared.known();
        if self.connection.is_none()
            && now_ms >= self.retry_at_ms
            && !self.will_be_known(now_ms, &known)
        {
            self.connect(now_ms, &known);
        }
        if let Some(mut connection) = self.connection.take() {
            match self.talk(now_ms, &mut connection, &known) {
                Ok(()) => self.connection = Some(connection),
                Err(end) => self.down(now_ms, &end),
            }
        }
    }

    /// Most servers can be asked who they are in a moment: then the greeting says it.
    fn will_be_known(&self, now_ms: u64, known: &Known) -> bool {
        known.identity.is_none()
            && known.trouble.is_none()
            && self.phase != Phase::Stopping
            && now_ms < self.started_ms + IDENTITY_MS
    }

    /// When there is something to do even if nothing happens.
    fn next_due_ms(&self, now_ms: u64) -> u64 {
        match &self.connection {
            // What waits to be written goes first, and the socket says when.
            Some(connection) if connection.wants_to_write() || !connection.welcomed() => {
                now_ms + LOOK_MS
            }
            Some(_) => self.report_due_ms.clamp(now_ms + 1, now_ms + LOOK_MS),
            None => self.retry_at_ms.clamp(now_ms + TICK_MS, now_ms + LOOK_MS),
        }
    }

    fn connect(&mut self, now_ms: u64, known: &Known) {
        let identity = known
            .identity
            .as_deref()
            .cloned()
            .unwrap_or_else(|| self.unknown_identity());
        let opened = Socket::connect(&self.thread.agent_socket)
            .map_err(End::Closed)
            .and_then(|socket| {
                Connection::open(socket, now_ms, &self.thread.introduction, &identity)
            });
        self.opened_ms = now_ms;
        self.told = None;
        match opened {
            Ok(connection) => self.connection = Some(connection),
            Err(end) => self.down(now_ms, &end),
        }
    }

    /// Before the server serves it cannot be asked who it is.
    fn unknown_identity(&self) -> Identity {
        Identity {
            member_id: String::new(),
            flavor: self.thread.server.flavor(),
            server_version: String::new(),
            pid: std::process::id(),
            host: String::new(),
            port: 0,
            datadir: String::new(),
            socket: String::new(),
        }
    }

    fn talk(&mut self, now_ms: u64, connection: &mut Connection, known: &Known) -> Result<(), End> {
        connection.read(now_ms, |message| self.take(now_ms, message))?;
        connection.check_silence(now_ms)?;
        connection.flush(now_ms)?;
        let news = (known.change, self.phase, self.quick);
        if now_ms < self.report_due_ms && self.told == Some(news) {
            return Ok(());
        }
        let unknown;
        let identity = match &known.identity {
            Some(identity) => &**identity,
            None => {
                unknown = self.unknown_identity();
                &unknown
            }
        };
        if connection.report(now_ms, identity, self.report(now_ms, known))? {
            self.told = Some(news);
            self.report_due_ms = now_ms + interval_ms(self.thread.server);
            REPORTS_SENT.add_one();
        }
        Ok(())
    }

    fn report(&self, now_ms: u64, known: &Known) -> Report {
        let mut facts = known.facts.as_deref().cloned();
        if let Some(facts) = &mut facts {
            // Seen without a statement, so right even while the facts thread is inside one.
            facts.read_only = self.quick.read_only.unwrap_or(facts.read_only);
            facts.super_read_only = self.quick.super_read_only.unwrap_or(facts.super_read_only);
        }
        Report {
            sequence: 0,
            phase: self.phase,
            facts,
            stalled_ms: self.thread.shared.stalled_ms(now_ms),
            trouble: known.trouble.as_deref().map(clip_text),
            wall_clock_us: wall_clock_us(),
        }
    }

    fn take(&mut self, now_ms: u64, message: ToPlugin) {
        match message {
            ToPlugin::Welcome {
                agent_version,
                agent_name,
                ..
            } => {
                if std::mem::replace(&mut self.was_up, true) {
                    RECONNECTS.add_one();
                }
                self.voice.over();
                let greeting = format!(
                    "connected to the agent {} (version {})",
                    clip_text(&agent_name),
                    clip_text(&agent_version)
                );
                self.voice.say(now_ms, Level::Note, &greeting);
                self.voice.over();
                self.picture.agent_state = AgentState::Connected;
                self.picture.agent_error = None;
                // Its silence is counted from here on.
                self.picture.heard_boot_ms = Some(now_ms);
                // Report at once.
                self.report_due_ms = now_ms;
            }
            ToPlugin::View { view } => {
                VIEWS_RECEIVED.add_one();
                let shown = &self.picture.view;
                if view.members.len() > MEMBERS_MAX || view.agents.len() > AGENTS_MAX {
                    let sentence = format!(
                        "the agent sent a view of {} members and {} agents where at most {MEMBERS_MAX} and {AGENTS_MAX} are allowed; it is not shown",
                        view.members.len(),
                        view.agents.len()
                    );
                    self.voice.say(now_ms, Level::Warning, &sentence);
                    return;
                }
                // Clients count on this; an agent that still catches up will come to it.
                if view.cluster_id == shown.cluster_id && view.view_id < shown.view_id {
                    return;
                }
                self.picture.view = Arc::new(view);
                self.picture.heard_boot_ms = Some(now_ms);
            }
            ToPlugin::Observed { observed } => {
                self.picture.observed = Arc::new(observed);
                self.picture.heard_boot_ms = Some(now_ms);
            }
            ToPlugin::Events { reset, events } => self.picture.add_events(reset, events),
            ToPlugin::Refused { .. } | ToPlugin::Unknown => return,
        }
        self.picture.publish();
    }

    fn down(&mut self, now_ms: u64, end: &End) {
        let was_welcomed = self.picture.agent_state == AgentState::Connected;
        let lasted_ms = now_ms.saturating_sub(self.opened_ms);
        if was_welcomed && lasted_ms >= GOOD_MS {
            self.retry_ms = RETRY_MS_MIN;
        }
        self.retry_at_ms = now_ms + self.jitter.around(self.retry_ms);
        self.retry_ms = (self.retry_ms * 2).min(RETRY_MS_MAX);
        // A server that stops, or an agent that was restarted, is nothing to warn of.
        let level = if matches!(end, End::Closed(_)) && was_welcomed {
            Level::Note
        } else {
            Level::Warning
        };
        if self.phase != Phase::Stopping {
            self.voice.say(now_ms, level, end.sentence());
        }
        let state = if self.was_up {
            AgentState::Connecting
        } else {
            AgentState::NeverConnected
        };
        if self.picture.agent_state != state
            || self.picture.agent_error.as_deref() != Some(end.sentence())
        {
            self.picture.agent_state = state;
            self.picture.agent_error = Some(end.sentence().to_owned());
            self.picture.publish();
        }
    }

    /// Sleeps a tick at most; true if the bell or the socket ended it.
    fn sleep(&self) -> bool {
        let pause = Duration::from_millis(self.due_ms.saturating_sub(boot_ms()).clamp(1, TICK_MS));
        let bell = &self.thread.shared.link_bell;
        let mut fds = [
            PollFd::new(bell, PollFlags::IN),
            PollFd::new(bell, PollFlags::empty()),
        ];
        if let Some(connection) = &self.connection {
            let mut flags = PollFlags::IN;
            flags.set(PollFlags::OUT, connection.wants_to_write());
            fds[1] = PollFd::new(connection, flags);
        }
        match wait_any(&mut fds, pause) {
            Ok(0) => false,
            Ok(_) => {
                bell.hush();
                true
            }
            Err(_) => {
                // No memory for a poll: try again a little later rather than spin.
                std::thread::sleep(Duration::from_millis(TICK_MS));
                true
            }
        }
    }

    /// The last words, and the last picture.
    fn close(&mut self) {
        self.watch_server();
        if let Some(mut connection) = self.connection.take() {
            let server_stops = self.phase == Phase::Stopping;
            let reason = if server_stops {
                "the server stops"
            } else {
                "the plugin is being uninstalled"
            };
            let began_ms = boot_ms();
            let mut result = connection.bye(began_ms, reason, server_stops);
            while result.is_ok() && connection.wants_to_write() && boot_ms() < began_ms + BYE_MS {
                let _ = wait_any(
                    &mut [PollFd::new(&connection, PollFlags::OUT)],
                    Duration::from_millis(10),
                );
                result = connection.flush(boot_ms());
            }
        }
        self.picture.agent_state = AgentState::NotInstalled;
        self.picture.agent_error = None;
        self.picture.publish();
    }
}

/// The parts of a snapshot as they came, from which each published one is put together.
struct Picture {
    agent_state: AgentState,
    agent_error: Option<String>,
    heard_boot_ms: Option<u64>,
    view: Arc<View>,
    observed: Arc<Observed>,
    events: Arc<Vec<EventRow>>,
}

impl Picture {
    /// What is known of the cluster from before a reinstall stays; its age says how old it is.
    fn new() -> Self {
        let old = snapshot::current();
        Self {
            agent_state: AgentState::NeverConnected,
            agent_error: None,
            heard_boot_ms: old.heard_boot_ms,
            view: old.view.clone(),
            observed: old.observed.clone(),
            events: old.events.clone(),
        }
    }

    fn publish(&self) {
        snapshot::publish(Snapshot::new(
            self.agent_state,
            self.agent_error.clone(),
            self.heard_boot_ms,
            self.view.clone(),
            self.observed.clone(),
            self.events.clone(),
        ));
    }

    /// The newest stay, beyond the limit the oldest go.
    fn add_events(&mut self, reset: bool, new: Vec<EventRow>) {
        let kept: &[EventRow] = if reset { &[] } else { &self.events };
        let skip = (kept.len() + new.len()).saturating_sub(EVENTS_MAX);
        self.events = Arc::new(kept.iter().cloned().chain(new).skip(skip).collect());
    }
}

/// A little randomness, so that many servers do not knock at the same moment. Not for secrets.
struct Jitter(u64);

impl Jitter {
    /// A value between three and five quarters of `middle`.
    fn around(&mut self, middle: u64) -> u64 {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        middle * 3 / 4 + self.0 % (middle / 2 + 1)
    }
}
