//! MySQL tells those who ask when it is about to stop, before it counts its sessions.
//!
//! Without this the daemon notices a stop by itself, a tick later, and the server, which finds a session, gives it two
//! seconds to end. Where the server does not offer it nothing is lost but that.

use std::ffi::{c_int, c_uint, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use crate::daemon;
use crate::ffi::bindings::muster_mysql_server_state_observer;
use crate::ffi::guard::guard;
use crate::ffi::plugins::Exported;
use crate::ffi::symbols::function;

type Register = unsafe extern "C" fn(*mut muster_mysql_server_state_observer, *mut c_void) -> c_int;

static OBSERVER: Exported<muster_mysql_server_state_observer> = Exported(
    std::cell::UnsafeCell::new(muster_mysql_server_state_observer {
        length: size_of::<muster_mysql_server_state_observer>() as c_uint,
        before_handle_connection: None,
        before_recovery: None,
        after_engine_recovery: None,
        after_recovery: None,
        before_server_shutdown: Some(before_shutdown),
        after_server_shutdown: None,
        after_dd_upgrade: None,
    }),
);

/// Whether the server knows of the observer.
static WATCHING: AtomicBool = AtomicBool::new(false);
/// The plugin that it was registered for.
static PLUGIN: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

unsafe extern "C" fn before_shutdown(_param: *mut c_void) -> c_int {
    guard("the announced stop of the server", 0, || {
        daemon::server_stops();
        0
    })
}

/// Asks to be told. `plugin` is the server's record of the daemon plugin.
pub fn watch(plugin: *mut c_void) {
    let Ok(register) = function!(Register, c"register_server_state_observer") else {
        return;
    };
    // SAFETY: the observer is a static of this file, which stays mapped; the server only reads it. `plugin` is the record
    // that init was given, and `unwatch` in deinit ends its use.
    if unsafe { register(OBSERVER.0.get(), plugin) } == 0 {
        PLUGIN.store(plugin, Ordering::Release);
        WATCHING.store(true, Ordering::Release);
    }
}

/// Asks no more. Waits for a call that is under way.
pub fn unwatch() {
    if !WATCHING.swap(false, Ordering::AcqRel) {
        return;
    }
    if let Ok(unregister) = function!(Register, c"unregister_server_state_observer") {
        // SAFETY: it was registered with these two.
        unsafe { unregister(OBSERVER.0.get(), PLUGIN.load(Ordering::Acquire)) };
    }
}
