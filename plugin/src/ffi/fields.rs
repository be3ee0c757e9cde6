//! Writes values into the columns of the server's temporary table.
//!
//! A value is stored by the server's own method of the column's class, called by name. That is sound only while the
//! column is of exactly that class, so the class of every column is compared before every fill; and the classes
//! themselves are compared with each other when a plugin is installed: the method that stores text must sit at the
//! same place in the table of methods of each.

use std::ffi::{CStr, CString, c_char, c_int, c_void};

use super::layout::{Open, same_file};
use super::plugins::fail;
use super::symbols::{find, function, need};
use crate::tables::text::{LONG_TEXT_BYTES_MAX, utf8mb3};
use crate::tables::{ColumnSpec, Kind, RowSink, Stop, Value, datetime};

/// `Field::store(const char *, size_t, const CHARSET_INFO *)`.
type StoreText = unsafe extern "C" fn(*mut c_void, *const c_char, usize, *const c_void) -> c_int;
/// `Field::store(longlong, bool unsigned)`.
type StoreInteger = unsafe extern "C" fn(*mut c_void, i64, bool) -> c_int;
/// `Field::store(double)`.
type StoreDouble = unsafe extern "C" fn(*mut c_void, f64) -> c_int;
/// `schema_table_store_record(THD *, TABLE *)`; true = failed, and the client has been told.
type StoreRecord = unsafe extern "C" fn(*mut c_void, *mut c_void) -> bool;

/// Methods of a class that are looked at, from its first one.
const METHODS_MAX: usize = 100;

/// The classes of columns and how to store into them.
#[derive(Debug, Clone, Copy)]
pub struct Stores {
    varstring: (usize, StoreText),
    blob: (usize, StoreText),
    longlong: (usize, StoreInteger),
    long: (usize, StoreInteger),
    double: (usize, StoreDouble),
    datetime: [Option<(usize, StoreText)>; 2],
    /// MariaDB puts a column of this class in the place of one that the statement does not use.
    unused: Option<usize>,
    /// `utf8mb3`, the character set of every text column; text is clean before it comes here.
    charset: *const c_void,
    record: StoreRecord,
}

// SAFETY: addresses of functions and constants of the server.
unsafe impl Send for Stores {}
// SAFETY: as above; nothing is written through them.
unsafe impl Sync for Stores {}

/// First method of a class: what its objects point to.
fn class(name: &CStr) -> Result<usize, String> {
    // Two words come before the methods: the offset to the top and the type's description.
    Ok(need(&[name])?.as_ptr() as usize + 2 * size_of::<usize>())
}

/// The method of a class that stores text; `class` is its name as it is mangled.
fn store_text(class: &str) -> Result<StoreText, String> {
    let name = |charset: &str| {
        CString::new(format!("_ZN{class}5storeEPKcmPK{charset}")).unwrap_or_default()
    };
    let address = need(&[&name("12CHARSET_INFO"), &name("15charset_info_st")])?;
    // SAFETY: the name says class and arguments; the result is an enumeration on both servers.
    Ok(unsafe { std::mem::transmute::<*mut c_void, StoreText>(address.as_ptr()) })
}

/// Place of the method with this address among the methods of a class.
fn place(class: usize, method: usize) -> Option<usize> {
    let methods = super::memory::words_up_to(class, METHODS_MAX);
    methods.iter().position(|address| *address == method)
}

impl Stores {
    /// Looks everything up and compares the classes.
    ///
    /// # Safety
    /// This process is a MySQL or MariaDB server. `unused` names a class whose columns are to be left alone.
    pub unsafe fn new(unused: Option<&CStr>) -> Result<Stores, String> {
        let varstring = (
            class(c"_ZTV15Field_varstring")?,
            store_text("15Field_varstring")?,
        );
        let blob = (class(c"_ZTV10Field_blob")?, store_text("10Field_blob")?);
        let longlong = (
            class(c"_ZTV14Field_longlong")?,
            function!(StoreInteger, c"_ZN14Field_longlong5storeExb")?,
        );
        let long = (
            class(c"_ZTV10Field_long")?,
            function!(StoreInteger, c"_ZN10Field_long5storeExb")?,
        );
        let double = (
            class(c"_ZTV12Field_double")?,
            function!(StoreDouble, c"_ZN12Field_double5storeEd")?,
        );

        let known = [
            (varstring.0, varstring.1 as usize),
            (blob.0, blob.1 as usize),
            (longlong.0, store_text("14Field_longlong")? as usize),
            (long.0, store_text("10Field_long")? as usize),
            (double.0, store_text("12Field_double")? as usize),
        ];
        let places: Vec<_> = known
            .iter()
            .map(|(class, method)| place(*class, *method))
            .collect();
        let [Some(at), ..] = places.as_slice() else {
            return Err("the method that stores text is not among those of its class".into());
        };
        if places.iter().any(|other| *other != Some(*at)) {
            return Err(
                "the classes of columns disagree on where the method that stores text is".into(),
            );
        }
        let integer = place(longlong.0, longlong.1 as usize);
        if integer.is_none() || integer != place(long.0, long.1 as usize) {
            return Err(
                "the classes of columns disagree on where the method that stores integers is"
                    .into(),
            );
        }

        // The class of DATETIME(6) has several names over the releases, and takes its method from a parent.
        let by_name = store_text("14Field_temporal")
            .ok()
            .map(|method| method as usize);
        let datetime = [c"_ZTV15Field_datetimef", c"_ZTV14Field_datetime"].map(|name| {
            let class = class(name).ok()?;
            let method = *super::memory::words(class, at + 1)?.last()?;
            let trusted = same_file(method, varstring.1 as usize)
                && by_name.is_none_or(|named| named == method);
            if !trusted {
                return None;
            }
            // SAFETY: this place holds the method of that signature in five other classes derived from the same
            // parent, and the address is one of the server's own file.
            Some((class, unsafe {
                std::mem::transmute::<usize, StoreText>(method)
            }))
        });
        if datetime.iter().all(Option::is_none) {
            return Err("no class for DATETIME(6) columns was found".into());
        }

        let charset = need(&[c"system_charset_info"])?;
        // SAFETY: the exported variable is a pointer that the server has set long before it loads plugins.
        let charset = unsafe { *charset.as_ptr().cast::<*const c_void>() };
        if charset.is_null() {
            return Err("the server has no system character set yet".into());
        }
        Ok(Stores {
            varstring,
            blob,
            longlong,
            long,
            double,
            datetime,
            unused: unused
                .and_then(|name| find(&[name]))
                .map(|address| address.as_ptr() as usize + 16),
            charset,
            record: function!(StoreRecord, c"_Z25schema_table_store_recordP3THDP5TABLE")?,
        })
    }

    /// How to store into the column, whose class is compared with what its type asks for.
    ///
    /// # Safety
    /// `field` is a column of the server.
    unsafe fn cell(&self, field: *mut c_void, spec: ColumnSpec) -> Result<Cell, String> {
        // SAFETY: every object with virtual methods begins with the address of its class.
        let class = unsafe { *field.cast::<usize>() };
        if Some(class) == self.unused {
            return Ok(Cell::Unused);
        }
        let cell = match spec.kind {
            Kind::Text(chars) if class == self.varstring.0 => {
                Cell::Text(self.varstring.1, chars as usize)
            }
            Kind::LongText if class == self.blob.0 => {
                Cell::Text(self.blob.1, LONG_TEXT_BYTES_MAX / 4)
            }
            Kind::U64 if class == self.longlong.0 => Cell::Integer(self.longlong.1),
            Kind::U32 if class == self.long.0 => Cell::Integer(self.long.1),
            Kind::F64 if class == self.double.0 => Cell::Double(self.double.1),
            Kind::DateTime => match self
                .datetime
                .iter()
                .flatten()
                .find(|(known, _)| *known == class)
            {
                Some((_, store)) => Cell::Time(*store),
                None => return Err(wrong_class(spec)),
            },
            _ => return Err(wrong_class(spec)),
        };
        Ok(cell)
    }
}

fn wrong_class(spec: ColumnSpec) -> String {
    format!(
        "Muster: the server made column {} of a class that was not expected",
        spec.name.to_string_lossy()
    )
}

#[derive(Clone, Copy)]
enum Cell {
    Unused,
    Text(StoreText, usize),
    Integer(StoreInteger),
    Double(StoreDouble),
    Time(StoreText),
}

/// How a server marks a cell as NULL or not.
pub trait Nulls {
    /// # Safety
    /// `field` is the nullable column at position `at` of the table that this was made for, and is used.
    unsafe fn set(&self, at: usize, field: *mut c_void, null: bool);
}

/// Takes the rows of one fill.
pub struct Rows<'a, N> {
    stores: &'a Stores,
    thd: *mut c_void,
    open: Open,
    columns: Vec<(ColumnSpec, Cell)>,
    nulls: N,
}

impl<'a, N: Nulls> Rows<'a, N> {
    /// Compares the class of every column.
    ///
    /// # Safety
    /// `thd` is the running session, and `open` the temporary table of one of its mentions. `nulls` is for that table.
    pub unsafe fn new(
        stores: &'a Stores,
        thd: *mut c_void,
        open: Open,
        specs: Vec<ColumnSpec>,
        nulls: N,
    ) -> Result<Self, String> {
        let columns = specs
            .into_iter()
            .enumerate()
            .map(|(at, spec)| {
                // SAFETY: the list has as many columns as there are specs: checked when it was opened.
                let cell = unsafe { stores.cell(open.field(at), spec)? };
                Ok((spec, cell))
            })
            .collect::<Result<_, String>>()?;
        Ok(Rows {
            stores,
            thd,
            open,
            columns,
            nulls,
        })
    }
}

impl<N: Nulls> RowSink for Rows<'_, N> {
    fn set(&mut self, column: usize, value: Value<'_>) -> Result<(), Stop> {
        let Some(&(spec, cell)) = self.columns.get(column) else {
            return Err(fail(
                "Muster: a row has more cells than its table has columns",
            ));
        };
        if matches!(cell, Cell::Unused) {
            return Ok(());
        }
        // A number that is not finite has no place in SQL.
        let value = match value {
            Value::Float(number) if !number.is_finite() => Value::Null,
            value => value,
        };
        // SAFETY: `column` is below the number of columns; the column is of the class that `cell` belongs to, and
        // nullable if its spec is. The server's store methods copy what they are given.
        unsafe {
            let field = self.open.field(column);
            if value == Value::Null {
                if spec.nullable {
                    self.nulls.set(column, field, true);
                    return Ok(());
                }
                if let Cell::Double(store) = cell {
                    store(field, 0.0);
                    return Ok(());
                }
            } else if spec.nullable {
                self.nulls.set(column, field, false);
            }
            match (cell, value) {
                (Cell::Text(store, chars), Value::Text(text)) => {
                    let text = utf8mb3(&text, chars);
                    store(field, text.as_ptr().cast(), text.len(), self.stores.charset);
                }
                (Cell::Integer(store), Value::Number(number)) => {
                    store(field, number.cast_signed(), true);
                }
                (Cell::Double(store), Value::Float(number)) => {
                    store(field, number);
                }
                (Cell::Time(store), Value::Time(us)) => {
                    let text = datetime::text(us);
                    store(field, text.as_ptr().cast(), text.len(), self.stores.charset);
                }
                _ => {
                    return Err(fail(&format!(
                        "Muster: a value does not fit column {}",
                        spec.name.to_string_lossy()
                    )));
                }
            }
        }
        Ok(())
    }

    fn end_row(&mut self) -> Result<(), Stop> {
        // SAFETY: the running session and the temporary table of its statement, whose columns all have been set.
        if unsafe { (self.stores.record)(self.thd, self.open.table) } {
            Err(Stop)
        } else {
            Ok(())
        }
    }
}

impl Open {
    /// The column at a position.
    ///
    /// # Safety
    /// `at` is below `count`, and the table is still open.
    pub unsafe fn field(&self, at: usize) -> *mut c_void {
        debug_assert!(at < self.count);
        // SAFETY: the list has `count` columns.
        unsafe { *self.fields.add(at) }
    }
}
