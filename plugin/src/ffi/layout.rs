//! Finds the temporary table and its columns behind a mention of a table, without trusting any offset.
//!
//! The server's own code gives the list of columns (`Field_iterator_table::set`, which reads it from the mention).
//! Every column knows its table, the mention knows it, and the table knows the list: three words that must agree are
//! searched for, once, in memory that is read without a fault where it is not mapped. Where they are is then checked
//! with three comparisons at each later fill.

use std::ffi::{CStr, c_char, c_void};
use std::sync::atomic::{AtomicU64, Ordering};

use super::bindings::muster_field_iterator;
use super::memory;
use super::symbols::{function, need};

/// More columns than any table of ours has.
const COLUMNS_MAX: usize = 256;
/// How far the three words are searched, in machine words.
const MENTION_WORDS: usize = 128;
const FIELD_WORDS: usize = 24;
const TABLE_WORDS: usize = 64;

/// `Field_iterator_table::set`.
type Set = unsafe extern "C" fn(*mut muster_field_iterator, *mut c_void);

/// What of the server is needed to find columns.
#[derive(Debug, Clone, Copy)]
pub struct Finder {
    set: Set,
    vtable: usize,
}

/// An open temporary table.
#[derive(Debug, Clone, Copy)]
pub struct Open {
    /// The server's `TABLE`.
    pub table: *mut c_void,
    /// The server's `Field`s, as many as the table has columns.
    pub fields: *const *mut c_void,
    /// How many.
    pub count: usize,
}

/// Where the three words are, in machine words from the start of mention, column and table; 0 = not found yet.
static FOUND: AtomicU64 = AtomicU64::new(0);

impl Finder {
    /// Looks the functions up.
    pub fn new() -> Result<Finder, String> {
        let set = function!(
            Set,
            c"_ZN20Field_iterator_table3setEP9Table_ref",
            c"_ZN20Field_iterator_table3setEP10TABLE_LIST"
        )?;
        let vtable = need(&[c"_ZTV20Field_iterator_table"])?.as_ptr() as usize;
        Ok(Finder { set, vtable })
    }

    /// The open table behind `mention`, which must have `count` columns.
    ///
    /// # Safety
    /// `mention` is the server's `Table_ref` (MariaDB: `TABLE_LIST`) whose temporary table is open.
    pub unsafe fn open(&self, mention: *mut c_void, count: usize) -> Result<Open, String> {
        if mention.is_null() || count == 0 || count > COLUMNS_MAX {
            return Err("the server asked for a table without a mention of it".into());
        }
        // An object of the class starts with its vtable, whose functions begin after two words.
        let mut iterator = muster_field_iterator {
            vtable: (self.vtable + 16) as *mut c_void,
            field: std::ptr::null_mut(),
        };
        // SAFETY: the server's own inline method; it reads the list of columns from the mention and stores its address.
        unsafe { (self.set)(&mut iterator, mention) };
        let fields = iterator.field.cast_const();
        let open = Open {
            table: std::ptr::null_mut(),
            fields,
            count,
        };
        let found = FOUND.load(Ordering::Relaxed);
        if found != 0 {
            // SAFETY: `found` was written by `search`, which saw these words at these places in objects of the same
            // classes.
            let table = unsafe { verify(found, mention, open) };
            if let Some(table) = table {
                return Ok(Open { table, ..open });
            }
        }
        let (found, table) = search(mention as usize, fields as usize, count)?;
        FOUND.store(found, Ordering::Relaxed);
        Ok(Open {
            table: table as *mut c_void,
            ..open
        })
    }
}

/// What a word of a table description holds that the server has just made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// The address of a function of the server's own.
    Function,
    /// Two times -1: no index.
    NoIndex,
}

/// Checks a table description that the server has made for one of our tables and not filled in yet: its name, one
/// word at `preset_offset` that the server sets, and nothing else.
///
/// # Safety
/// `description` is what the server gives to init of an INFORMATION_SCHEMA plugin.
pub unsafe fn check_description(
    description: *mut c_void,
    name: &CStr,
    words: usize,
    (preset_offset, preset): (usize, Preset),
) -> Result<(), String> {
    let at_preset = preset_offset / size_of::<usize>();
    let found = memory::words(description as usize, words)
        .ok_or("the server's table description cannot be read")?;
    let named = memory::words(found[0] & !(size_of::<usize>() - 1), 1).is_some()
        // SAFETY: the first word leads to readable memory: the name that the server took from our declaration.
        && unsafe { CStr::from_ptr(found[0] as *const c_char) } == name;
    let server = need(&[c"_ZTV20Field_iterator_table"])?.as_ptr() as usize;
    let empty = found
        .iter()
        .enumerate()
        .skip(1)
        .all(|(at, word)| at == at_preset || *word == 0);
    let set = match preset {
        Preset::Function => same_file(found[at_preset], server),
        Preset::NoIndex => found[at_preset] == usize::MAX,
    };
    if !named || !empty || !set {
        return Err(
            "the server's description of the table is not laid out as Muster knows it".into(),
        );
    }
    Ok(())
}

/// Whether two addresses lie in the same loaded file.
pub fn same_file(one: usize, other: usize) -> bool {
    let base = |address: usize| {
        // SAFETY: an all-zero Dl_info is a valid one.
        let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
        // SAFETY: `info` lives through the call; any address may be asked for.
        let found = unsafe { libc::dladdr(address as *const c_void, &mut info) } != 0;
        found.then_some(info.dli_fbase as usize)
    };
    base(one).is_some() && base(one) == base(other)
}

/// The three comparisons, and the end mark of the list.
///
/// # Safety
/// `found` is from [`search`]; `mention` is open, and `open.fields` is the server's list of its columns.
unsafe fn verify(found: u64, mention: *mut c_void, open: Open) -> Option<*mut c_void> {
    let [in_mention, in_field, in_table] = unpack(found);
    // SAFETY: objects of the server's classes, at offsets within them.
    unsafe {
        let table = *mention.cast::<*mut c_void>().add(in_mention);
        if table.is_null() || open.fields.is_null() {
            return None;
        }
        let fields = *table.cast::<*const *mut c_void>().add(in_table);
        if fields != open.fields || !(*fields.add(open.count)).is_null() {
            return None;
        }
        for at in 0..open.count {
            let field = *fields.add(at);
            if field.is_null() || *field.cast::<*mut c_void>().add(in_field) != table {
                return None;
            }
        }
        Some(table)
    }
}

/// Searches the three words; a sentence where they do not lead to exactly one table.
fn search(mention: usize, fields: usize, count: usize) -> Result<(u64, usize), String> {
    let list =
        memory::words(fields, count + 1).ok_or("the server's list of columns cannot be read")?;
    if list[count] != 0 || list[..count].contains(&0) {
        return Err(format!(
            "the server's list of columns does not have the {count} columns that were declared"
        ));
    }
    let columns: Vec<Vec<usize>> = list[..count]
        .iter()
        .map(|field| memory::words(*field, FIELD_WORDS))
        .collect::<Option<_>>()
        .ok_or("a column of the server cannot be read")?;
    let mention_words = memory::words_up_to(mention, MENTION_WORDS);
    let mut hits: Vec<([usize; 3], usize)> = Vec::new();
    for in_field in 1..FIELD_WORDS {
        let table = columns[0][in_field];
        if table == 0 || columns.iter().any(|column| column[in_field] != table) {
            continue;
        }
        let Some(in_mention) = mention_words.iter().position(|word| *word == table) else {
            continue;
        };
        let Some(in_table) = memory::words_up_to(table, TABLE_WORDS)
            .iter()
            .position(|word| *word == fields)
        else {
            continue;
        };
        hits.push(([in_mention, in_field, in_table], table));
    }
    // Several places that name the same table are one answer; two tables are none.
    match hits.as_slice() {
        [(at, table), rest @ ..] if rest.iter().all(|(_, other)| other == table) => Ok((pack(*at), *table)),
        [] => Err("the temporary table was not found behind its columns; this build of the server is laid out in a way \
                   that Muster does not know"
            .into()),
        _ => Err("more than one temporary table was found behind the same columns; Muster does not guess".into()),
    }
}

/// A one in front, so that a result is never 0.
fn pack(at: [usize; 3]) -> u64 {
    at.iter()
        .fold(1, |packed, word| (packed << 16) | *word as u64)
}

fn unpack(packed: u64) -> [usize; 3] {
    [32, 16, 0].map(|shift| usize::from((packed >> shift) as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mention, a table and columns with words where the server has them, at the places given.
    struct Fake {
        #[allow(clippy::vec_box)] // Their addresses are in the list, so they must not move.
        _columns: Vec<Box<[usize; FIELD_WORDS]>>,
        table: Box<[usize; TABLE_WORDS]>,
        mention: Box<[usize; MENTION_WORDS]>,
        list: Box<[usize]>,
    }

    fn fake(count: usize, [in_mention, in_field, in_table]: [usize; 3]) -> Fake {
        let mut table = Box::new([0; TABLE_WORDS]);
        let mut columns: Vec<_> = (0..count)
            .map(|_| Box::new([0x11_usize; FIELD_WORDS]))
            .collect();
        let mut list: Box<[usize]> = columns
            .iter()
            .map(|column| column.as_ptr() as usize)
            .chain([0])
            .collect();
        let mut mention = Box::new([0x22; MENTION_WORDS]);
        for column in &mut columns {
            column[in_field] = table.as_ptr() as usize;
        }
        mention[in_mention] = table.as_ptr() as usize;
        table[in_table] = list.as_mut_ptr() as usize;
        Fake {
            _columns: columns,
            table,
            mention,
            list,
        }
    }

    fn find(fake: &Fake, count: usize) -> Result<(u64, usize), String> {
        search(
            fake.mention.as_ptr() as usize,
            fake.list.as_ptr() as usize,
            count,
        )
    }

    #[test]
    fn the_table_is_found_wherever_the_words_are() {
        for at in [[23, 5, 13], [33, 3, 21], [1, 1, 1], [127, 23, 63]] {
            let fake = fake(4, at);
            let (found, table) = find(&fake, 4).unwrap();
            assert_eq!((unpack(found), table), (at, fake.table.as_ptr() as usize));
        }
    }

    #[test]
    fn a_wrong_number_of_columns_is_refused() {
        let fake = fake(4, [23, 5, 13]);
        assert!(find(&fake, 3).is_err());
        assert!(search(fake.mention.as_ptr() as usize, 0, 4).is_err());
    }

    #[test]
    fn columns_that_disagree_or_a_table_that_does_not_know_them_are_refused() {
        let mut other = fake(4, [23, 5, 13]);
        other._columns[2][5] = 0;
        assert!(find(&other, 4).is_err());
        let mut other = fake(4, [23, 5, 13]);
        other.table[13] = 0;
        assert!(find(&other, 4).is_err());
        let mut other = fake(4, [23, 5, 13]);
        other.mention[23] = 0;
        assert!(find(&other, 4).is_err());
    }
}
