//! An initialised data directory per installation, made once and copied for each server.
//!
//! It holds, beside what the server itself makes: `root` without a password from anywhere, and `repl` for replication.
//! Neither is in the binary log. Every server listens on loopback or in a namespace of ours, for as long as a test runs.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::install::{Install, Kind};
use crate::process::run;
use crate::progress::Step;
use crate::replication::{PASSWORD, USER};

/// Makes the template of `install` where it is missing. The caller holds a lock.
pub(crate) fn make(install: &Install, cache: &Cache) -> Result<()> {
    let template = install.template();
    if template.is_dir() {
        return Ok(());
    }
    let step = Step::begin(format!("initialising {}", install.describe()));
    let staging = cache.staging()?;
    let data = staging.path().join("data");
    let accounts = staging.path().join("accounts.sql");
    fs::write(&accounts, accounts_sql(install.kind())).map_err(Error::io("write", &accounts))?;
    match install.kind() {
        Kind::MySql => {
            let mut command = Command::new(install.program());
            command
                .args(install.location_options())
                .arg("--initialize-insecure")
                .arg(format!("--datadir={}", data.display()))
                .arg(format!("--init-file={}", accounts.display()))
                .args([
                    "--innodb-redo-log-capacity=8M",
                    "--innodb-buffer-pool-size=64M",
                ]);
            run(&mut command)?;
        }
        Kind::MariaDb => {
            let script = [
                "bin/mariadb-install-db",
                "scripts/mariadb-install-db",
                "bin/mysql_install_db",
            ]
            .map(|inside| install.base().join(inside))
            .into_iter()
            .find(|path| path.is_file())
            .ok_or_else(|| {
                Error::Missing(format!(
                    "there is no mariadb-install-db beside {}",
                    install.program().display()
                ))
            })?;
            let mut command = Command::new(script);
            command
                .args([
                    "--no-defaults",
                    "--auth-root-authentication-method=normal",
                    "--skip-test-db",
                ])
                .arg(format!("--basedir={}", install.base().display()))
                .arg(format!("--datadir={}", data.display()))
                .arg(format!("--extra-file={}", accounts.display()));
            if rustix::process::geteuid().is_root() {
                command.arg("--user=root");
            }
            run(&mut command)?;
        }
    }
    // Each server makes an identity of its own.
    let _ = fs::remove_file(data.join("auto.cnf"));
    if let Some(parent) = template.parent() {
        fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    }
    fs::rename(&data, template).map_err(Error::io("put in place", template))?;
    step.end("");
    Ok(())
}

fn accounts_sql(kind: Kind) -> String {
    let replication = match kind {
        Kind::MySql => "REPLICATION SLAVE, REPLICATION CLIENT, BACKUP_ADMIN, CLONE_ADMIN",
        Kind::MariaDb => "REPLICATION SLAVE, REPLICATION CLIENT, REPLICA MONITOR",
    };
    // One statement per line: the servers' init files want it so.
    // MariaDB initialises without its grant tables; reading them allows the statements below.
    let first = match kind {
        Kind::MySql => "",
        Kind::MariaDb => "FLUSH PRIVILEGES;\n",
    };
    format!(
        "{first}CREATE USER IF NOT EXISTS 'root'@'%' IDENTIFIED BY '';\n\
         GRANT ALL PRIVILEGES ON *.* TO 'root'@'%' WITH GRANT OPTION;\n\
         CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\n\
         GRANT {replication} ON *.* TO '{USER}'@'%';\n\
         CREATE DATABASE IF NOT EXISTS test;\n"
    )
}

/// Copies the template to `data`, sharing blocks where the file system can.
pub(crate) fn copy(install: &Install, data: &Path) -> Result<()> {
    run(Command::new("cp")
        .args(["-a", "--sparse=always"])
        .arg(install.template())
        .arg(data))?;
    Ok(())
}
