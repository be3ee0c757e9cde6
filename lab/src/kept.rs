//! What was left running on purpose, and how to end it later from another process.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::process::Process;
use crate::run_dir;

/// A note of one kept cluster, in the cache.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Kept {
    processes: Vec<KeptProcess>,
    folders: Vec<PathBuf>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptProcess {
    pid: u32,
    /// When it started: a pid that was given to another process since is left alone.
    start_time: u64,
}

impl Kept {
    /// Leaves a cluster running, and notes it in the cache. Its processes must have been started detached.
    pub fn note(cache: &Cache, mut cluster: Cluster) -> Result<()> {
        let mut kept = Self::default();
        for node in cluster.nodes() {
            kept.add(node.agent.process(), node.agent.configuration().parent());
            if let Some(server) = &node.server {
                kept.add(server.process(), Some(server.dir()));
            }
        }
        let path = cache
            .run()
            .join(format!("kept-{}.json", std::process::id()));
        let text = serde_json::to_vec_pretty(&kept).map_err(|error| Error::Io {
            doing: "write",
            path: path.clone(),
            source: error.into(),
        })?;
        fs::write(&path, text).map_err(Error::io("write", &path))?;
        cluster.keep();
        Ok(())
    }

    fn add(&mut self, process: Option<&Process>, folder: Option<&Path>) {
        if let Some(process) = process.filter(|process| process.ended().is_none())
            && let Some(start_time) = run_dir::start_time(process.pid())
        {
            self.processes.push(KeptProcess {
                pid: process.pid(),
                start_time,
            });
        }
        self.folders.extend(folder.map(Path::to_path_buf));
    }

    /// Ends everything that was kept, and removes its folders; returns how many processes it ended.
    pub fn stop_all(cache: &Cache) -> Result<usize> {
        let folder = cache.run();
        let mut ended = 0;
        for entry in fs::read_dir(&folder)
            .map_err(Error::io("read", &folder))?
            .flatten()
        {
            let name = entry.file_name();
            if !name.to_string_lossy().starts_with("kept-") {
                continue;
            }
            let kept = fs::read(entry.path())
                .ok()
                .and_then(|text| serde_json::from_slice::<Self>(&text).ok());
            let Some(kept) = kept else { continue };
            ended += kept
                .processes
                .iter()
                .filter(|process| process.stop())
                .count();
            for folder in &kept.folders {
                let _ = fs::remove_dir_all(folder);
            }
            fs::remove_file(entry.path()).map_err(Error::io("remove", &entry.path()))?;
        }
        Ok(ended)
    }
}

impl KeptProcess {
    /// SIGTERM, and SIGKILL where that does not help within 10 s. Says whether it ran.
    fn stop(&self) -> bool {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return false;
        };
        let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
            return false;
        };
        // Looked at after the pidfd is open: from here on the two are the same process.
        if !self.runs() {
            return false;
        }
        let _ = pidfd_send_signal(&pidfd, Signal::TERM);
        let asked = Instant::now();
        while self.runs() {
            if asked.elapsed() > Duration::from_secs(10) {
                let _ = pidfd_send_signal(&pidfd, Signal::KILL);
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    fn runs(&self) -> bool {
        run_dir::start_time(self.pid) == Some(self.start_time)
    }
}
