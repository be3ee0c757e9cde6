//! What a server shows of itself before it serves: variables that it fills from its configuration, and the UUID that
//! MySQL reads from its data directory, long before a session could ask for them.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;

use crate::ffi::symbols;

/// Bytes of a path in both servers (`FN_REFLEN`).
const PATH_BYTES: usize = 512;
/// Bytes of `server_uuid`: 36 and a NUL.
const UUID_BYTES: usize = 37;
/// Bytes of a pointer.
const POINTER_BYTES: u64 = 8;

/// See the module.
pub struct Shown {
    /// MySQL's `server_uuid`, once it is known.
    pub server_uuid: Option<String>,
    /// `datadir`.
    pub datadir: String,
    /// `socket`.
    pub socket: String,
}

/// None where one of the variables is missing or of another size.
pub fn shown() -> Option<Shown> {
    let datadir =
        array::<PATH_BYTES>(c"mysql_real_data_home").filter(|path| path.starts_with('/'))?;
    let socket = text_behind(c"mysqld_unix_port")?;
    Some(Shown {
        server_uuid: array::<UUID_BYTES>(c"server_uuid").filter(|uuid| uuid.len() == 36),
        datadir,
        socket,
    })
}

/// The text in an array of exactly `BYTES` characters.
fn array<const BYTES: usize>(name: &CStr) -> Option<String> {
    let address: NonNull<[u8; BYTES]> = symbols::sized(name, BYTES as u64)?.cast();
    // SAFETY: the exported object has exactly this size. The server fills it before it initialises plugins, and not
    // later; a copy is taken, and what is not ended by NUL inside it is refused.
    let bytes = unsafe { std::ptr::read_volatile(address.as_ptr()) };
    let text = CStr::from_bytes_until_nul(&bytes).ok()?;
    text.to_str()
        .ok()
        .map(str::to_owned)
        .filter(|text| !text.is_empty())
}

/// The text that an exported `char *` points to.
fn text_behind(name: &CStr) -> Option<String> {
    let address: NonNull<*const c_char> =
        symbols::sized(name, POINTER_BYTES)?.cast::<c_void>().cast();
    // SAFETY: an exported variable of the size of a pointer, set from the configuration before plugins are initialised
    // and never after; it is null or points to a text that ends with NUL and stays.
    unsafe {
        let text = std::ptr::read_volatile(address.as_ptr());
        (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
    }
}
