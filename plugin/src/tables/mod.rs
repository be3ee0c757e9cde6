//! The tables, declared as data: a name, and for each column its name, its type and how to read it from a row.
//!
//! Adding a table is one file with a type that implements [`Table`], and one entry in the list `tables!` below.

pub mod datetime;
pub mod text;

mod agents;
mod events;
mod members;
mod view;

use std::borrow::Cow;
use std::ffi::CStr;
use std::marker::PhantomData;

use crate::snapshot::Snapshot;

/// Lists the tables once, for what the server reads at load time and for what it calls later.
macro_rules! tables {
    ($($table:ty),* $(,)?) => {
        /// Name and description of every table, in the order of their declarations.
        pub const HEADS: &[Head] =
            &[$(Head { name: <$table as Table>::NAME, description: <$table as Table>::DESCRIPTION }),*];
        /// Every table of the plugin, in the same order.
        pub static ALL: [&dyn AnyTable; HEADS.len()] = [$(&Declared::<$table>(PhantomData)),*];
    };
}
tables!(
    members::ClusterMembers,
    view::ClusterView,
    agents::ClusterAgents,
    events::ClusterEvents
);

/// What INFORMATION_SCHEMA.PLUGINS shows of a table.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// Name, in upper case.
    pub name: &'static CStr,
    /// One line.
    pub description: &'static CStr,
}

/// SQL type of a column, the same on both servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// VARCHAR of at most this many characters (1 to 512).
    Text(u32),
    /// LONGTEXT.
    LongText,
    /// BIGINT UNSIGNED.
    U64,
    /// INT UNSIGNED.
    U32,
    /// DOUBLE.
    F64,
    /// DATETIME(6), in UTC.
    DateTime,
}

/// What a cell holds. It must fit the column's [`Kind`]; NULL fits a nullable column only.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// NULL.
    Null,
    /// For `Text` and `LongText`. It is cut and cleaned to fit when it is written.
    Text(Cow<'a, str>),
    /// For `U64` and `U32`.
    Number(u64),
    /// For `F64`; what is not finite is shown as NULL or 0.
    Float(f64),
    /// For `DateTime`: microseconds since 1970 UTC.
    Time(i64),
}

impl<'a> Value<'a> {
    /// Text that is there already.
    pub fn text(text: &'a str) -> Self {
        Value::Text(Cow::Borrowed(text))
    }

    /// YES or NO.
    pub fn yes_no(yes: bool) -> Self {
        Value::text(if yes { "YES" } else { "NO" })
    }

    /// Text or NULL.
    pub fn text_or_null(text: Option<&'a str>) -> Self {
        text.map_or(Value::Null, Value::text)
    }

    /// A number or NULL.
    pub fn number_or_null(number: Option<impl Into<u64>>) -> Self {
        number.map_or(Value::Null, |number| Value::Number(number.into()))
    }
}

/// Name and type of a column, without how to read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnSpec {
    /// Name, in upper case.
    pub name: &'static CStr,
    /// Type.
    pub kind: Kind,
    /// May be NULL.
    pub nullable: bool,
}

/// One column of a [`Table`].
pub struct Column<T: Table + ?Sized> {
    /// Name and type.
    pub spec: ColumnSpec,
    /// Reads the cell from a row.
    pub get: for<'a, 's> fn(&'a T::Row<'s>) -> Value<'a>,
}

impl<T: Table + ?Sized> Column<T> {
    /// A column that is never NULL.
    pub const fn new(
        name: &'static CStr,
        kind: Kind,
        get: for<'a, 's> fn(&'a T::Row<'s>) -> Value<'a>,
    ) -> Self {
        Column {
            spec: ColumnSpec {
                name,
                kind,
                nullable: false,
            },
            get,
        }
    }

    /// A column that may be NULL.
    pub const fn nullable(
        name: &'static CStr,
        kind: Kind,
        get: for<'a, 's> fn(&'a T::Row<'s>) -> Value<'a>,
    ) -> Self {
        Column {
            spec: ColumnSpec {
                name,
                kind,
                nullable: true,
            },
            get,
        }
    }
}

/// The rows could not be handed over: the server has already told the client why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop;

/// What a fill reads from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'s> {
    /// The snapshot of this statement.
    pub snapshot: &'s Snapshot,
    /// CLOCK_BOOTTIME in milliseconds at which the fill began: every age of a fill refers to it.
    pub now_boot_ms: u64,
}

/// A table, declared as data.
pub trait Table: 'static {
    /// One row, borrowed from the snapshot.
    type Row<'s>;
    /// Name, in upper case.
    const NAME: &'static CStr;
    /// One line for `INFORMATION_SCHEMA.PLUGINS`.
    const DESCRIPTION: &'static CStr;
    /// Columns in order.
    const COLUMNS: &'static [Column<Self>];

    /// Hands each row to `each`.
    ///
    /// # Errors
    /// When `each` stops.
    fn rows<'s>(
        source: Source<'s>,
        each: &mut dyn FnMut(&Self::Row<'s>) -> Result<(), Stop>,
    ) -> Result<(), Stop>;
}

/// Takes cells and rows: the server's temporary table, or a test.
pub trait RowSink {
    /// Sets the cell of the current row.
    ///
    /// # Errors
    /// When the server refused it, and has told the client.
    fn set(&mut self, column: usize, value: Value<'_>) -> Result<(), Stop>;
    /// Ends the current row. Every cell has been set.
    ///
    /// # Errors
    /// When the server refused it, and has told the client.
    fn end_row(&mut self) -> Result<(), Stop>;
}

/// A [`Table`] of any row type.
pub trait AnyTable: Sync {
    /// [`Table::NAME`].
    fn name(&self) -> &'static CStr;
    /// Columns in order.
    fn columns(&self) -> Vec<ColumnSpec>;
    /// Hands every cell of every row to `sink`.
    ///
    /// # Errors
    /// When `sink` stops.
    fn fill(&self, source: Source<'_>, sink: &mut dyn RowSink) -> Result<(), Stop>;
}

/// Makes an [`AnyTable`] of a [`Table`].
pub struct Declared<T>(PhantomData<fn() -> T>);

impl<T: Table> AnyTable for Declared<T> {
    fn name(&self) -> &'static CStr {
        T::NAME
    }

    fn columns(&self) -> Vec<ColumnSpec> {
        T::COLUMNS.iter().map(|column| column.spec).collect()
    }

    fn fill(&self, source: Source<'_>, sink: &mut dyn RowSink) -> Result<(), Stop> {
        T::rows(source, &mut |row| {
            for (at, column) in T::COLUMNS.iter().enumerate() {
                sink.set(at, (column.get)(row))?;
            }
            sink.end_row()
        })
    }
}

#[cfg(test)]
mod tests;
