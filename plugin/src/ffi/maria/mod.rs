//! MariaDB 10.11 and 11.x.
//!
//! # Uninstall
//! A running statement locks the plugin of a table, a prepared one that is not running does not, and keeps the address
//! of the table's description, which UNINSTALL PLUGIN frees. Executing it then reads freed memory, or the description
//! of whatever table was installed next in the same place. There is no hook before an uninstall; but the server frees
//! the description only for plugins whose declaration says INFORMATION_SCHEMA at that moment. So once the table is
//! installed its declaration says DAEMON, and deinit puts the truth back before the server takes the plugin off its
//! lists. The description, 64 bytes, is left to such statements for ever. What shows of it: `SHOW PLUGINS` of MariaDB
//! lists the tables as type DAEMON.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_ulong, c_void};
use std::mem::offset_of;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::bindings::{muster_field_head, muster_maria_field_info, muster_maria_schema_table};
use super::declarations::show_maria_table_as_daemon;
use super::fields::{Nulls, Rows, Stores};
use super::layout::{Finder, Open, Preset, check_description};
use super::plugins::{Fill, Slot, fail};
use super::symbols::{find, function, need};
use crate::statement::StatementKey;
use crate::tables::{self, AnyTable, ColumnSpec, Kind, Source, Stop};

/// `ER_UNKNOWN_ERROR`: the number for what has none of its own.
const UNKNOWN_ERROR: c_uint = 1105;
/// `Sql_state_errno_level::WARN_LEVEL_WARN`.
const LEVEL_WARNING: c_int = 1;
/// Class of the column that stands in for one that a statement does not use.
const UNUSED_COLUMN: &CStr = c"_ZTV12Field_string";

/// What of the server is called.
pub struct Functions {
    stores: Stores,
    finder: Finder,
    unused: usize,
    set_field_to_null: unsafe extern "C" fn(*mut c_void) -> c_int,
    error: unsafe extern "C" fn(c_uint, *const c_char, c_ulong, ...),
    push_warning: unsafe extern "C" fn(*mut c_void, c_int, c_uint, *const c_char),
    free: unsafe extern "C" fn(*mut c_void),
    current_session: unsafe extern "C" fn() -> *mut c_void,
    connection_id: unsafe extern "C" fn(*const c_void) -> c_ulong,
    query_id: unsafe extern "C" fn(*const c_void) -> u64,
    types: Types,
}

/// Addresses of the server's descriptions of types.
struct Types {
    varchar: usize,
    ulonglong: usize,
    ulong: usize,
    double: usize,
    datetime: usize,
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
    let address = |name: &CStr| need(&[name]).map(|address| address.as_ptr() as usize);
    Ok(Functions {
        // SAFETY: called after the loader recognised a MariaDB server.
        stores: unsafe { Stores::new(Some(UNUSED_COLUMN))? },
        finder: Finder::new()?,
        unused: find(&[UNUSED_COLUMN]).map_or(0, |class| class.as_ptr() as usize + 16),
        set_field_to_null: function!(
            unsafe extern "C" fn(*mut c_void) -> c_int,
            c"_Z17set_field_to_nullP5Field"
        )?,
        error: function!(
            unsafe extern "C" fn(c_uint, *const c_char, c_ulong, ...),
            c"my_printf_error"
        )?,
        push_warning: function!(
            unsafe extern "C" fn(*mut c_void, c_int, c_uint, *const c_char),
            c"_Z12push_warningP3THDN21Sql_state_errno_level18enum_warning_levelEjPKc"
        )?,
        free: function!(unsafe extern "C" fn(*mut c_void), c"my_free")?,
        current_session: function!(unsafe extern "C" fn() -> *mut c_void, c"_current_thd")?,
        connection_id: function!(
            unsafe extern "C" fn(*const c_void) -> c_ulong,
            c"thd_get_thread_id"
        )?,
        query_id: function!(unsafe extern "C" fn(*const c_void) -> u64, c"thd_query_id")?,
        types: Types {
            varchar: address(c"type_handler_varchar")?,
            ulonglong: address(c"type_handler_ulonglong")?,
            ulong: address(c"type_handler_ulong")?,
            double: address(c"type_handler_double")?,
            datetime: address(c"type_handler_datetime2")?,
        },
    })
}

/// Column lists that the server reads from, one per table, made once and never freed.
static FIELD_INFOS: [AtomicPtr<muster_maria_field_info>; tables::HEADS.len()] =
    [const { AtomicPtr::new(ptr::null_mut()) }; tables::HEADS.len()];

fn field_info(types: &Types, column: &ColumnSpec) -> muster_maria_field_info {
    let (handler, char_length, unsigned) = match column.kind {
        Kind::Text(chars) => (types.varchar, chars, false),
        Kind::LongText => (types.varchar, 65_535 * 3, false),
        Kind::U64 => (types.ulonglong, 20, true),
        Kind::U32 => (types.ulong, 10, true),
        Kind::F64 => (types.double, 22, false),
        // The length is the number of digits after the second.
        Kind::DateTime => (types.datetime, 6, false),
    };
    muster_maria_field_info {
        type_handler: handler as *mut c_void,
        char_length,
        unsigned_flag: unsigned.into(),
        typelib: ptr::null_mut(),
        name: column.name.as_ptr(),
        name_length: column.name.count_bytes() as c_ulong,
        nullability: column.nullable.into(),
        old_name: ptr::null(),
        old_name_length: 0,
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
    const WORDS: usize = size_of::<muster_maria_schema_table>() / size_of::<usize>();
    let functions = functions()?;
    // SAFETY: `schema_table` is the server's: promised by the caller.
    unsafe {
        check_description(
            schema_table,
            table.name(),
            WORDS,
            (
                offset_of!(muster_maria_schema_table, idx_field1),
                Preset::NoIndex,
            ),
        )?;
    }
    let mut infos = FIELD_INFOS[at].load(Ordering::Acquire);
    if infos.is_null() {
        let mut list: Vec<_> = table
            .columns()
            .iter()
            .map(|column| field_info(&functions.types, column))
            .collect();
        // SAFETY: an all-zero entry is the end mark of the list.
        list.push(unsafe { std::mem::zeroed() });
        infos = Box::leak(list.into_boxed_slice()).as_mut_ptr();
        FIELD_INFOS[at].store(infos, Ordering::Release);
    }
    let schema_table = schema_table.cast::<muster_maria_schema_table>();
    // SAFETY: the description is the server's, was just compared with the declared layout, and is given to us to fill in.
    unsafe {
        (*schema_table).fields_info = infos;
        (*schema_table).fill_table = Some(fill);
    }
    Ok(())
}

/// Called at the end of a plugin. At the end of the server nobody is left to read the description, and the server counts
/// what was not freed; so there it is freed as the server would have.
pub fn at_deinit(at: usize, slot: &Slot) {
    show_maria_table_as_daemon(at, false);
    let described = slot.schema_table.swap(ptr::null_mut(), Ordering::AcqRel);
    let Ok(functions) = functions() else { return };
    // SAFETY: a function of the server without arguments.
    let session = unsafe { (functions.current_session)() };
    // An uninstall is always part of a session's statement; the end of the server, when all sessions are gone, is not.
    if session.is_null() && !described.is_null() {
        // SAFETY: the server allocated it for this plugin, and does not free it itself: it took the plugin for a daemon.
        unsafe { (functions.free)(described) };
    }
}

/// Which statement a fill belongs to.
///
/// # Safety
/// `thd` is the running session.
pub unsafe fn statement_key(thd: *mut c_void) -> Result<StatementKey, String> {
    let functions = functions()?;
    // SAFETY: functions of the server for the running session.
    let (connection_id, query_id) =
        unsafe { ((functions.connection_id)(thd), (functions.query_id)(thd)) };
    Ok(StatementKey {
        session: thd as usize,
        connection_id,
        number: query_id,
        text_hash: 0,
        mention: None,
        exact: true,
        stack: (&raw const connection_id).addr(),
    })
}

/// Where the NULL mark of each nullable column is: byte and bit.
struct NullBits(Vec<Option<(*mut u8, u8)>>);

impl Nulls for NullBits {
    unsafe fn set(&self, at: usize, _field: *mut c_void, null: bool) {
        let Some(Some((byte, bit))) = self.0.get(at) else {
            return;
        };
        // SAFETY: the byte lies in the record of the open table, and the bit was learnt from the server itself.
        unsafe { if null { **byte |= bit } else { **byte &= !bit } }
    }
}

/// Words of a column in which the address of its NULL byte is looked for, after its class and value.
const NULL_BYTE_WORDS: std::ops::Range<usize> = 2..8;

/// Learns the NULL marks. The server's methods for them are inline, so nothing can be called by name but
/// `set_field_to_null`. The address of a column's NULL byte is a word of the column: it must lie in the few bytes of the
/// record before the first value for every nullable column, and be zero for the others. The bit is the one that
/// `set_field_to_null` sets in that byte.
///
/// # Safety
/// `open` is the temporary table of a running statement, with columns of these types.
unsafe fn null_bits(
    functions: &Functions,
    open: Open,
    specs: &[ColumnSpec],
) -> Result<NullBits, String> {
    let mut bits = vec![None; specs.len()];
    // SAFETY: columns of the open table; every one begins with its class and the address of its value, and is larger
    // than the words read here: what finds the table and the server's own virtual methods follow them.
    let columns: Vec<(usize, usize, [usize; NULL_BYTE_WORDS.end])> = unsafe {
        (0..specs.len())
            .map(|at| {
                let head = open.field(at).cast::<muster_field_head>();
                let words = head.cast::<[usize; NULL_BYTE_WORDS.end]>().read();
                ((*head).vtable as usize, (*head).ptr as usize, words)
            })
            .collect()
    };
    let used = |at: usize| columns[at].0 != functions.unused;
    if !(0..specs.len()).any(|at| used(at) && specs[at].nullable) {
        return Ok(NullBits(bits));
    }
    let first_value = columns
        .iter()
        .map(|(_, value, _)| *value)
        .min()
        .unwrap_or(0);
    // One bit for each column, one or two for the record itself, rounded up.
    let before = specs.len() / 8 + 2;
    let fits = |word: usize| {
        (0..specs.len()).filter(|at| used(*at)).all(|at| {
            let address = columns[at].2[word];
            if specs[at].nullable {
                (first_value.saturating_sub(before)..first_value).contains(&address)
            } else {
                address == 0
            }
        })
    };
    let mut words = NULL_BYTE_WORDS.filter(|word| fits(*word));
    let (Some(word), None) = (words.next(), words.next()) else {
        return Err("Muster: the NULL marks of the server's columns were not found".into());
    };
    for at in (0..specs.len()).filter(|at| used(*at) && specs[*at].nullable) {
        let byte = columns[at].2[word] as *mut u8;
        // SAFETY: the byte lies in the table's record, before its values; `set_field_to_null` is the server's function
        // for a nullable column. The record is ours to write during a fill.
        let bit = unsafe {
            *byte = 0;
            (functions.set_field_to_null)(open.field(at));
            *byte
        };
        if !bit.is_power_of_two() {
            return Err("Muster: the NULL mark of a column of the server is not one bit".into());
        }
        bits[at] = Some((byte, bit));
    }
    Ok(NullBits(bits))
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
    // SAFETY: promised by the caller. The classes are compared by `Rows::new` before anything is written but the
    // NULL bytes.
    let mut rows = unsafe {
        functions
            .finder
            .open(mention, specs.len())
            .and_then(|open| {
                let nulls = null_bits(functions, open, &specs)?;
                Rows::new(&functions.stores, thd, open, specs, nulls)
            })
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
    unsafe { (functions.push_warning)(thd, LEVEL_WARNING, UNKNOWN_ERROR, warning.as_ptr()) };
}

/// Fails the running statement.
pub fn error(why: &str) {
    let (Ok(functions), Ok(why)) = (functions(), CString::new(why)) else {
        return;
    };
    // SAFETY: a printf-like function of the server; `%s` belongs to `why`, which ends with NUL.
    unsafe { (functions.error)(UNKNOWN_ERROR, c"%s".as_ptr(), 0, why.as_ptr()) };
}
