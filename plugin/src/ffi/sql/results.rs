//! What MySQL calls while it sends a result to a session of ours.

use std::ffi::{CStr, c_char, c_int, c_longlong, c_uint, c_ulong, c_ulonglong, c_void};

use crate::daemon::session::Rows;
use crate::ffi::bindings::{muster_mysql_result_callbacks, muster_mysql_send_field};
use crate::ffi::guard::guard;

/// What the callbacks gather of one statement.
#[derive(Default)]
pub struct Collected {
    /// The result so far.
    pub rows: Rows,
    /// The error that ended the statement.
    pub error: Option<(u32, String)>,
    row: Vec<Option<String>>,
}

/// A copy of a text of the server.
///
/// # Safety
/// `text` is null or ends with NUL.
pub unsafe fn owned(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: promised by the caller.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

/// Lends what is being collected to a callback; 1, which aborts the statement, if that panics.
fn with(context: *mut c_void, body: impl FnOnce(&mut Collected)) -> c_int {
    guard("a result of a statement", 1, || {
        // SAFETY: `context` is the address that the caller of `run_command` gave, whose frame waits in that call;
        // callbacks come one after the other on its thread.
        body(unsafe { &mut *context.cast::<Collected>() });
        0
    })
}

fn push(context: *mut c_void, value: impl FnOnce() -> Option<String>) -> c_int {
    with(context, |collected| collected.row.push(value()))
}

unsafe extern "C" fn start_result(
    context: *mut c_void,
    columns: c_uint,
    _flags: c_uint,
    _set: *const c_void,
) -> c_int {
    with(context, |collected| {
        collected.rows = Rows {
            columns: Vec::with_capacity(columns.min(1_000) as usize),
            rows: Vec::new(),
        };
    })
}

unsafe extern "C" fn field(
    context: *mut c_void,
    field: *mut muster_mysql_send_field,
    _set: *const c_void,
) -> c_int {
    with(context, |collected| {
        // SAFETY: the server describes the column in a struct that lives through the call; the name ends with NUL.
        let name = unsafe { owned((*field).column) };
        collected.rows.columns.push(name);
    })
}

unsafe extern "C" fn end_result(
    _context: *mut c_void,
    _status: c_uint,
    _warnings: c_uint,
) -> c_int {
    0
}

unsafe extern "C" fn start_row(context: *mut c_void) -> c_int {
    with(context, |collected| collected.row.clear())
}

unsafe extern "C" fn end_row(context: *mut c_void) -> c_int {
    with(context, |collected| {
        let row = std::mem::take(&mut collected.row);
        collected.rows.rows.push(row);
    })
}

unsafe extern "C" fn abort_row(context: *mut c_void) {
    with(context, |collected| collected.row.clear());
}

unsafe extern "C" fn capabilities(_context: *mut c_void) -> c_ulong {
    0
}

unsafe extern "C" fn null(context: *mut c_void) -> c_int {
    push(context, || None)
}

unsafe extern "C" fn integer(context: *mut c_void, value: c_longlong) -> c_int {
    push(context, || Some(value.to_string()))
}

unsafe extern "C" fn longlong(
    context: *mut c_void,
    value: c_longlong,
    is_unsigned: c_uint,
) -> c_int {
    push(context, || {
        Some(if is_unsigned == 0 {
            value.to_string()
        } else {
            value.cast_unsigned().to_string()
        })
    })
}

unsafe extern "C" fn double(context: *mut c_void, value: f64, _decimals: c_uint) -> c_int {
    push(context, || Some(value.to_string()))
}

/// Decimals and points in time come as the server's own structs, whose layout nobody promises. None of our statements
/// has such a column; one that had would see NULL.
unsafe extern "C" fn unread(context: *mut c_void, _value: *const c_void) -> c_int {
    push(context, || None)
}

unsafe extern "C" fn unread_time(
    context: *mut c_void,
    _value: *const c_void,
    _decimals: c_uint,
) -> c_int {
    push(context, || None)
}

unsafe extern "C" fn string(
    context: *mut c_void,
    value: *const c_char,
    length: c_ulong,
    _set: *const c_void,
) -> c_int {
    push(context, || {
        if value.is_null() {
            return Some(String::new());
        }
        let length = usize::try_from(length).unwrap_or(0);
        // SAFETY: the server gives `length` bytes that live through the call.
        let bytes = unsafe { std::slice::from_raw_parts(value.cast::<u8>(), length) };
        Some(String::from_utf8_lossy(bytes).into_owned())
    })
}

unsafe extern "C" fn ok(
    _context: *mut c_void,
    _status: c_uint,
    _warnings: c_uint,
    _affected: c_ulonglong,
    _last_insert_id: c_ulonglong,
    _message: *const c_char,
) {
}

unsafe extern "C" fn error(
    context: *mut c_void,
    code: c_uint,
    text: *const c_char,
    _state: *const c_char,
) {
    with(context, |collected| {
        // SAFETY: the text is null or ends with NUL.
        collected.error = Some((code, unsafe { owned(text) }));
    });
}

unsafe extern "C" fn shutdown(_context: *mut c_void, _flag: c_int) {}

unsafe extern "C" fn alive(_context: *mut c_void) -> bool {
    true
}

/// The callbacks; their context is a [`Collected`].
pub static CALLBACKS: muster_mysql_result_callbacks = muster_mysql_result_callbacks {
    start_result_metadata: Some(start_result),
    field_metadata: Some(field),
    end_result_metadata: Some(end_result),
    start_row: Some(start_row),
    end_row: Some(end_row),
    abort_row: Some(abort_row),
    get_client_capabilities: Some(capabilities),
    get_null: Some(null),
    get_integer: Some(integer),
    get_longlong: Some(longlong),
    get_decimal: Some(unread),
    get_double: Some(double),
    get_date: Some(unread),
    get_time: Some(unread_time),
    get_datetime: Some(unread_time),
    get_string: Some(string),
    handle_ok: Some(ok),
    handle_error: Some(error),
    shutdown: Some(shutdown),
    connection_alive: Some(alive),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callbacks_gather_a_result_as_text() {
        let mut collected = Collected::default();
        let context = (&raw mut collected).cast();
        let name = c"n";
        // SAFETY: plain data for which zeroes are valid.
        let mut column: muster_mysql_send_field = unsafe { std::mem::zeroed() };
        column.column = name.as_ptr();
        // SAFETY: the context is a `Collected` that lives through the calls, and the texts are as long as is said.
        unsafe {
            start_result(context, 4, 0, std::ptr::null());
            field(context, &mut column, std::ptr::null());
            start_row(context);
            longlong(context, -1, 1);
            integer(context, -5);
            null(context);
            string(context, c"a\xffb".as_ptr(), 3, std::ptr::null());
            end_row(context);
            start_row(context);
            integer(context, 1);
            abort_row(context);
            error(context, 1205, c"too long".as_ptr(), c"HY000".as_ptr());
        }
        assert_eq!(collected.rows.columns, ["n"]);
        let texts =
            ["18446744073709551615", "-5", "", "a\u{fffd}b"].map(|text| Some(text.to_owned()));
        assert_eq!(
            collected.rows.rows,
            [[&texts[..2], &[None], &texts[3..]].concat()]
        );
        assert_eq!(collected.error, Some((1205, "too long".to_owned())));
    }
}
