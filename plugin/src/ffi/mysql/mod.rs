//! MySQL 8.0, 8.4 and 9.x.

mod grace;

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::hash::{DefaultHasher, Hasher};
use std::mem::offset_of;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::bindings::{
    MUSTER_MYSQL_MAYBE_NULL, MUSTER_MYSQL_TYPE_DATETIME, MUSTER_MYSQL_TYPE_DOUBLE,
    MUSTER_MYSQL_TYPE_LONG, MUSTER_MYSQL_TYPE_LONGLONG, MUSTER_MYSQL_TYPE_STRING,
    MUSTER_MYSQL_UNSIGNED, muster_mysql_field_info, muster_mysql_plugin, muster_mysql_plugin_int,
    muster_mysql_schema_table, muster_mysql_timeval,
};
use super::fields::{Nulls, Rows, Stores};
use super::layout::{Finder, Preset, check_description};
use super::loader::INFO;
use super::memory;
use super::plugins::{Fill, Slot, fail};
use super::symbols::function;
use crate::statement::StatementKey;
use crate::tables::{self, AnyTable, ColumnSpec, Kind, Source, Stop};

/// `ER_UNKNOWN_ERROR`: the number for what has none of its own.
const UNKNOWN_ERROR: c_uint = 1105;
/// `Sql_condition::SL_WARNING`.
const SEVERITY_WARNING: c_int = 1;
/// A statement that began less than this ago began by a clock that runs.
const CLOCK_RUNS_US: i64 = 10_000_000;
/// Bytes of a statement's text that tell it from another.
const TEXT_BYTES: usize = 512;

/// What of the server is called.
pub struct Functions {
    stores: Stores,
    finder: Finder,
    set_null: unsafe extern "C" fn(*mut c_void, isize),
    set_notnull: unsafe extern "C" fn(*mut c_void, isize),
    error: unsafe extern "C" fn(c_uint, *const c_char, c_int, ...),
    push_warning: unsafe extern "C" fn(*mut c_void, c_int, c_uint, *const c_char),
    malloc: unsafe extern "C" fn(c_uint, usize, c_int) -> *mut c_void,
    free: unsafe extern "C" fn(*mut c_void),
    connection_id: unsafe extern "C" fn(*const c_void) -> c_uint,
    started: unsafe extern "C" fn(*mut c_void, c_uint) -> muster_mysql_timeval,
    text: unsafe extern "C" fn(*mut c_void, *mut c_char, usize) -> usize,
}

/// All of them, looked up once.
pub fn functions() -> Result<&'static Functions, String> {
    static FUNCTIONS: OnceLock<Result<Functions, String>> = OnceLock::new();
    FUNCTIONS
        .get_or_init(look_up)
        .as_ref()
        .map_err(String::clone)
}

fn look_up() -> Result<Functions, String> {
    Ok(Functions {
        // SAFETY: called after the loader recognised a MySQL server.
        stores: unsafe { Stores::new(None)? },
        finder: Finder::new()?,
        set_null: function!(
            unsafe extern "C" fn(*mut c_void, isize),
            c"_ZN5Field8set_nullEl"
        )?,
        set_notnull: function!(
            unsafe extern "C" fn(*mut c_void, isize),
            c"_ZN5Field11set_notnullEl"
        )?,
        error: function!(
            unsafe extern "C" fn(c_uint, *const c_char, c_int, ...),
            c"_Z15my_printf_errorjPKciz"
        )?,
        push_warning: function!(
            unsafe extern "C" fn(*mut c_void, c_int, c_uint, *const c_char),
            c"_Z12push_warningP3THDN13Sql_condition19enum_severity_levelEjPKc"
        )?,
        malloc: function!(
            unsafe extern "C" fn(c_uint, usize, c_int) -> *mut c_void,
            c"_Z9my_mallocjmi"
        )?,
        free: function!(unsafe extern "C" fn(*mut c_void), c"_Z7my_freePv")?,
        connection_id: function!(
            unsafe extern "C" fn(*const c_void) -> c_uint,
            c"_Z13thd_thread_idPK3THD"
        )?,
        started: function!(
            unsafe extern "C" fn(*mut c_void, c_uint) -> muster_mysql_timeval,
            c"_ZN3THD25query_start_timeval_truncEj"
        )?,
        text: function!(
            unsafe extern "C" fn(*mut c_void, *mut c_char, usize) -> usize,
            c"_Z14thd_query_safeP3THDPcm",
            c"thd_query_safe"
        )?,
    })
}

/// Column lists that the server reads from, one per table, made once and never freed: a statement may still read one
/// while its table is uninstalled.
static FIELD_INFOS: [AtomicPtr<muster_mysql_field_info>; tables::HEADS.len()] =
    [const { AtomicPtr::new(ptr::null_mut()) }; tables::HEADS.len()];

fn field_info(column: &ColumnSpec) -> muster_mysql_field_info {
    let (field_type, field_length, unsigned) = match column.kind {
        Kind::Text(chars) => (MUSTER_MYSQL_TYPE_STRING, chars, 0),
        Kind::LongText => (MUSTER_MYSQL_TYPE_STRING, 65_535, 0),
        Kind::U64 => (MUSTER_MYSQL_TYPE_LONGLONG, 20, MUSTER_MYSQL_UNSIGNED),
        Kind::U32 => (MUSTER_MYSQL_TYPE_LONG, 10, MUSTER_MYSQL_UNSIGNED),
        Kind::F64 => (MUSTER_MYSQL_TYPE_DOUBLE, 22, 0),
        // The length is the number of digits after the second.
        Kind::DateTime => (MUSTER_MYSQL_TYPE_DATETIME, 6, 0),
    };
    muster_mysql_field_info {
        field_name: column.name.as_ptr(),
        field_length,
        field_type: field_type.cast_signed(),
        value: 0,
        field_flags: unsigned
            | if column.nullable {
                MUSTER_MYSQL_MAYBE_NULL
            } else {
                0
            },
        old_name: c"".as_ptr(),
        open_method: 0,
    }
}

/// Tells the server the columns and the fill function of a table.
///
/// # Safety
/// `schema_table` is what the server gives to init of an INFORMATION_SCHEMA plugin.
pub unsafe fn describe(
    at: usize,
    table: &dyn AnyTable,
    schema_table: *mut c_void,
    fill: Fill,
) -> Result<(), String> {
    const WORDS: usize = size_of::<muster_mysql_schema_table>() / size_of::<usize>();
    // SAFETY: `schema_table` is the server's: promised by the caller.
    unsafe {
        check_description(
            schema_table,
            table.name(),
            WORDS,
            (
                offset_of!(muster_mysql_schema_table, old_format),
                Preset::Function,
            ),
        )?;
    }
    let mut infos = FIELD_INFOS[at].load(Ordering::Acquire);
    if infos.is_null() {
        let mut list: Vec<_> = table.columns().iter().map(field_info).collect();
        // SAFETY: an all-zero entry is the end mark of the list.
        list.push(unsafe { std::mem::zeroed() });
        infos = Box::leak(list.into_boxed_slice()).as_mut_ptr();
        FIELD_INFOS[at].store(infos, Ordering::Release);
    }
    let schema_table = schema_table.cast::<muster_mysql_schema_table>();
    // SAFETY: the description is the server's, was just compared with the declared layout, and is given to us to fill in.
    unsafe {
        (*schema_table).fields_info = infos;
        (*schema_table).fill_table = Some(fill);
    }
    Ok(())
}

/// Longest wait for threads that may be about to read the description.
const GRACE: Duration = Duration::from_secs(4);

/// Called before an uninstall. A statement that has found the table takes no lock on the plugin, and the server is
/// about to free the table's description under it. So the server is given a copy to free, and the real description is
/// left to such statements for ever: 48 bytes for each uninstall. Nobody may find the copy: see [`grace`].
///
/// # Safety
/// `plugin` is what the server gives to check_uninstall.
pub unsafe fn check_uninstall(slot: &Slot, name: &CStr, plugin: *mut c_void) -> Result<(), String> {
    const PLUGIN_INT_WORDS: usize = size_of::<muster_mysql_plugin_int>() / size_of::<usize>();
    const BYTES: usize = size_of::<muster_mysql_schema_table>();
    /// `MY_ZEROFILL`.
    const ZEROFILL: c_int = 32;
    let doubt = "the server's record of it is not laid out as Muster knows it; restart the server to remove it";
    let described = slot.schema_table.load(Ordering::Acquire);
    let record = memory::words(plugin as usize, PLUGIN_INT_WORDS).ok_or(doubt)?;
    let declaration = memory::words(
        record[2],
        size_of::<muster_mysql_plugin>() / size_of::<usize>(),
    )
    .ok_or(doubt)?;
    let plugin = plugin.cast::<muster_mysql_plugin_int>();
    if described.is_null()
        || record[1] != name.count_bytes()
        || declaration[1] != &raw const INFO as usize
        || declaration[2] != record[0]
        || record[5] != described as usize
    {
        return Err(doubt.into());
    }
    let functions = functions()?;
    // SAFETY: the server's own allocator, since the server will free it.
    let copy = unsafe { (functions.malloc)(0, BYTES, ZEROFILL) };
    if copy.is_null() {
        return Err("the server has no memory left".into());
    }
    slot.closed.store(true, Ordering::Release);
    if let Err(why) = grace::wait(GRACE) {
        slot.closed.store(false, Ordering::Release);
        // SAFETY: allocated above by the counterpart of this function, and given to nobody.
        unsafe { (functions.free)(copy) };
        return Err(why);
    }
    // SAFETY: `described` has that many bytes, and so has `copy`. `data` was just seen to be `described`; the server
    // reads it next in the same thread.
    unsafe {
        ptr::copy_nonoverlapping(described.cast::<u8>(), copy.cast::<u8>(), BYTES);
        (*plugin).data = copy;
    }
    Ok(())
}

/// Called at the end of a plugin, after the server has taken note of the description that it will free. Should anybody
/// still look at the plugin, they find the real one.
///
/// # Safety
/// `plugin` is what the server gives to deinit.
pub unsafe fn at_deinit(slot: &Slot, plugin: *mut c_void) {
    const PLUGIN_INT_WORDS: usize = size_of::<muster_mysql_plugin_int>() / size_of::<usize>();
    let described = slot.schema_table.swap(ptr::null_mut(), Ordering::AcqRel);
    // Before 8.0 deinit was given nothing, and a release may change what it gives.
    let Some(record) = memory::words(plugin as usize, PLUGIN_INT_WORDS) else {
        return;
    };
    let ours =
        memory::words(record[2], 2).is_some_and(|words| words[1] == &raw const INFO as usize);
    if ours && !described.is_null() {
        // SAFETY: the record holds our declaration where a record of ours does; `described` is never freed once
        // `check_uninstall` has passed, and the server reads `data` of an ended plugin no more.
        unsafe { (*plugin.cast::<muster_mysql_plugin_int>()).data = described };
    }
}

/// Which statement a fill belongs to.
///
/// # Safety
/// `thd` is the running session.
pub unsafe fn statement_key(
    thd: *mut c_void,
    mention: *mut c_void,
) -> Result<StatementKey, String> {
    let functions = functions()?;
    let mut text = [0_u8; TEXT_BYTES];
    // SAFETY: functions of the server for the running session; the text is cut to the buffer.
    let (connection_id, started, length) = unsafe {
        (
            (functions.connection_id)(thd),
            (functions.started)(thd, 6),
            (functions.text)(thd, text.as_mut_ptr().cast(), TEXT_BYTES),
        )
    };
    if !(0..1_000_000).contains(&started.microseconds) {
        return Err("Muster: the server's start time of the statement makes no sense".into());
    }
    let mut hasher = DefaultHasher::new();
    hasher.write(&text[..length.min(TEXT_BYTES)]);
    let started_us = started
        .seconds
        .wrapping_mul(1_000_000)
        .wrapping_add(started.microseconds);
    // A client may freeze its clock (`SET timestamp`). Whether it did cannot be asked; that it did not shows when the
    // statement began a moment ago.
    let now_us = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as i64);
    let exact = (0..CLOCK_RUNS_US).contains(&now_us.saturating_sub(started_us));
    Ok(StatementKey {
        session: thd as usize,
        connection_id: connection_id.into(),
        number: started_us.cast_unsigned(),
        text_hash: hasher.finish(),
        mention: Some(mention as usize),
        exact,
        stack: (&raw const text).addr(),
    })
}

impl Nulls for &Functions {
    unsafe fn set(&self, _at: usize, field: *mut c_void, null: bool) {
        // SAFETY: methods of the server for a nullable column: promised by the caller.
        unsafe {
            if null {
                (self.set_null)(field, 0)
            } else {
                (self.set_notnull)(field, 0)
            }
        }
    }
}

/// Fills the temporary table behind a mention.
///
/// # Safety
/// As the server calls a fill function.
pub unsafe fn fill(
    table: &dyn AnyTable,
    source: Source<'_>,
    thd: *mut c_void,
    mention: *mut c_void,
) -> Result<(), Stop> {
    let functions = functions().map_err(|why| fail(&why))?;
    let specs = table.columns();
    // SAFETY: promised by the caller.
    let mut rows = unsafe {
        functions
            .finder
            .open(mention, specs.len())
            .and_then(|open| Rows::new(&functions.stores, thd, open, specs, functions))
            .map_err(|why| fail(&why))?
    };
    table.fill(source, &mut rows)
}

/// Adds a warning to the running statement.
///
/// # Safety
/// `thd` is the running session.
pub unsafe fn warn(thd: *mut c_void, warning: &str) {
    let (Ok(functions), Ok(warning)) = (functions(), CString::new(warning)) else {
        return;
    };
    // SAFETY: the server's function for its session; it copies the text.
    unsafe { (functions.push_warning)(thd, SEVERITY_WARNING, UNKNOWN_ERROR, warning.as_ptr()) };
}

/// Fails the running statement.
pub fn error(why: &str) {
    let (Ok(functions), Ok(why)) = (functions(), CString::new(why)) else {
        return;
    };
    // SAFETY: a printf-like function of the server; `%s` belongs to `why`, which ends with NUL.
    unsafe { (functions.error)(UNKNOWN_ERROR, c"%s".as_ptr(), 0, why.as_ptr()) };
}
