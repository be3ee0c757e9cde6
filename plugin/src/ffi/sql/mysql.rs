//! SQL inside MySQL: the session and command services.
//!
//! A session is bound to a thread that was made known to the server with the daemon plugin's own record. It runs as
//! `mysql.session`@`localhost`, the locked account that every server has for its plugins, with the checks of privileges
//! skipped as in the server's own background threads. All statements are constants of this plugin, and only read.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::AtomicPtr;

use super::components::Components;
use super::results::{CALLBACKS, Collected, owned};
use super::{VERSION_1_0, VERSION_1_1, service};
use crate::daemon::session::{Rows, Session, SqlError};
use crate::ffi::bindings::{
    MUSTER_MYSQL_COM_QUERY, MUSTER_MYSQL_TEXT_RESULT, muster_mysql_com_query,
    muster_mysql_command_service, muster_mysql_result_callbacks, muster_mysql_security_service,
    muster_mysql_session_info_service, muster_mysql_session_service,
};
use crate::ffi::guard::guard;
use crate::ffi::symbols::{self, function};

/// MySQL replaces each of these by the address of its service when it opens the file.
macro_rules! slots {
    ($($name:ident = $version:expr;)+) => {
        $(
            #[doc = concat!("Where MySQL puts its `", stringify!($name), "`.")]
            #[unsafe(no_mangle)]
            #[allow(non_upper_case_globals)]
            pub static $name: AtomicPtr<c_void> = AtomicPtr::new(ptr::without_provenance_mut($version));
        )+
    };
}

slots! {
    srv_session_service = VERSION_1_0;
    srv_session_info_service = VERSION_1_0;
    command_service = VERSION_1_0;
    security_context_service = VERSION_1_1;
}

/// `ER_SESSION_WAS_KILLED`, and what else says that a session is of no more use.
const GONE: [u32; 4] = [3169, 1053, 1317, 1927];
/// The account that statements run as.
const USER: &CStr = c"mysql.session";
/// See [`USER`].
const HOST: &CStr = c"localhost";

/// The server's functions, all there.
#[derive(Clone, Copy)]
pub struct Services {
    init_thread: unsafe extern "C" fn(*const c_void) -> c_int,
    deinit_thread: unsafe extern "C" fn(),
    open: unsafe extern "C" fn(Option<OpenError>, *mut c_void) -> *mut c_void,
    detach: unsafe extern "C" fn(*mut c_void) -> c_int,
    close: unsafe extern "C" fn(*mut c_void) -> c_int,
    server_is_available: unsafe extern "C" fn() -> c_int,
    get_thd: unsafe extern "C" fn(*mut c_void) -> *mut c_void,
    thd_get: unsafe extern "C" fn(*mut c_void, *mut *mut c_void) -> i8,
    lookup: unsafe extern "C" fn(
        *mut c_void,
        *const c_char,
        *const c_char,
        *const c_char,
        *const c_char,
    ) -> i8,
    run_command: unsafe extern "C" fn(
        *mut c_void,
        c_int,
        *const muster_mysql_com_query,
        *const c_void,
        *const muster_mysql_result_callbacks,
        c_int,
        *mut c_void,
    ) -> c_int,
    charset: NonNull<c_void>,
    /// Not in every release.
    skip_grants: Option<unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char)>,
}

// SAFETY: functions and a constant object of the server, whose image stays for the life of the process.
unsafe impl Send for Services {}
// SAFETY: as above; nothing is written.
unsafe impl Sync for Services {}

type OpenError = unsafe extern "C" fn(*mut c_void, c_uint, *const c_char);

impl Services {
    /// All of them, or a sentence about the first that is missing.
    pub fn get() -> Result<&'static Self, String> {
        static SERVICES: OnceLock<Result<Services, String>> = OnceLock::new();
        SERVICES
            .get_or_init(Self::find)
            .as_ref()
            .map_err(Clone::clone)
    }

    fn find() -> Result<Self, String> {
        fn missing(name: &str) -> String {
            format!(
                "this server does not offer {name} to plugins, which Muster needs; this build is not supported"
            )
        }
        let session: &muster_mysql_session_service =
            service(&srv_session_service).ok_or_else(|| missing("srv_session_service"))?;
        let info: &muster_mysql_session_info_service = service(&srv_session_info_service)
            .ok_or_else(|| missing("srv_session_info_service"))?;
        let command: &muster_mysql_command_service =
            service(&command_service).ok_or_else(|| missing("command_service"))?;
        let security: &muster_mysql_security_service = service(&security_context_service)
            .ok_or_else(|| missing("security_context_service"))?;
        let whole = || -> Option<Self> {
            type SkipGrants = unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char);
            Some(Self {
                skip_grants: function!(SkipGrants, c"_ZN16Security_context11skip_grantsEPKcS1_")
                    .ok(),
                init_thread: session.init_thread?,
                deinit_thread: session.deinit_thread?,
                open: session.open?,
                detach: session.detach?,
                close: session.close?,
                server_is_available: session.server_is_available?,
                get_thd: info.get_thd?,
                thd_get: security.thd_get?,
                lookup: security.lookup?,
                run_command: command.run_command?,
                charset: symbols::find(&[
                    c"my_charset_utf8mb4_0900_ai_ci",
                    c"my_charset_utf8mb4_general_ci",
                ])?,
            })
        };
        whole().ok_or_else(|| missing("a function of its session services"))
    }

    /// The server is neither starting nor stopping.
    pub fn server_is_available(&self) -> bool {
        // SAFETY: it reads one variable of the server and may be called by any thread.
        unsafe { (self.server_is_available)() != 0 }
    }
}

/// One session. The thread that opened it must be the one that uses and drops it, so it is not `Send`.
pub struct MysqlSession {
    services: &'static Services,
    session: NonNull<c_void>,
    components: Components,
    thread_bound: PhantomData<*mut ()>,
}

impl MysqlSession {
    /// Makes the thread known to the server and opens a session on it. `plugin` is the server's record of the daemon
    /// plugin, which outlives its threads because deinit joins them.
    pub fn open(plugin: *const c_void) -> Result<Self, SqlError> {
        let services = Services::get().map_err(SqlError::NoSession)?;
        // SAFETY: `plugin` is what the server gave to the plugin's init; this thread has no session yet.
        if unsafe { (services.init_thread)(plugin) } != 0 {
            return Err(SqlError::NoSession(
                "the server refused a thread of the plugin".to_owned(),
            ));
        }
        let mut refused: Option<(u32, String)> = None;
        // SAFETY: the thread is known to the server now. The callback is only called before this returns, with the
        // address of `refused`, which lives as long.
        let session = unsafe { (services.open)(Some(open_error), (&raw mut refused).cast()) };
        let Some(session) = NonNull::new(session) else {
            // SAFETY: undoes init_thread; no session is open.
            unsafe { (services.deinit_thread)() };
            let (code, text) =
                refused.unwrap_or_else(|| (0, "the server gives no reason".to_owned()));
            return Err(SqlError::NoSession(format!("{text} (error {code})")));
        };
        // From here on dropping it closes it.
        let open = Self {
            services,
            session,
            components: Components::new(),
            thread_bound: PhantomData,
        };
        open.become_session_user()?;
        Ok(open)
    }

    fn become_session_user(&self) -> Result<(), SqlError> {
        let services = self.services;
        // SAFETY: the session is open; the texts end with NUL and are only read; `context` is filled by the call and
        // belongs to the session.
        let failed = unsafe {
            let thd = (services.get_thd)(self.session.as_ptr());
            let mut context = ptr::null_mut();
            let failed = thd.is_null()
                || (services.thd_get)(thd, &mut context) != 0
                || context.is_null()
                || (services.lookup)(
                    context,
                    USER.as_ptr(),
                    HOST.as_ptr(),
                    c"127.0.0.1".as_ptr(),
                    c"".as_ptr(),
                ) != 0;
            // What the server's own background threads do. The account may not ask for the replicas.
            if let Some(skip_grants) = services.skip_grants.filter(|_| !failed) {
                skip_grants(context, USER.as_ptr(), HOST.as_ptr());
            }
            failed
        };
        if failed {
            return Err(SqlError::NoSession(
                "the server has no account 'mysql.session'@'localhost', which it creates for its plugins".to_owned(),
            ));
        }
        Ok(())
    }
}

impl Drop for MysqlSession {
    fn drop(&mut self) {
        // SAFETY: this thread opened the session, and nothing uses it after this. Detach may fail where the session is
        // not attached; close frees it in any case.
        unsafe {
            (self.services.detach)(self.session.as_ptr());
            (self.services.close)(self.session.as_ptr());
            (self.services.deinit_thread)();
        }
    }
}

impl Session for MysqlSession {
    fn query(&mut self, sql: &str) -> Result<Rows, SqlError> {
        let text = CString::new(sql).map_err(|_| refused("a statement with a NUL"))?;
        let data = muster_mysql_com_query {
            query: text.as_ptr(),
            length: c_uint::try_from(sql.len()).map_err(|_| refused("a statement beyond 4 GB"))?,
            parameters: ptr::null_mut(),
            parameter_count: 0,
            has_new_types: 0,
            room: [0; 128],
        };
        let mut result = Collected::default();
        // SAFETY: the session belongs to this thread and is open. `data`, the callbacks and `result` live through the
        // call, and the server calls the callbacks only during it, on this thread, with the context given here.
        let failed = unsafe {
            (self.services.run_command)(
                self.session.as_ptr(),
                MUSTER_MYSQL_COM_QUERY as c_int,
                &data,
                self.services.charset.as_ptr(),
                &CALLBACKS,
                MUSTER_MYSQL_TEXT_RESULT as c_int,
                (&raw mut result).cast(),
            ) != 0
        };
        match result.error {
            Some((code, text)) if GONE.contains(&code) => {
                Err(SqlError::Lost(format!("{text} (error {code})")))
            }
            Some((code, text)) => Err(SqlError::Server { code, text }),
            // A session killed by hand refuses everything without a word.
            None if failed => Err(SqlError::Lost("it was killed".to_owned())),
            None => Ok(result.rows),
        }
    }

    fn variable(&mut self, name: &str) -> Result<Option<String>, SqlError> {
        if let Some(value) = self.components.variable(name) {
            return Ok(Some(value));
        }
        let rows = self.query(&format!("SELECT @@global.{name} AS value"))?;
        Ok(rows.first("value").map(str::to_owned))
    }

    fn status(&mut self, names: &[&str]) -> Result<Vec<Option<String>>, SqlError> {
        let cheap: Option<Vec<String>> = names
            .iter()
            .map(|name| self.components.status(name))
            .collect();
        if let Some(values) = cheap {
            return Ok(values.into_iter().map(Some).collect());
        }
        let rows = self.query(&format!(
            "SELECT VARIABLE_NAME, VARIABLE_VALUE FROM performance_schema.global_status WHERE VARIABLE_NAME IN ('{}')",
            names.join("', '")
        ))?;
        Ok(names
            .iter()
            .map(|name| super::status_value(&rows, name))
            .collect())
    }
}

fn refused(what: &str) -> SqlError {
    SqlError::Server {
        code: 0,
        text: format!("{what} is not run"),
    }
}

unsafe extern "C" fn open_error(context: *mut c_void, code: c_uint, text: *const c_char) {
    guard("an error of a session", (), || {
        // SAFETY: `context` is the one that `open` gave, and its owner waits in the call that brings us here; the text
        // is null or ends with NUL.
        unsafe { *context.cast::<Option<(u32, String)>>() = Some((code, owned(text))) };
    });
}
