//! The ordered state in memory, and its snapshots on disk.
//!
//! Entries are applied by `muster_core::apply` and by nothing else. The engine's membership entries are mirrored into the
//! state here, from the entry itself, so that who votes is part of the view on every agent at the same place of the log.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{Stream, StreamExt};
use muster_core::apply::apply;
use muster_core::command::{Command, Entry, Outcome};
use muster_core::ids::AgentId;
use muster_core::state::ClusterState;
use openraft::storage::{EntryResponder, RaftStateMachine, Snapshot};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::folder::{Folder, run};
use super::seal;
use super::types::{Applied, LogEntry, LogId, SnapshotMeta, StoredMembership, TypeConfig};

/// The state with what else must be the same on every agent to apply the next entry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Image {
    /// The ordered state.
    pub(super) state: Arc<ClusterState>,
    /// Time of the newest command, which its event shows. The engine's own entries carry no time and take this one.
    pub(super) time_us: i64,
}

/// What a snapshot file holds.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    meta: SnapshotMeta,
    /// An [`Image`] as JSON text: it travels to other agents as it is.
    data: String,
}

/// The snapshot file, shared between the machine and the builder that runs beside it.
#[derive(Debug)]
struct Shelf {
    folder: Arc<dyn Folder>,
    /// What the file holds; held while it is written.
    newest: Mutex<Option<SnapshotMeta>>,
}

/// The state machine.
#[derive(Debug)]
pub(super) struct Machine {
    image: Image,
    applied: Option<LogId>,
    membership: StoredMembership,
    shelf: Arc<Shelf>,
    /// The state that the rest of the agent sees.
    published: watch::Sender<Arc<ClusterState>>,
    /// Index of the last entry whose effect it contains.
    published_index: watch::Sender<u64>,
}

impl Image {
    /// Applies one log entry. None for the engine's own entries.
    pub(super) fn apply(&mut self, entry: &LogEntry) -> Option<Outcome> {
        let index = entry.log_id.index;
        match &entry.payload {
            EntryPayload::Blank => None,
            EntryPayload::Normal(proposal) => {
                self.time_us = proposal.0.time_us;
                Some(apply(Arc::make_mut(&mut self.state), index, &proposal.0))
            }
            EntryPayload::Membership(membership) => {
                // While the voters change, both sets count; the last entry of the change names the new set alone.
                let voters: BTreeSet<_> = membership.voter_ids().map(AgentId).collect();
                if voters != self.state.voters {
                    let entry = Entry {
                        time_us: self.time_us,
                        reason: format!("the voters are now agents {}", list(&voters)),
                        command: Command::VotersAre { voters },
                    };
                    apply(Arc::make_mut(&mut self.state), index, &entry);
                }
                None
            }
        }
    }
}

fn list(ids: &BTreeSet<AgentId>) -> String {
    let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
    ids.join(", ")
}

impl Machine {
    /// An empty machine; the engine restores it from the snapshot and the log.
    pub(super) fn new(folder: Arc<dyn Folder>) -> Self {
        Self {
            image: Image::default(),
            applied: None,
            membership: StoredMembership::default(),
            shelf: Arc::new(Shelf {
                folder,
                newest: Mutex::new(None),
            }),
            published: watch::Sender::new(Arc::default()),
            published_index: watch::Sender::new(0),
        }
    }

    /// Follows the applied state.
    pub(super) fn state(&self) -> watch::Receiver<Arc<ClusterState>> {
        self.published.subscribe()
    }

    /// Follows the index of the last applied entry.
    pub(super) fn index(&self) -> watch::Receiver<u64> {
        self.published_index.subscribe()
    }

    fn publish(&self) {
        self.published.send_if_modified(|state| {
            let new = !Arc::ptr_eq(state, &self.image.state);
            *state = self.image.state.clone();
            new
        });
        self.published_index
            .send_replace(self.applied.map_or(0, |id| id.index));
    }

    fn meta(&self) -> SnapshotMeta {
        SnapshotMeta {
            last_log_id: self.applied,
            last_membership: self.membership.clone(),
        }
    }
}

/// Writes `image` as the snapshot of `folder`.
pub(super) fn save(folder: &dyn Folder, meta: &SnapshotMeta, data: &str) -> io::Result<()> {
    let saved = Saved {
        meta: meta.clone(),
        data: data.to_owned(),
    };
    folder.write_snapshot(&seal::seal(&saved)?)
}

/// Reads the snapshot of `folder`.
pub(super) fn load(folder: &dyn Folder) -> io::Result<Option<(SnapshotMeta, String)>> {
    let Some(bytes) = folder.read_snapshot()? else {
        return Ok(None);
    };
    let saved: Saved = seal::open(&bytes).map_err(|why| {
        io::Error::new(io::ErrorKind::InvalidData, format!("the snapshot: {why}"))
    })?;
    Ok(Some((saved.meta, saved.data)))
}

impl Shelf {
    fn newest(&self) -> MutexGuard<'_, Option<SnapshotMeta>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Saves the snapshot unless the file holds a newer one already.
    async fn put(self: &Arc<Self>, meta: SnapshotMeta, data: Arc<str>) -> io::Result<()> {
        let shelf = self.clone();
        let put = move || {
            let mut newest = shelf.newest();
            if newest
                .as_ref()
                .is_some_and(|there| there.last_log_id >= meta.last_log_id)
            {
                return Ok(());
            }
            save(&*shelf.folder, &meta, &data)?;
            *newest = Some(meta);
            Ok(())
        };
        run(&*self.folder, put).await
    }
}

/// Makes a snapshot of the state as it was when the builder was made.
#[derive(Debug)]
pub(super) struct Builder {
    image: Image,
    meta: SnapshotMeta,
    shelf: Arc<Shelf>,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = Arc<str>;

    async fn build_snapshot(&mut self) -> io::Result<super::types::Snapshot> {
        let data: Arc<str> = serde_json::to_string(&self.image)?.into();
        self.shelf.put(self.meta.clone(), data.clone()).await?;
        Ok(Snapshot {
            meta: self.meta.clone(),
            snapshot: data,
        })
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = Arc<str>;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        // Answers go out after the state has been published: whoever gets one sees its effect.
        let mut answers = Vec::new();
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            let outcome = self.image.apply(&entry);
            if let EntryPayload::Membership(membership) = &entry.payload {
                self.membership = StoredMembership::new(Some(entry.log_id), membership.clone());
            }
            self.applied = Some(entry.log_id);
            if let Some(responder) = responder {
                answers.push((responder, Applied(outcome)));
            }
        }
        self.publish();
        for (responder, applied) in answers {
            responder.send(applied);
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            image: self.image.clone(),
            meta: self.meta(),
            shelf: self.shelf.clone(),
        }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, data: Arc<str>) -> io::Result<()> {
        let image: Image = serde_json::from_str(&data)?;
        self.shelf.put(meta.clone(), data).await?;
        self.image = image;
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.publish();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<super::types::Snapshot>> {
        let mut newest = self.shelf.newest();
        let found = load(&*self.shelf.folder)?;
        *newest = found.as_ref().map(|(meta, _)| meta.clone());
        drop(newest);
        Ok(found.map(|(meta, data)| Snapshot {
            meta,
            snapshot: data.into(),
        }))
    }
}
