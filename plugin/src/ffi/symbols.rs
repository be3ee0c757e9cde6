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

/// Path of this file as the dynamic linker opened it.
pub fn own_path() -> Option<String> {
    // SAFETY: plain data for which zeroes are valid; the call fills it in.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: the address is that of a function of this file, and `info` lives through the call; the name it points
    // to belongs to the linker and stays as long as this file.
    unsafe {
        if libc::dladdr(
            own_path as fn() -> Option<String> as *const c_void,
            &mut info,
        ) == 0
            || info.dli_fname.is_null()
        {
            return None;
        }
        Some(
            CStr::from_ptr(info.dli_fname)
                .to_string_lossy()
                .into_owned(),
        )
    }
}

/// Address of an exported object of exactly `bytes` bytes. The linker's table knows each object's size, so a variable
/// that became of another type in some release is not taken for what it was.
pub fn sized(name: &CStr, bytes: u64) -> Option<NonNull<c_void>> {
    /// `dladdr1` gives the entry of the symbol table.
    const RTLD_DL_SYMENT: libc::c_int = 1;
    let address = find(&[name])?;
    // SAFETY: plain data for which zeroes are valid; the call fills it in.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    let mut entry: *const libc::Elf64_Sym = std::ptr::null();
    // SAFETY: both out-parameters live through the call; with RTLD_DL_SYMENT the third is a pointer to a pointer to
    // an entry of the symbol table, which stays as long as the image.
    let size = unsafe {
        let found = dladdr1(
            address.as_ptr(),
            &mut info,
            (&raw mut entry).cast(),
            RTLD_DL_SYMENT,
        );
        if found == 0 || entry.is_null() || info.dli_saddr != address.as_ptr() {
            return None;
        }
        (*entry).st_size
    };
    (size == bytes).then_some(address)
}

unsafe extern "C" {
    /// glibc; `libc` does not declare it.
    fn dladdr1(
        address: *const c_void,
        info: *mut libc::Dl_info,
        extra: *mut *mut c_void,
        flags: libc::c_int,
    ) -> libc::c_int;
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
