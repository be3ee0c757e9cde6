//! The system variables, as the server wants them declared.

use std::cell::UnsafeCell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32};

use muster_link::limits::{REPORT_INTERVAL_MS_MAX, REPORT_INTERVAL_MS_MIN};

use super::bindings::{
    MUSTER_VAR_INT, MUSTER_VAR_READONLY, MUSTER_VAR_STR, MUSTER_VAR_UNSIGNED, muster_sys_var,
    muster_sys_var_str, muster_sys_var_uint,
};
use super::plugins::Exported;
use crate::settings::{AGENT_SOCKET_DEFAULT, REPORT_INTERVAL_MS_DEFAULT};

/// Storage of `muster_agent_socket`, written by the server.
pub static AGENT_SOCKET: AtomicPtr<c_char> = AtomicPtr::new(ptr::null_mut());
/// Storage of `muster_advertise_host`, written by the server.
pub static ADVERTISE_HOST: AtomicPtr<c_char> = AtomicPtr::new(ptr::null_mut());
/// Storage of `muster_advertise_port`, written by the server.
pub static ADVERTISE_PORT: AtomicU32 = AtomicU32::new(0);
/// Storage of `muster_report_interval_ms`, written by the server.
pub static REPORT_INTERVAL_MS: AtomicU32 = AtomicU32::new(REPORT_INTERVAL_MS_DEFAULT);

const fn head(flags: u32, name: &'static CStr, comment: &'static CStr) -> muster_sys_var {
    muster_sys_var {
        flags: flags as c_int,
        name: name.as_ptr(),
        comment: comment.as_ptr(),
        check: ptr::null_mut(),
        update: ptr::null_mut(),
    }
}

const fn text(
    name: &'static CStr,
    comment: &'static CStr,
    value: &'static AtomicPtr<c_char>,
    def: Option<&'static CStr>,
) -> Exported<muster_sys_var_str> {
    Exported(UnsafeCell::new(muster_sys_var_str {
        head: head(MUSTER_VAR_STR | MUSTER_VAR_READONLY, name, comment),
        value: value.as_ptr(),
        def: match def {
            Some(def) => def.as_ptr().cast_mut(),
            None => ptr::null_mut(),
        },
    }))
}

const fn number(
    name: &'static CStr,
    comment: &'static CStr,
    flags: u32,
    value: &'static AtomicU32,
    (def, min, max): (u32, u32, u32),
) -> Exported<muster_sys_var_uint> {
    Exported(UnsafeCell::new(muster_sys_var_uint {
        head: head(MUSTER_VAR_INT | MUSTER_VAR_UNSIGNED | flags, name, comment),
        value: value.as_ptr(),
        def,
        min,
        max,
        block: 0,
    }))
}

static AGENT_SOCKET_VAR: Exported<muster_sys_var_str> = text(
    c"agent_socket",
    c"Unix socket of the local Muster agent",
    &AGENT_SOCKET,
    Some(AGENT_SOCKET_DEFAULT),
);
static ADVERTISE_HOST_VAR: Exported<muster_sys_var_str> = text(
    c"advertise_host",
    c"Host under which clients reach this server; report_host or the host name where it is not set",
    &ADVERTISE_HOST,
    None,
);
static ADVERTISE_PORT_VAR: Exported<muster_sys_var_uint> = number(
    c"advertise_port",
    c"Port under which clients reach this server; report_port or port where it is not set",
    MUSTER_VAR_READONLY,
    &ADVERTISE_PORT,
    (0, 0, 65_535),
);
static REPORT_INTERVAL_MS_VAR: Exported<muster_sys_var_uint> = number(
    c"report_interval_ms",
    c"Longest silence between two reports to the agent, in milliseconds",
    0,
    &REPORT_INTERVAL_MS,
    (
        REPORT_INTERVAL_MS_DEFAULT,
        REPORT_INTERVAL_MS_MIN,
        REPORT_INTERVAL_MS_MAX,
    ),
);

/// The list that the daemon plugin's declaration points to.
pub static VARIABLES: Exported<[*mut c_void; 5]> = Exported(UnsafeCell::new([
    AGENT_SOCKET_VAR.0.get().cast(),
    ADVERTISE_HOST_VAR.0.get().cast(),
    ADVERTISE_PORT_VAR.0.get().cast(),
    REPORT_INTERVAL_MS_VAR.0.get().cast(),
    ptr::null_mut(),
]));
