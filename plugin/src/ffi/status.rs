//! The status variables. Each is a function that the server calls when it is asked.

use std::cell::UnsafeCell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use super::bindings::{
    MUSTER_SHOW_CHAR, MUSTER_SHOW_FUNC_MARIA, MUSTER_SHOW_FUNC_MYSQL, MUSTER_SHOW_LONGLONG,
    MUSTER_SHOW_SCOPE_GLOBAL, muster_show_var,
};
use super::clock;
use super::guard::guard;
use super::plugins::Exported;
use crate::{BUILD, counters, snapshot};

/// Bytes that both servers give to the function for its answer.
const BUFFER_BYTES: usize = 1024;

enum Answer {
    Number(u64),
    Text(&'static str),
}

type Show = unsafe extern "C" fn(*mut c_void, *mut muster_show_var, *mut c_char) -> c_int;

/// # Safety
/// As the server calls it: `var` is its own, and `buffer` has [`BUFFER_BYTES`].
unsafe fn answer(
    var: *mut muster_show_var,
    buffer: *mut c_char,
    answer: impl FnOnce() -> Answer,
) -> c_int {
    let answer = guard("a status variable", Answer::Text(""), answer);
    // SAFETY: promised by the caller; what is written fits the buffer, and numbers are written unaligned.
    unsafe {
        match answer {
            Answer::Number(number) => {
                buffer.cast::<u64>().write_unaligned(number);
                (*var).type_ = MUSTER_SHOW_LONGLONG as c_int;
            }
            Answer::Text(text) => {
                let length = text.len().min(BUFFER_BYTES - 1);
                ptr::copy_nonoverlapping(text.as_ptr(), buffer.cast(), length);
                buffer.add(length).write(0);
                (*var).type_ = MUSTER_SHOW_CHAR as c_int;
            }
        }
        (*var).value = buffer;
    }
    0
}

macro_rules! shown {
    ($($function:ident => $answer:expr;)*) => {
        $(unsafe extern "C" fn $function(_thd: *mut c_void, var: *mut muster_show_var, buffer: *mut c_char) -> c_int {
            // SAFETY: the server calls this with its own variable and buffer.
            unsafe { answer(var, buffer, || $answer) }
        })*
    };
}

shown! {
    agent_state => Answer::Text(snapshot::current().agent_state.as_str());
    view_id => Answer::Number(snapshot::current().view.view_id);
    view_age_ms => Answer::Number(snapshot::current().age_ms(clock::boot_ms()).unwrap_or(0));
    reports_sent => Answer::Number(counters::REPORTS_SENT.get());
    views_received => Answer::Number(counters::VIEWS_RECEIVED.get());
    reconnects => Answer::Number(counters::RECONNECTS.get());
    build => Answer::Text(BUILD);
}

/// Name and function of each status variable, and the end mark.
const LIST: [Option<(&CStr, Show)>; 8] = [
    Some((c"Muster_agent_state", agent_state)),
    Some((c"Muster_view_id", view_id)),
    Some((c"Muster_view_age_ms", view_age_ms)),
    Some((c"Muster_reports_sent", reports_sent)),
    Some((c"Muster_views_received", views_received)),
    Some((c"Muster_reconnects", reconnects)),
    Some((c"Muster_build", build)),
    None,
];

const fn list(function_type: u32) -> [muster_show_var; LIST.len()] {
    let mut list = [const {
        muster_show_var {
            name: ptr::null(),
            value: ptr::null_mut(),
            type_: 0,
            scope: 0,
        }
    }; LIST.len()];
    let mut at = 0;
    while let Some((name, show)) = LIST[at] {
        list[at] = muster_show_var {
            name: name.as_ptr(),
            value: show as *mut c_char,
            type_: function_type as c_int,
            scope: MUSTER_SHOW_SCOPE_GLOBAL as c_int,
        };
        at += 1;
    }
    list
}

/// For MySQL.
pub static MYSQL: Exported<[muster_show_var; LIST.len()]> =
    Exported(UnsafeCell::new(list(MUSTER_SHOW_FUNC_MYSQL)));
/// For MariaDB.
pub static MARIA: Exported<[muster_show_var; LIST.len()]> =
    Exported(UnsafeCell::new(list(MUSTER_SHOW_FUNC_MARIA)));
