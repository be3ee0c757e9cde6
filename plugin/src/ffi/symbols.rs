//! Finds the server's own functions and objects by name.

use std::ffi::{CStr, c_void};
use std::ptr::NonNull;

/// Address of the first of `names` that the process exports, in the order of the dynamic linker's global scope: the
/// server's executable comes first.
pub fn find(names: &[&CStr]) -> Option<NonNull<c_void>> {
    names.iter().find_map(|name| {
        // SAFETY: `name` ends with NUL, and RTLD_DEFAULT needs no handle. The result is only an address here.
        NonNull::new(unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) })
    })
}

/// As [`find`], with a sentence for the error log when there is none.
pub fn need(names: &[&CStr]) -> Result<NonNull<c_void>, String> {
    find(names).ok_or_else(|| {
        let names: Vec<_> = names.iter().map(|name| name.to_string_lossy()).collect();
        format!("this server does not export {}, which Muster needs; this build of the server is not supported", names.join(" or "))
    })
}

/// Looks up a function and gives it its type.
///
/// The type is that of the declaration which the mangled name encodes (arguments), completed by what `SERVER-ABI`
/// facts say (result, and everything for names of plain C): see `docs/SAFETY.md`, "Functions by name".
macro_rules! function {
    ($type:ty, $($name:literal),+ $(,)?) => {
        $crate::ffi::symbols::need(&[$($name),+]).map(|address| {
            // SAFETY: the address is that of a function of the server, whose image stays for the life of the
            // process, and the type is the one that belongs to these names.
            unsafe { ::std::mem::transmute::<*mut ::std::ffi::c_void, $type>(address.as_ptr()) }
        })
    };
}
pub(super) use function;
