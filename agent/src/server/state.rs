//! The one place that holds what is known of the server, and the rules of who may speak for it.
//!
//! Everything is short and synchronous under one lock; nothing here reads, writes or waits. Each change is published
//! as a whole [`ServerSnapshot`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use muster_core::evidence::ProcessState;
use muster_core::ids::MemberId;
use muster_link::report::{Identity, Phase, Report};
use tokio::sync::{oneshot, watch};

use super::memory::Remembered;
use super::process::{Process, boot_id};
use super::snapshot::{ServerSnapshot, differs_urgently};
use crate::clock::{boot_ms, wall_us};

/// A connection that has introduced itself.
#[derive(Debug)]
pub(super) struct Newcomer {
    /// Checked; its `member_id` may be empty.
    pub(super) identity: Identity,
    /// Build of the plugin.
    pub(super) build: String,
    /// The process at the other end; none where it cannot be watched.
    pub(super) process: Option<Arc<Process>>,
}

/// Number of a connection that was let in; only the newest may change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ConnectionId(u64);

/// What a connection that was let in holds.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) id: ConnectionId,
    /// Resolves when another connection takes its place.
    pub(super) replaced: oneshot::Receiver<()>,
}

/// Why a server is not let in, as a sentence for its error log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error(
        "this agent speaks for the server {bound}, this one is {theirs}: one agent serves one server; run a second agent for it, or, where it takes the other's place for good, stop the other and let the agent leave and join again"
    )]
    AnotherServer { bound: MemberId, theirs: String },
    #[error(
        "another process (pid {pid}) with the same MEMBER_ID {member_id} is alive on this host: the data directory was copied with its auto.cnf (MariaDB: muster-member-id); delete that file in the copy and restart that server"
    )]
    Duplicate { pid: u32, member_id: String },
    #[error(
        "the MEMBER_ID of this server is not known yet, and this agent speaks for another one: it will be asked again"
    )]
    NotKnownYet,
}

#[derive(Debug)]
struct Active {
    id: ConnectionId,
    replace: oneshot::Sender<()>,
}

/// What was known of our server's process before one came that has not said yet who it is.
#[derive(Debug)]
struct Predecessor {
    process: ProcessState,
    watched: Option<Arc<Process>>,
    announced: bool,
}

#[derive(Debug)]
struct Inner {
    now: ServerSnapshot,
    active: Option<Active>,
    announced: bool,
    predecessor: Option<Predecessor>,
    connections: u64,
    build_note: Option<String>,
    link_note: Option<String>,
    /// When a copy of our server last wanted to be linked, CLOCK_BOOTTIME in milliseconds.
    copy_seen_boot_ms: Option<u64>,
}

/// A copy of the server that has not tried again for this long is no longer noted, in milliseconds. Plugins try at least
/// once a second or so.
const COPY_NOTED_MS: u64 = 30_000;
/// What is noted of it.
const COPY_NOTE: &str = "a second server with the same MEMBER_ID runs on this host and is refused: its data directory was copied with its auto.cnf (MariaDB: muster-member-id); delete that file in the copy and restart it";

/// Shared by all tasks of the link.
#[derive(Debug)]
pub(super) struct State {
    inner: Mutex<Inner>,
    published: watch::Sender<ServerSnapshot>,
    to_remember: watch::Sender<Option<Remembered>>,
    /// The process to watch. Changed only under the lock.
    process: watch::Sender<Option<Arc<Process>>>,
    boot_id: String,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            inner: Mutex::new(Inner {
                now: ServerSnapshot::default(),
                active: None,
                announced: false,
                predecessor: None,
                connections: 0,
                build_note: None,
                link_note: None,
                copy_seen_boot_ms: None,
            }),
            published: watch::Sender::new(ServerSnapshot::default()),
            to_remember: watch::Sender::new(None),
            process: watch::Sender::new(None),
            boot_id: boot_id(),
        }
    }

    pub(super) fn watch(&self) -> watch::Receiver<ServerSnapshot> {
        self.published.subscribe()
    }

    /// What should be on disk; none = nothing.
    pub(super) fn memories(&self) -> watch::Receiver<Option<Remembered>> {
        self.to_remember.subscribe()
    }

    /// The process whose end should be told with [`process_gone`](Self::process_gone).
    pub(super) fn processes(&self) -> watch::Receiver<Option<Arc<Process>>> {
        self.process.subscribe()
    }

    /// Takes up what a former process of the agent knew.
    pub(super) fn resume(&self, last: &Remembered) {
        let found = match last.start_ticks {
            Some(start_ticks) if last.boot_id == self.boot_id => {
                Process::find(last.pid, start_ticks, last.uid)
            }
            _ => None,
        };
        let found = found.map(Arc::new);
        let mut inner = self.lock();
        inner.now.bound = Some(MemberId(last.identity.member_id.clone()));
        inner.now.identity = Some(last.identity.clone());
        inner.announced = last.announced;
        inner.now.process = match &found {
            Some(process) => ProcessState::Running { pid: process.pid },
            None => ProcessState::Gone {
                pid: last.pid,
                announced: last.announced,
                how: None,
            },
        };
        self.process.send_replace(found);
        self.publish(&mut inner, true);
    }

    /// Binds the agent to `member_id` if it is bound to nobody yet.
    pub(super) fn bind(&self, member_id: MemberId) {
        let mut inner = self.lock();
        if inner.now.bound.is_none() {
            inner.now.bound = Some(member_id);
            self.publish(&mut inner, false);
        }
    }

    /// Forgets the server: the next one that introduces itself is taken. Its connection, if any, is closed.
    pub(super) fn forget(&self) {
        let mut inner = self.lock();
        inner.active = None;
        inner.predecessor = None;
        self.process.send_replace(None);
        inner.announced = false;
        inner.build_note = None;
        inner.link_note = None;
        let (urgent, report_number) = (inner.now.urgent, inner.now.report_number);
        inner.now = ServerSnapshot {
            urgent,
            report_number,
            ..ServerSnapshot::default()
        };
        self.publish(&mut inner, true);
    }

    /// Lets a connection in, or says why not. The one before it is closed.
    pub(super) fn admit(&self, newcomer: Newcomer) -> Result<Admitted, Refusal> {
        let mut inner = self.lock();
        let known = !newcomer.identity.member_id.is_empty();
        if known {
            check_bound(&inner, &newcomer.identity)?;
        } else if let Some(last) = &inner.now.identity
            && !newcomer.identity.datadir.is_empty()
            && last.datadir != newcomer.identity.datadir
        {
            return Err(Refusal::NotKnownYet);
        }
        // The guard must be gone before anything is published.
        let watched = self.process.borrow().clone();
        let same_process = match (&watched, &newcomer.process) {
            (Some(old), Some(new)) => {
                let same = old.pid == new.pid && old.start_ticks == new.start_ticks;
                if !same && old.lives() {
                    if known {
                        inner.copy_seen_boot_ms = Some(boot_ms());
                        self.publish(&mut inner, false);
                    }
                    return Err(match &inner.now.identity {
                        Some(identity) if known => Refusal::Duplicate {
                            pid: old.pid,
                            member_id: identity.member_id.clone(),
                        },
                        _ => Refusal::NotKnownYet,
                    });
                }
                same
            }
            _ => false,
        };

        inner.connections += 1;
        let id = ConnectionId(inner.connections);
        let (replace, replaced) = oneshot::channel();
        if let Some(before) = inner.active.replace(Active { id, replace }) {
            // Its task may be gone already.
            let _ = before.replace.send(());
        }
        let pid = match &newcomer.process {
            Some(process) => process.pid,
            None => newcomer.identity.pid,
        };
        if !same_process {
            let before = Predecessor {
                process: inner.now.process.clone(),
                watched: self.process.send_replace(newcomer.process),
                announced: inner.announced,
            };
            // Until it has said who it is, it is only likely to be our server.
            inner.predecessor = (!known && inner.now.bound.is_some()).then_some(before);
            // What another process reported says nothing of this one.
            inner.now.report = None;
            inner.announced = false;
        }
        inner.now.process = ProcessState::Running { pid };
        inner.now.linked = true;
        inner.now.plugin_build = Some(newcomer.build);
        inner.link_note = None;
        inner.build_note = None;
        if known {
            inner.predecessor = None;
            take_identity(&mut inner, newcomer.identity);
        }
        self.publish(&mut inner, true);
        Ok(Admitted { id, replaced })
    }

    /// The plugin said anew who its server is.
    pub(super) fn identify(&self, id: ConnectionId, identity: Identity) -> Result<(), Refusal> {
        let mut inner = self.lock();
        if !is_active(&inner, id) || identity.member_id.is_empty() {
            return Ok(());
        }
        if let Err(refusal) = check_bound(&inner, &identity) {
            self.disown(&mut inner);
            return Err(refusal);
        }
        inner.predecessor = None;
        if inner.now.identity.as_ref() != Some(&identity) {
            take_identity(&mut inner, identity);
            self.publish(&mut inner, true);
        }
        Ok(())
    }

    /// A report came; it was checked.
    pub(super) fn report(&self, id: ConnectionId, report: Report) {
        let mut inner = self.lock();
        if !is_active(&inner, id) {
            return;
        }
        if report.phase == Phase::Stopping {
            inner.announced = true;
        }
        let urgent = match &inner.now.report {
            Some(before) => differs_urgently(before, &report),
            None => true,
        };
        inner.now.report_number += 1;
        inner.now.report_received_boot_ms = boot_ms();
        inner.now.report = Some(report);
        self.publish(&mut inner, urgent);
    }

    /// The plugin said farewell. Where its server stops, that is a report like any other.
    pub(super) fn bye(&self, id: ConnectionId, reason: &str, server_stops: bool) {
        if server_stops {
            let last = self.lock().now.report.clone();
            let report = Report {
                phase: Phase::Stopping,
                wall_clock_us: wall_us(),
                ..last.unwrap_or(Report {
                    sequence: 0,
                    phase: Phase::Stopping,
                    facts: None,
                    stalled_ms: 0,
                    trouble: None,
                    wall_clock_us: 0,
                })
            };
            self.report(id, report);
        } else {
            let mut inner = self.lock();
            if is_active(&inner, id) {
                inner.link_note = Some(format!("the plugin closed the link: {reason}"));
                self.publish(&mut inner, true);
            }
        }
    }

    /// A connection ended. The process may live on.
    pub(super) fn link_lost(&self, id: ConnectionId) {
        let mut inner = self.lock();
        if is_active(&inner, id) {
            inner.active = None;
            inner.now.linked = false;
            self.publish(&mut inner, true);
        }
    }

    /// The watched process is gone.
    pub(super) fn process_gone(&self, process: &Arc<Process>, how: Option<String>) {
        let mut inner = self.lock();
        let watched = self.process.borrow().clone();
        if !watched.is_some_and(|watched| Arc::ptr_eq(&watched, process)) {
            return;
        }
        let gone = ProcessState::Gone {
            pid: process.pid,
            announced: inner.announced,
            how,
        };
        let first = matches!(inner.now.process, ProcessState::Running { .. });
        inner.now.process = gone;
        inner.now.linked = false;
        // Dropping it closes the connection of a process that is no more.
        inner.active = None;
        self.publish(&mut inner, first);
    }

    /// What the look at the plugin's file found.
    pub(super) fn build_note(&self, id: ConnectionId, note: Option<String>) {
        let mut inner = self.lock();
        if is_active(&inner, id) && inner.build_note != note {
            inner.build_note = note;
            self.publish(&mut inner, false);
        }
    }

    /// The linked process turned out to be another server: what was known of ours before it came holds again.
    fn disown(&self, inner: &mut Inner) {
        inner.active = None;
        inner.now.linked = false;
        if let Some(before) = inner.predecessor.take() {
            inner.now.process = before.process;
            inner.now.report = None;
            inner.announced = before.announced;
            self.process.send_replace(before.watched);
        }
        self.publish(inner, true);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code under this lock can panic half way through a change that matters: each ends in a whole snapshot.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, inner: &mut Inner, urgent: bool) {
        if urgent {
            inner.now.urgent += 1;
        }
        let copy = inner
            .copy_seen_boot_ms
            .filter(|seen| boot_ms().saturating_sub(*seen) <= COPY_NOTED_MS)
            .map(|_| COPY_NOTE);
        let notes = [
            copy,
            inner.link_note.as_deref(),
            inner.build_note.as_deref(),
        ];
        let notes: Vec<_> = notes.into_iter().flatten().collect();
        inner.now.note = (!notes.is_empty()).then(|| notes.join("; "));
        let remembered = self.to_be_remembered(inner);
        self.to_remember.send_if_modified(|last| {
            let differs = *last != remembered;
            if differs {
                *last = remembered;
            }
            differs
        });
        self.published.send_replace(inner.now.clone());
    }

    fn to_be_remembered(&self, inner: &Inner) -> Option<Remembered> {
        let identity = inner.now.identity.clone()?;
        let pid = match inner.now.process {
            ProcessState::NeverSeen => return None,
            ProcessState::Running { pid } | ProcessState::Gone { pid, .. } => pid,
        };
        let process = self.process.borrow();
        Some(Remembered {
            identity,
            pid,
            start_ticks: process.as_ref().and_then(|process| process.start_ticks),
            uid: process.as_ref().map_or(0, |process| process.uid),
            boot_id: self.boot_id.clone(),
            announced: inner.announced,
        })
    }
}

fn is_active(inner: &Inner, id: ConnectionId) -> bool {
    inner.active.as_ref().is_some_and(|active| active.id == id)
}

fn check_bound(inner: &Inner, identity: &Identity) -> Result<(), Refusal> {
    match &inner.now.bound {
        Some(bound) if bound.0 != identity.member_id => Err(Refusal::AnotherServer {
            bound: bound.clone(),
            theirs: identity.member_id.clone(),
        }),
        _ => Ok(()),
    }
}

fn take_identity(inner: &mut Inner, identity: Identity) {
    inner.now.bound = Some(MemberId(identity.member_id.clone()));
    inner.now.identity = Some(identity);
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
