//! SQL inside MariaDB: its `sql_service`, a client library whose connection ends in the same process.
//!
//! Such a session has no account and all privileges. It is no connection in the sense of `max_connections`.

use std::ffi::{CStr, c_char, c_int, c_uint, c_ulong, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::AtomicPtr;

use super::{VERSION_1_0, service, status_value};
use crate::daemon::session::{Rows, Session, SqlError};
use crate::ffi::bindings::{muster_maria_field, muster_maria_sql_service};
use crate::ffi::symbols::function;

/// MariaDB replaces this by the address of its service when it opens the file.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static sql_service: AtomicPtr<c_void> =
    AtomicPtr::new(ptr::without_provenance_mut(VERSION_1_0));

/// Errors after which a session is of no more use: killed, server gone, connection lost, server shuts down.
const GONE: [u32; 7] = [1927, 2006, 2013, 2055, 1053, 1152, 3169];

/// The server's functions, all there.
#[derive(Clone, Copy)]
pub struct Functions {
    thread_init: unsafe extern "C" fn() -> c_char,
    thread_end: unsafe extern "C" fn(),
    init: unsafe extern "C" fn(*mut c_void) -> *mut c_void,
    connect: unsafe extern "C" fn(
        *mut c_void,
        *const c_char,
        *const c_char,
        *const c_char,
        c_ulong,
    ) -> *mut c_void,
    error_number: unsafe extern "C" fn(*mut c_void) -> c_uint,
    error: unsafe extern "C" fn(*mut c_void) -> *const c_char,
    real_query: unsafe extern "C" fn(*mut c_void, *const c_char, c_ulong) -> c_int,
    store_result: unsafe extern "C" fn(*mut c_void) -> *mut c_void,
    free_result: unsafe extern "C" fn(*mut c_void),
    fetch_row: unsafe extern "C" fn(*mut c_void) -> *mut *const c_char,
    close: unsafe extern "C" fn(*mut c_void),
    fetch_lengths: unsafe extern "C" fn(*mut c_void) -> *mut c_ulong,
    num_fields: unsafe extern "C" fn(*mut c_void) -> c_uint,
    fetch_fields: unsafe extern "C" fn(*mut c_void) -> *const muster_maria_field,
}

/// All of them, or a sentence about what is missing.
pub fn functions() -> Result<&'static Functions, String> {
    static FUNCTIONS: OnceLock<Result<Functions, String>> = OnceLock::new();
    let find = || {
        let service: &muster_maria_sql_service =
            service(&sql_service).ok_or_else(|| missing("sql_service"))?;
        let thread_init = function!(unsafe extern "C" fn() -> c_char, c"my_thread_init")?;
        let thread_end = function!(unsafe extern "C" fn(), c"my_thread_end")?;
        let whole = || -> Option<Functions> {
            Some(Functions {
                thread_init,
                thread_end,
                init: service.init?,
                connect: service.real_connect_local?,
                error_number: service.error_number?,
                error: service.error?,
                real_query: service.real_query?,
                store_result: service.store_result?,
                free_result: service.free_result?,
                fetch_row: service.fetch_row?,
                close: service.close?,
                fetch_lengths: service.fetch_lengths?,
                num_fields: service.num_fields?,
                fetch_fields: service.fetch_fields?,
            })
        };
        whole().ok_or_else(|| missing("a function of sql_service"))
    };
    FUNCTIONS.get_or_init(find).as_ref().map_err(Clone::clone)
}

fn missing(name: &str) -> String {
    format!(
        "this server does not offer {name} to plugins, which Muster needs; this build is not supported"
    )
}

/// One session. The thread that opened it must be the one that uses and drops it, so it is not `Send`.
pub struct MariaSession {
    functions: &'static Functions,
    /// Null until it is connected.
    connection: *mut c_void,
    thread_bound: PhantomData<*mut ()>,
}

impl MariaSession {
    /// Makes the thread known to the server and opens a session on it.
    pub fn open() -> Result<Self, SqlError> {
        let functions = functions().map_err(SqlError::NoSession)?;
        // SAFETY: a plain thread of this process, which the server's library prepares for itself; undone in drop.
        if unsafe { (functions.thread_init)() } != 0 {
            return Err(SqlError::NoSession(
                "the server refused a thread of the plugin".to_owned(),
            ));
        }
        let mut session = Self {
            functions,
            connection: ptr::null_mut(),
            thread_bound: PhantomData,
        };
        // SAFETY: init with null allocates a connection; connect takes it, and where it fails it stays ours to close.
        unsafe {
            session.connection = (functions.init)(ptr::null_mut());
            if session.connection.is_null() {
                return Err(SqlError::NoSession("out of memory".to_owned()));
            }
            if (functions.connect)(session.connection, ptr::null(), ptr::null(), ptr::null(), 0)
                .is_null()
            {
                let (code, text) = session.last_error();
                return Err(SqlError::NoSession(format!("{text} (error {code})")));
            }
        }
        session.check_layout()?;
        Ok(session)
    }

    /// The names of a result's columns lie in an array of structs whose size nobody promises: a known result must give
    /// known names before any other is believed.
    fn check_layout(&mut self) -> Result<(), SqlError> {
        let rows = self.query("SELECT 'a' AS muster_one, NULL AS muster_two, 3 AS muster_three")?;
        let expected = Rows {
            columns: ["muster_one", "muster_two", "muster_three"]
                .map(str::to_owned)
                .to_vec(),
            rows: vec![vec![Some("a".to_owned()), None, Some("3".to_owned())]],
        };
        if rows == expected {
            return Ok(());
        }
        Err(SqlError::NoSession(
            "the results of this server's sql_service are laid out in an unknown way".to_owned(),
        ))
    }

    fn last_error(&self) -> (u32, String) {
        // SAFETY: the connection exists; the text is null or ends with NUL, and is copied at once.
        unsafe {
            let code = (self.functions.error_number)(self.connection);
            (
                code,
                super::results::owned((self.functions.error)(self.connection)),
            )
        }
    }

    fn failure(&self) -> SqlError {
        match self.last_error() {
            (code, text) if GONE.contains(&code) => {
                SqlError::Lost(format!("{text} (error {code})"))
            }
            (0, _) => SqlError::Lost("it was killed".to_owned()),
            (code, text) => SqlError::Server { code, text },
        }
    }
}

impl Drop for MariaSession {
    fn drop(&mut self) {
        // SAFETY: this thread opened the session, and nothing uses it after this.
        unsafe {
            if !self.connection.is_null() {
                (self.functions.close)(self.connection);
            }
            (self.functions.thread_end)();
        }
    }
}

impl Session for MariaSession {
    fn query(&mut self, sql: &str) -> Result<Rows, SqlError> {
        let functions = self.functions;
        // SAFETY: the connection is open and this thread's; the statement lives through the call.
        let result = unsafe {
            if (functions.real_query)(self.connection, sql.as_ptr().cast(), sql.len() as c_ulong)
                != 0
            {
                return Err(self.failure());
            }
            (functions.store_result)(self.connection)
        };
        match NonNull::new(result) {
            Some(result) => Ok(StoredResult { functions, result }.rows()),
            None if self.last_error().0 != 0 => Err(self.failure()),
            None => Ok(Rows::default()),
        }
    }

    fn status(&mut self, names: &[&str]) -> Result<Vec<Option<String>>, SqlError> {
        // Each name by itself: the server then computes nothing but that one.
        names
            .iter()
            .map(|name| {
                let rows = self.query(&format!("SHOW GLOBAL STATUS LIKE '{name}'"))?;
                Ok(status_value(&rows, name))
            })
            .collect()
    }
}

/// A result that the client side holds as a whole.
struct StoredResult {
    functions: &'static Functions,
    result: NonNull<c_void>,
}

impl StoredResult {
    fn rows(&self) -> Rows {
        let (functions, result) = (self.functions, self.result.as_ptr());
        let mut rows = Rows::default();
        // SAFETY: the result exists until it is dropped. `fetch_fields` gives as many structs as `num_fields` says, each
        // with a name that ends with NUL or is null; the layout was checked when the session was opened. A row has as
        // many values, each null or of the length that `fetch_lengths` gives, and lives until the next is fetched.
        unsafe {
            let width = (functions.num_fields)(result) as usize;
            let fields = (functions.fetch_fields)(result);
            if fields.is_null() || width == 0 {
                return rows;
            }
            for field in std::slice::from_raw_parts(fields, width) {
                let name = if field.name.is_null() {
                    c""
                } else {
                    CStr::from_ptr(field.name)
                };
                rows.columns.push(name.to_string_lossy().into_owned());
            }
            loop {
                let row = (functions.fetch_row)(result);
                if row.is_null() {
                    return rows;
                }
                let lengths = (functions.fetch_lengths)(result);
                if lengths.is_null() {
                    return rows;
                }
                let values = std::slice::from_raw_parts(row, width);
                let lengths = std::slice::from_raw_parts(lengths, width);
                let text = |(value, length): (&*const c_char, &c_ulong)| {
                    (!value.is_null()).then(|| {
                        let bytes =
                            std::slice::from_raw_parts(value.cast::<u8>(), *length as usize);
                        String::from_utf8_lossy(bytes).into_owned()
                    })
                };
                rows.rows
                    .push(values.iter().zip(lengths).map(text).collect());
            }
        }
    }
}

impl Drop for StoredResult {
    fn drop(&mut self) {
        // SAFETY: the result is freed once and used no more.
        unsafe { (self.functions.free_result)(self.result.as_ptr()) };
    }
}
