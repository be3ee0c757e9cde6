//! What the two servers look for in the file: MySQL for `_mysql_…`, MariaDB first for `_maria_…`.
#![allow(non_upper_case_globals)]

use std::cell::UnsafeCell;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use super::bindings::{
    MUSTER_LICENSE_GPL, MUSTER_MARIA_MATURITY_GAMMA, MUSTER_PLUGIN_DAEMON,
    MUSTER_PLUGIN_INFORMATION_SCHEMA, muster_maria_plugin, muster_mysql_plugin,
};
use super::loader::INFO;
use super::plugins::{
    Exported, daemon_check_uninstall, daemon_deinit, daemon_init, table_check_uninstall,
    table_deinit, table_init,
};
use super::{status, sysvars};
use crate::tables;

/// The daemon plugin, every table, and the end mark.
const PLUGINS: usize = 1 + TABLES + 1;
const TABLES: usize = tables::HEADS.len();

const AUTHOR: &CStr = c"The Muster contributors";
const DAEMON_NAME: &CStr = c"muster";
const DAEMON_DESCRIPTION: &CStr = c"Muster: keeps the link to the agent on this host";
/// Version of the plugin, one byte each.
const VERSION: c_uint = 0x0001;
const VERSION_TEXT: *const c_char = concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast();

const fn info() -> *mut c_void {
    (&raw const INFO).cast_mut().cast()
}

const fn mysql_table<const AT: usize>() -> muster_mysql_plugin {
    muster_mysql_plugin {
        type_: MUSTER_PLUGIN_INFORMATION_SCHEMA as c_int,
        name: tables::HEADS[AT].name.as_ptr(),
        descr: tables::HEADS[AT].description.as_ptr(),
        init: Some(table_init::<AT>),
        check_uninstall: Some(table_check_uninstall::<AT>),
        deinit: Some(table_deinit::<AT>),
        status_vars: ptr::null_mut(),
        system_vars: ptr::null_mut(),
        ..mysql_daemon()
    }
}

const fn maria_table<const AT: usize>() -> muster_maria_plugin {
    muster_maria_plugin {
        type_: MUSTER_PLUGIN_INFORMATION_SCHEMA as c_int,
        name: tables::HEADS[AT].name.as_ptr(),
        descr: tables::HEADS[AT].description.as_ptr(),
        init: Some(table_init::<AT>),
        deinit: Some(table_deinit::<AT>),
        status_vars: ptr::null_mut(),
        system_vars: ptr::null_mut(),
        ..maria_daemon()
    }
}

const fn mysql_daemon() -> muster_mysql_plugin {
    muster_mysql_plugin {
        type_: MUSTER_PLUGIN_DAEMON as c_int,
        info: info(),
        name: DAEMON_NAME.as_ptr(),
        author: AUTHOR.as_ptr(),
        descr: DAEMON_DESCRIPTION.as_ptr(),
        license: MUSTER_LICENSE_GPL as c_int,
        init: Some(daemon_init),
        check_uninstall: Some(daemon_check_uninstall),
        deinit: Some(daemon_deinit),
        version: VERSION,
        status_vars: status::MYSQL.0.get().cast(),
        system_vars: sysvars::VARIABLES.0.get().cast(),
        reserved: ptr::null_mut(),
        flags: 0,
    }
}

const fn maria_daemon() -> muster_maria_plugin {
    muster_maria_plugin {
        type_: MUSTER_PLUGIN_DAEMON as c_int,
        info: info(),
        name: DAEMON_NAME.as_ptr(),
        author: AUTHOR.as_ptr(),
        descr: DAEMON_DESCRIPTION.as_ptr(),
        license: MUSTER_LICENSE_GPL as c_int,
        init: Some(daemon_init),
        deinit: Some(daemon_deinit),
        version: VERSION,
        status_vars: status::MARIA.0.get().cast(),
        system_vars: sysvars::VARIABLES.0.get().cast(),
        version_info: VERSION_TEXT,
        maturity: MUSTER_MARIA_MATURITY_GAMMA,
    }
}

// SAFETY: an all-zero declaration is the end mark of both lists; every member may be zero.
const MYSQL_END: muster_mysql_plugin = unsafe { std::mem::zeroed() };
// SAFETY: as above.
const MARIA_END: muster_maria_plugin = unsafe { std::mem::zeroed() };

/// One entry per table; a table more in [`tables::HEADS`] does not compile before it has one here.
macro_rules! declare {
    ($($at:literal)*) => {
        /// MySQL reads its plugins from here.
        #[unsafe(no_mangle)]
        pub static _mysql_plugin_declarations_: Exported<[muster_mysql_plugin; PLUGINS]> =
            Exported(UnsafeCell::new([mysql_daemon(), $(mysql_table::<$at>(),)* MYSQL_END]));
        /// MariaDB reads its plugins from here.
        #[unsafe(no_mangle)]
        pub static _maria_plugin_declarations_: Exported<[muster_maria_plugin; PLUGINS]> =
            Exported(UnsafeCell::new([maria_daemon(), $(maria_table::<$at>(),)* MARIA_END]));
    };
}
declare!(0 1 2 3);

/// Makes MariaDB take a table's plugin for a daemon plugin, or for what it is again. See [`super::maria`], "Uninstall".
pub fn show_maria_table_as_daemon(at: usize, daemon: bool) {
    let declarations = _maria_plugin_declarations_
        .0
        .get()
        .cast::<muster_maria_plugin>();
    let plugin_type = if daemon {
        MUSTER_PLUGIN_DAEMON
    } else {
        MUSTER_PLUGIN_INFORMATION_SCHEMA
    };
    assert!(at < TABLES, "a table has a declaration");
    // SAFETY: the entry of a table follows that of the daemon. The server reads the member as one aligned word, and
    // so it is written.
    unsafe {
        let member = &raw mut (*declarations.add(1 + at)).type_;
        AtomicI32::from_ptr(member).store(plugin_type as c_int, Ordering::SeqCst);
    }
}

/// Version of the plugin interface that MySQL is asked for: the lowest that it takes, so that it copies the
/// declarations by the size given below and any release of it accepts them.
#[unsafe(no_mangle)]
pub static _mysql_plugin_interface_version_: c_int = 0x0100;
/// Size of one MySQL declaration.
#[unsafe(no_mangle)]
pub static _mysql_sizeof_struct_st_plugin_: c_int = size_of::<muster_mysql_plugin>() as c_int;
/// As for MySQL.
#[unsafe(no_mangle)]
pub static _maria_plugin_interface_version_: c_int = 0x0100;
/// Size of one MariaDB declaration.
#[unsafe(no_mangle)]
pub static _maria_sizeof_struct_st_plugin_: c_int = size_of::<muster_maria_plugin>() as c_int;
