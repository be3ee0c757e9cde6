//! Lines for the server's error log.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use muster_link::report::Flavor;

use super::bindings::{
    MUSTER_MYSQL_LOG_ERROR, MUSTER_MYSQL_LOG_NOTE, MUSTER_MYSQL_LOG_WARNING,
    muster_mysql_log_service, muster_mysql_plugin_int,
};
use super::symbols::function;
use crate::server::Level;

/// Version of a service that a plugin asks MySQL for; the server puts the service's address in its place.
const SERVICE_VERSION: usize = 0x0100;

/// MySQL replaces this by the address of its logging service when it opens the file.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static my_plugin_log_service: AtomicPtr<c_void> =
    AtomicPtr::new(ptr::without_provenance_mut(SERVICE_VERSION));

type Print = unsafe extern "C" fn(*const c_char, ...);

/// Writes `text` as one line.
pub fn line(level: Level, text: &str) {
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let Ok(text) = CString::new(clean) else {
        return;
    };
    let written = match super::loader::server().map(|server| server.flavor) {
        Ok(Flavor::Mysql) => mysql(level, &text),
        Ok(Flavor::Mariadb) => maria(level, &text),
        Err(_) => false,
    };
    if !written {
        // The server's log goes where stderr goes, or stderr is all there is.
        eprintln!("muster: {}", text.to_string_lossy());
    }
}

fn mysql(level: Level, text: &CStr) -> bool {
    let service = my_plugin_log_service.load(Ordering::Acquire);
    if service.is_null() || service.addr() == SERVICE_VERSION {
        return false;
    }
    let level = match level {
        Level::Error => MUSTER_MYSQL_LOG_ERROR,
        Level::Warning => MUSTER_MYSQL_LOG_WARNING,
        Level::Note => MUSTER_MYSQL_LOG_NOTE,
    };
    // The service takes the name from the first two words of the plugin's record and reads nothing else. Ours comes
    // with room behind them, and outlives every uninstall.
    let name = c"muster";
    let record: [usize; 64] = {
        let mut words = [0; 64];
        words[0] = name.as_ptr() as usize;
        words[1] = name.count_bytes();
        words
    };
    const { assert!(size_of::<[usize; 64]>() >= size_of::<muster_mysql_plugin_int>()) };
    let mut handle: *mut c_void = (&raw const record).cast_mut().cast();
    let Ok(level) = c_int::try_from(level) else {
        return false;
    };
    // SAFETY: the server has put the address of its service there (it differs from the version that we asked with),
    // whose first member is this function. `%s` belongs to `text`, which ends with NUL; `handle` and what it
    // points to live through the call, and the service does not keep them.
    unsafe {
        if let Some(message) = (*service.cast::<muster_mysql_log_service>()).message {
            message(&mut handle, level, c"%s".as_ptr(), text.as_ptr());
            return true;
        }
    }
    false
}

fn maria(level: Level, text: &CStr) -> bool {
    static PRINT: OnceLock<Result<[Print; 3], String>> = OnceLock::new();
    let print = PRINT.get_or_init(|| {
        Ok([
            function!(Print, c"_Z15sql_print_errorPKcz", c"sql_print_error")?,
            function!(Print, c"_Z17sql_print_warningPKcz", c"sql_print_warning")?,
            function!(
                Print,
                c"_Z21sql_print_informationPKcz",
                c"sql_print_information"
            )?,
        ])
    });
    let Ok([error, warning, note]) = print else {
        return false;
    };
    let print = match level {
        Level::Error => error,
        Level::Warning => warning,
        Level::Note => note,
    };
    // SAFETY: a printf-like function of the server; `%s` belongs to `text`, which ends with NUL.
    unsafe { print(c"Muster: %s".as_ptr(), text.as_ptr()) };
    true
}
