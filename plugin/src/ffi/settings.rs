//! The system variables as [`Settings`], with what the server itself knows filled in.

use std::ffi::{CStr, CString, c_char};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use super::symbols;
use super::sysvars::{ADVERTISE_HOST, ADVERTISE_PORT, AGENT_SOCKET, REPORT_INTERVAL_MS};
use crate::settings::{AGENT_SOCKET_DEFAULT, REPORT_INTERVAL_MS_DEFAULT, Settings};

/// Longest text taken from the server, in bytes.
const TEXT_BYTES_MAX: usize = 4096;

/// What cannot change while the daemon plugin is installed. The server frees the values of string variables at
/// UNINSTALL, so they are copied at INSTALL and never read later.
static FIXED: Mutex<Option<Settings>> = Mutex::new(None);

/// Texts that variables point to, each once for the life of the process: the server may still show one of them
/// while the plugin is being uninstalled.
static TEXTS: Mutex<Vec<&'static CStr>> = Mutex::new(Vec::new());

/// Called by the daemon plugin's init: takes the variables, fills in defaults, and lets SHOW VARIABLES show them.
///
/// # Errors
/// A sentence, when a value makes no sense.
pub fn install() -> Result<Settings, String> {
    let socket = variable_text(AGENT_SOCKET.load(Ordering::Acquire))
        .filter(|path| !path.is_empty())
        .unwrap_or_else(|| AGENT_SOCKET_DEFAULT.to_string_lossy().into_owned());
    if !socket.starts_with('/') {
        return Err(format!(
            "muster_agent_socket must be an absolute path, and is '{socket}'"
        ));
    }
    if socket.len() > 107 {
        return Err(format!(
            "muster_agent_socket may have 107 bytes at most, and has {}",
            socket.len()
        ));
    }
    let host = variable_text(ADVERTISE_HOST.load(Ordering::Acquire))
        .filter(|host| !host.is_empty())
        .or_else(report_host)
        .or_else(host_name)
        .ok_or("no host name is known to this server: set muster_advertise_host")?;
    let port = match ADVERTISE_PORT.load(Ordering::Acquire) {
        0 => [c"report_port", c"mysqld_port"]
            .into_iter()
            .filter_map(server_uint)
            .find(|port| *port != 0)
            .unwrap_or(0),
        port => port,
    };
    let port = u16::try_from(port)
        .map_err(|_| format!("muster_advertise_port is {port}, and no port is above 65535"))?;
    AGENT_SOCKET.store(keep(&socket).as_ptr().cast_mut(), Ordering::Release);
    ADVERTISE_HOST.store(keep(&host).as_ptr().cast_mut(), Ordering::Release);
    ADVERTISE_PORT.store(port.into(), Ordering::Release);
    let settings = Settings {
        agent_socket: PathBuf::from(socket),
        advertise_host: host,
        advertise_port: port,
        report_interval_ms: REPORT_INTERVAL_MS.load(Ordering::Relaxed),
    };
    *FIXED.lock().unwrap_or_else(PoisonError::into_inner) = Some(settings.clone());
    Ok(settings)
}

/// The settings now. Before the daemon plugin is installed: the defaults.
pub fn current() -> Settings {
    let fixed = FIXED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut settings = fixed.unwrap_or_else(|| Settings {
        agent_socket: PathBuf::from(AGENT_SOCKET_DEFAULT.to_string_lossy().into_owned()),
        advertise_host: host_name().unwrap_or_default(),
        advertise_port: 0,
        report_interval_ms: REPORT_INTERVAL_MS_DEFAULT,
    });
    settings.report_interval_ms = REPORT_INTERVAL_MS.load(Ordering::Relaxed);
    settings
}

fn variable_text(value: *const c_char) -> Option<String> {
    if value.is_null() {
        return None;
    }
    // SAFETY: the server keeps the value of a string variable alive and ended by NUL while the plugin is installed;
    // the variables read here are read-only at run time, and this runs in the plugin's init.
    let text = unsafe { CStr::from_ptr(value) };
    Some(text.to_string_lossy().into_owned())
}

/// `report_host`: a `char *` of the server.
fn report_host() -> Option<String> {
    let variable = symbols::find(&[c"report_host"])?;
    // SAFETY: the exported variable is a `char *`, set from the configuration before plugins start and never after.
    let value = unsafe { *variable.as_ptr().cast::<*const c_char>() };
    variable_text(value).filter(|host| !host.is_empty())
}

/// `glob_hostname`: an array of at least 60 characters, ended by NUL.
fn host_name() -> Option<String> {
    let array = symbols::find(&[c"glob_hostname"])?;
    // SAFETY: an array of the server that it fills, ended by NUL, before plugins start.
    let text = unsafe { CStr::from_ptr(array.as_ptr().cast()) };
    let text = text.to_string_lossy();
    (!text.is_empty() && text.len() <= TEXT_BYTES_MAX).then(|| text.into_owned())
}

fn server_uint(name: &CStr) -> Option<u32> {
    let variable = symbols::find(&[name])?;
    // SAFETY: `report_port` and `mysqld_port` are exported `unsigned int` variables, set before plugins start.
    Some(unsafe { *variable.as_ptr().cast::<u32>() })
}

fn keep(text: &str) -> &'static CStr {
    let bytes: Vec<u8> = text.bytes().filter(|byte| *byte != 0).collect();
    let text = CString::new(bytes).unwrap_or_default();
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(kept) = texts.iter().find(|kept| **kept == text.as_c_str()) {
        return kept;
    }
    let kept: &'static CStr = Box::leak(text.into_boxed_c_str());
    texts.push(kept);
    kept
}
