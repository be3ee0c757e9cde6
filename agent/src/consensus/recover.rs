//! `muster recover --force`: makes the store of one agent that of a group of its own.
//!
//! Done on a store that no agent has open. What is in the local log is kept, the part that a majority never confirmed
//! too: it may have been confirmed, and who could tell is lost. The new group has to get a new generation at once, by
//! `Command::Recover`, before anything of it is shown: the lost majority may have gone on under the same numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use muster_core::ids::AgentId;
use muster_core::state::ClusterState;
use openraft::storage::RaftLogStorage;
use openraft::{BasicNode, Membership};

use super::error::OpenError;
use super::folder::{DiskFolder, Folder};
use super::handle::on_folder;
use super::log_store::LogStore;
use super::machine::{Image, load, save};
use super::types::{SnapshotMeta, StoredMembership};

/// Rewrites the store in `store_dir` so that agent `me` is the only voter; the state that it goes on with.
///
/// Repeating it, also after a crash in the middle, is safe.
pub(super) async fn recover_alone(
    store_dir: &Path,
    me: AgentId,
) -> Result<Arc<ClusterState>, OpenError> {
    let folder: Arc<dyn Folder> = Arc::new(DiskFolder::open(store_dir)?);
    let damage = |folder: &dyn Folder, why: String| OpenError::Damaged {
        path: folder.path().to_owned(),
        why,
    };

    let (mut log, state, last) = on_folder(&folder, move |folder| {
        let damage = |why: String| damage(&**folder, why);
        let log = LogStore::open(folder, me)?;
        let found = load(&**folder).map_err(|why| damage(why.to_string()))?;
        let (mut last, mut image) = match found {
            Some((meta, data)) => {
                let image: Image =
                    serde_json::from_str(&data).map_err(|why| damage(why.to_string()))?;
                (meta.last_log_id, image)
            }
            None => (None, Image::default()),
        };
        for entry in log.entries().map_err(|why| damage(why.to_string()))? {
            let next = last.map_or(0, |id| id.index + 1);
            if entry.log_id.index > next {
                return Err(damage(format!(
                    "entry {next} is neither in the log nor in the snapshot"
                )));
            }
            if entry.log_id.index == next {
                image.apply(&entry);
                last = Some(entry.log_id);
            }
        }
        let Some(last) = last.filter(|_| image.state.founded()) else {
            return Err(OpenError::Empty(folder.path().to_owned()));
        };
        let Some(agent) = image.state.agents.get(&me) else {
            return Err(OpenError::NotInCluster {
                path: folder.path().to_owned(),
                agent: me,
            });
        };
        let alone = Membership::new(
            vec![BTreeSet::from([me.0])],
            BTreeMap::from([(me.0, BasicNode::new(&agent.address))]),
        )
        .map_err(|error| OpenError::Engine(error.to_string()))?;
        let meta = SnapshotMeta {
            last_log_id: Some(last),
            last_membership: StoredMembership::new(Some(last), alone),
        };
        let data = serde_json::to_string(&image).map_err(|why| damage(why.to_string()))?;
        // First the snapshot, then the log: whatever comes in between, opening the store gives this membership or, if
        // the snapshot is not there yet, the old one.
        save(&**folder, &meta, &data).map_err(|why| OpenError::Io {
            path: folder.path().to_owned(),
            why,
        })?;
        Ok((log, image.state, last))
    })
    .await?;
    log.purge(last).await.map_err(|why| OpenError::Io {
        path: folder.path().to_owned(),
        why,
    })?;
    Ok(state)
}
