//! The functions that the declarations point to: a plugin's beginning, its end, and the fill of a table.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use muster_link::report::Flavor;

use super::guard::guard;
use super::loader::{self, RunningServer, Server};
use super::{clock, declarations, log, maria, mysql, settings, sql};
use crate::server::Level;
use crate::tables::{self, AnyTable, Source, Stop};
use crate::{daemon, statement};

/// A static that the server reads and writes while we do not.
#[repr(transparent)]
pub struct Exported<T>(pub UnsafeCell<T>);

// SAFETY: after the constructor of this file nothing of ours touches the content; the server guards its own accesses.
unsafe impl<T> Sync for Exported<T> {}

/// State of one table plugin. The file is never unloaded, so this outlives UNINSTALL and init sets it anew.
pub struct Slot {
    /// Uninstalled, or being so: a fill that still comes answers with an error.
    pub closed: AtomicBool,
    /// The server's `ST_SCHEMA_TABLE` that init was given.
    pub schema_table: AtomicPtr<c_void>,
}

/// One per table.
pub static SLOTS: [Slot; tables::HEADS.len()] = [const {
    Slot {
        closed: AtomicBool::new(true),
        schema_table: AtomicPtr::new(std::ptr::null_mut()),
    }
}; tables::HEADS.len()];

/// Type of a fill function.
pub type Fill = unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_void) -> c_int;

/// 0 = done; 1 = failed, after a sentence in the error log.
fn outcome(what: &str, result: Result<(), String>) -> c_int {
    match result {
        Ok(()) => 0,
        Err(why) => {
            log::line(Level::Error, &format!("{what} is not installed: {why}"));
            1
        }
    }
}

/// Everything that must hold before any plugin of this file does anything.
fn checked_server() -> Result<Server, String> {
    let server = loader::server()?;
    if !super::memory::can_read() {
        return Err("this process may not inspect its own memory (process_vm_readv is refused), which the check of \
                    the server's layouts needs; allow that system call"
            .into());
    }
    match server.flavor {
        Flavor::Mysql => mysql::functions().map(drop)?,
        Flavor::Mariadb => maria::functions().map(drop)?,
    }
    Ok(server)
}

pub unsafe extern "C" fn daemon_init(plugin: *mut c_void) -> c_int {
    guard("the start of plugin muster", 1, || {
        sql::remember_plugin(plugin);
        outcome(
            "plugin muster",
            checked_server()
                .and_then(|server| sql::check(server.flavor).map(|()| server))
                .and_then(|server| settings::install().map(|settings| (server, settings)))
                .and_then(|(server, settings)| {
                    daemon::start(settings, &RunningServer)?;
                    sql::watch_stop(server.flavor);
                    Ok(())
                }),
        )
    })
}

/// MySQL only. A thread that hangs in a statement cannot be joined, and an uninstalled plugin should leave none.
pub unsafe extern "C" fn daemon_check_uninstall(_plugin: *mut c_void) -> c_int {
    guard(
        "the uninstall of plugin muster",
        1,
        || match daemon::ready_to_stop() {
            Ok(()) => 0,
            Err(why) => {
                log::line(
                    Level::Error,
                    &format!("plugin muster stays installed: {why}"),
                );
                1
            }
        },
    )
}

pub unsafe extern "C" fn daemon_deinit(_plugin: *mut c_void) -> c_int {
    guard("the end of plugin muster", 0, || {
        sql::unwatch_stop();
        if let Err(sentence) = daemon::stop() {
            log::line(Level::Error, &sentence);
        }
        statement::clear();
        0
    })
}

pub unsafe extern "C" fn table_init<const AT: usize>(schema_table: *mut c_void) -> c_int {
    guard("the start of a table", 1, || {
        let table = tables::ALL[AT];
        let result = checked_server().and_then(|server| {
            // SAFETY: the server calls init of an INFORMATION_SCHEMA plugin with its own table description.
            unsafe {
                match server.flavor {
                    Flavor::Mysql => mysql::describe(AT, table, schema_table, fill::<AT>),
                    Flavor::Mariadb => maria::describe(AT, table, schema_table, fill::<AT>),
                }
            }
        });
        let opened = result.is_ok();
        let outcome = outcome(&table.name().to_string_lossy(), result);
        if opened {
            SLOTS[AT]
                .schema_table
                .store(schema_table, Ordering::Release);
            SLOTS[AT].closed.store(false, Ordering::Release);
            if loader::server().is_ok_and(|server| server.flavor == Flavor::Mariadb) {
                declarations::show_maria_table_as_daemon(AT, true);
            }
        }
        outcome
    })
}

pub unsafe extern "C" fn table_deinit<const AT: usize>(plugin: *mut c_void) -> c_int {
    guard("the end of a table", 0, || {
        SLOTS[AT].closed.store(true, Ordering::Release);
        match loader::server().map(|server| server.flavor) {
            // SAFETY: the server calls deinit with its record of the plugin.
            Ok(Flavor::Mysql) => unsafe { mysql::at_deinit(&SLOTS[AT], plugin) },
            _ => maria::at_deinit(AT, &SLOTS[AT]),
        }
        0
    })
}

/// MySQL only: see [`mysql::check_uninstall`].
pub unsafe extern "C" fn table_check_uninstall<const AT: usize>(plugin: *mut c_void) -> c_int {
    guard("the uninstall of a table", 1, || {
        // SAFETY: the server calls this with its record of the plugin.
        match unsafe { mysql::check_uninstall(&SLOTS[AT], tables::HEADS[AT].name, plugin) } {
            Ok(()) => 0,
            Err(why) => {
                let name = tables::HEADS[AT].name.to_string_lossy();
                log::line(Level::Error, &format!("{name} stays installed: {why}"));
                1
            }
        }
    })
}

pub unsafe extern "C" fn fill<const AT: usize>(
    thd: *mut c_void,
    table_ref: *mut c_void,
    _cond: *mut c_void,
) -> c_int {
    // The client gets an error in any case: an empty answer would be a wrong one.
    let done = guard("a table read", None, || {
        // SAFETY: the server calls this for a statement of its session `thd` with the mention `table_ref` of the
        // table, whose temporary table is open.
        Some(unsafe { filled(&SLOTS[AT], tables::ALL[AT], thd, table_ref) })
    });
    match done {
        Some(Ok(())) => 0,
        Some(Err(Stop)) => 1,
        None => {
            guard("an error message", Stop, || {
                fail(
                    "Muster: reading this table failed inside the plugin; see the server's error log",
                )
            });
            1
        }
    }
}

/// # Safety
/// As for [`fill`].
unsafe fn filled(
    slot: &Slot,
    table: &dyn AnyTable,
    thd: *mut c_void,
    table_ref: *mut c_void,
) -> Result<(), Stop> {
    if slot.closed.load(Ordering::Acquire) {
        return Err(fail("Muster: this table is being uninstalled"));
    }
    let now_boot_ms = clock::boot_ms();
    let server = loader::server().map_err(fail)?;
    // SAFETY: `thd` is the running session, `table_ref` a mention in its statement: promised by the caller.
    let key = unsafe {
        match server.flavor {
            Flavor::Mysql => mysql::statement_key(thd, table_ref),
            Flavor::Mariadb => maria::statement_key(thd),
        }
    }
    .map_err(|why| fail(&why))?;
    let reading = statement::read(key, now_boot_ms);
    let source = Source {
        snapshot: &reading.snapshot,
        now_boot_ms,
    };
    // SAFETY: as above.
    unsafe {
        match server.flavor {
            Flavor::Mysql => mysql::fill(table, source, thd, table_ref)?,
            Flavor::Mariadb => maria::fill(table, source, thd, table_ref)?,
        }
        if reading.first
            && let Some(warning) = reading.snapshot.warning(now_boot_ms)
        {
            match server.flavor {
                Flavor::Mysql => mysql::warn(thd, &warning),
                Flavor::Mariadb => maria::warn(thd, &warning),
            }
        }
    }
    Ok(())
}

/// Tells the client of an error in the running statement.
pub fn fail(why: &str) -> Stop {
    match loader::server().map(|server| server.flavor) {
        Ok(Flavor::Mysql) => mysql::error(why),
        Ok(Flavor::Mariadb) => maria::error(why),
        Err(_) => {}
    }
    Stop
}
