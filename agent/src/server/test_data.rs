//! What the unit tests of this folder share.

use std::path::PathBuf;

use muster_link::report::{Flavor, Identity, Phase, Report};

/// An identity whose MEMBER_ID is made of `letter` (a hexadecimal digit).
pub(super) fn identity(letter: &str) -> Identity {
    let part = |n: usize| letter.repeat(n);
    Identity {
        member_id: format!(
            "{}-{}-{}-{}-{}",
            part(8),
            part(4),
            part(4),
            part(4),
            part(12)
        ),
        flavor: Flavor::Mysql,
        server_version: "9.7.4".into(),
        pid: std::process::id(),
        host: "db1".into(),
        port: 3306,
        datadir: "/var/lib/mysql".into(),
        socket: "/run/mysqld/mysqld.sock".into(),
    }
}

/// A report of a serving server without facts.
pub(super) fn report(sequence: u64) -> Report {
    Report {
        sequence,
        phase: Phase::Serving,
        facts: None,
        stalled_ms: 0,
        trouble: None,
        wall_clock_us: 0,
    }
}

/// A folder that goes with the test.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        let name = format!("muster-server-{}", uuid::Uuid::new_v4().simple());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
