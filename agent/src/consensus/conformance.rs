//! openraft's own suite of what a store must do, run on ours.

use std::sync::Arc;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};

use muster_core::ids::AgentId;

use super::folder::{DiskFolder, Folder};
use super::log_store::LogStore;
use super::machine::Machine;
use super::types::TypeConfig;

struct OnDisk;

impl StoreBuilder<TypeConfig, LogStore, Machine, tempfile::TempDir> for OnDisk {
    async fn build(
        &self,
    ) -> Result<(tempfile::TempDir, LogStore, Machine), StorageError<TypeConfig>> {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let disk: Arc<dyn Folder> =
            Arc::new(DiskFolder::open(folder.path()).expect("the folder opens"));
        let log = LogStore::open(&disk, AgentId(0)).expect("the store opens");
        Ok((folder, log, Machine::new(disk)))
    }
}

#[test]
fn the_store_passes_the_conformance_suite_of_the_engine() {
    if let Err(error) = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(async { Suite::test_all(OnDisk).await })
    {
        panic!("{error}");
    }
}
