//! SQL inside the server, and what can be seen of it without any: the server's side of the daemon.

use std::ffi::{CStr, c_void};
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, Ordering};

use muster_link::report::{Flavor, Phase};

use super::symbols;
use crate::daemon::session::{Rows, Session, SqlError};
use crate::server::Quick;

mod components;
pub mod early;
mod maria;
mod mysql;
mod observer;
mod results;

/// Version of a service that a plugin asks for; the server puts the service's address in its place.
const VERSION_1_0: usize = 0x0100;
/// See [`VERSION_1_0`].
const VERSION_1_1: usize = 0x0101;

/// The server's record of the daemon plugin, which MySQL wants to see again where a thread of it begins.
static PLUGIN: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

/// Called by the daemon plugin's init with what the server gave it.
pub fn remember_plugin(plugin: *mut c_void) {
    PLUGIN.store(plugin, Ordering::Release);
}

/// The daemon runs: the server may tell it when it is about to stop.
pub fn watch_stop(flavor: Flavor) {
    if flavor == Flavor::Mysql {
        observer::watch(PLUGIN.load(Ordering::Acquire));
    }
}

/// The daemon is about to end.
pub fn unwatch_stop() {
    observer::unwatch();
}

/// Everything that the daemon needs of this server is there, or a sentence for the error log.
///
/// # Errors
/// When something is missing: the daemon plugin is then not installed.
pub fn check(flavor: Flavor) -> Result<(), String> {
    match flavor {
        Flavor::Mysql => mysql::Services::get().map(drop),
        Flavor::Mariadb => {
            maria::functions()?;
            match globals() {
                Globals { started: Some(_), aborting: Some(_), .. } => Ok(()),
                _ => Err("this server does not export mysqld_server_started and abort_loop as variables of the \
                          known size, by which Muster sees that it starts and stops; this build of the server is \
                          not supported"
                    .to_owned()),
            }
        }
    }
}

/// Opens a session inside the server for the calling thread.
pub fn open_session(flavor: Flavor) -> Result<Box<dyn Session>, SqlError> {
    match flavor {
        Flavor::Mysql => Ok(Box::new(mysql::MysqlSession::open(
            PLUGIN.load(Ordering::Acquire),
        )?)),
        Flavor::Mariadb => Ok(Box::new(maria::MariaSession::open()?)),
    }
}

/// How far the server is. Called every few milliseconds, from several threads.
pub fn phase(flavor: Flavor) -> Phase {
    /// A MySQL that serves no more after it has served is stopping; one that has not served yet is starting.
    static HAS_SERVED: AtomicBool = AtomicBool::new(false);
    let globals = globals();
    match flavor {
        Flavor::Mysql => {
            match mysql::Services::get().is_ok_and(|services| services.server_is_available()) {
                true => {
                    HAS_SERVED.store(true, Ordering::Relaxed);
                    Phase::Serving
                }
                false if HAS_SERVED.load(Ordering::Relaxed) => Phase::Stopping,
                false => Phase::Starting,
            }
        }
        Flavor::Mariadb => match (globals.started, globals.aborting) {
            (_, Some(aborting)) if aborting.get() => Phase::Stopping,
            (Some(started), _) if started.get() => Phase::Serving,
            _ => Phase::Starting,
        },
    }
}

/// `read_only` and `super_read_only` as they take effect, where the server shows them.
pub fn quick(flavor: Flavor) -> Quick {
    let globals = globals();
    Quick {
        read_only: globals.read_only.map(Flag::get),
        super_read_only: match flavor {
            Flavor::Mysql => globals.super_read_only.map(Flag::get),
            Flavor::Mariadb => None,
        },
    }
}

/// Variables of the server that are read while it may write them.
#[derive(Debug, Clone, Copy)]
struct Globals {
    read_only: Option<Flag>,
    super_read_only: Option<Flag>,
    started: Option<Flag>,
    aborting: Option<Flag>,
}

fn globals() -> &'static Globals {
    static GLOBALS: OnceLock<Globals> = OnceLock::new();
    GLOBALS.get_or_init(|| Globals {
        read_only: Flag::find(c"opt_readonly", 1),
        super_read_only: Flag::find(c"opt_super_readonly", 1),
        started: Flag::find(c"mysqld_server_started", 4),
        aborting: Flag::find(c"abort_loop", 1),
    })
}

/// A boolean or small number of the server that is zero or not.
#[derive(Debug, Clone, Copy)]
struct Flag(NonNull<AtomicU8>);

// SAFETY: it is only read, as an atomic byte, and the server's image stays for the life of the process.
unsafe impl Send for Flag {}
// SAFETY: as above.
unsafe impl Sync for Flag {}

impl Flag {
    /// The exported variable `name`, if it has the size that is known. Of a wider one the lowest byte is read, which
    /// holds all of a value below 256 on the little-endian machines that both servers' layouts are known for.
    fn find(name: &CStr, bytes: u64) -> Option<Self> {
        const { assert!(cfg!(target_endian = "little")) };
        symbols::sized(name, bytes).map(|address| Self(address.cast()))
    }

    fn get(self) -> bool {
        // SAFETY: the address is that of an exported variable of at least one byte. The server writes it without
        // atomics, as it reads it elsewhere itself; a byte cannot be torn.
        unsafe { self.0.as_ref() }.load(Ordering::Relaxed) != 0
    }
}

/// What the server put in the place of a service's version; none = it did not.
fn service<T>(slot: &AtomicPtr<c_void>) -> Option<&'static T> {
    let address = slot.load(Ordering::Acquire);
    if address.is_null() || address.addr() < 0x1_0000 {
        return None;
    }
    // SAFETY: the server has put the address of its table of functions there (a version would be a small number).
    // The first members of a service never change, `T` declares only members of the version that we asked for, and
    // the table is a static of the server.
    Some(unsafe { &*address.cast::<T>() })
}

/// The value of one status variable in rows of (VARIABLE_NAME, VARIABLE_VALUE), whose names differ in case between
/// releases.
fn status_value(rows: &Rows, name: &str) -> Option<String> {
    rows.rows.iter().find_map(|row| match row.as_slice() {
        [Some(found), value] if found.eq_ignore_ascii_case(name) => value.clone(),
        _ => None,
    })
}
