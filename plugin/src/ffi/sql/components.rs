//! The cheapest reads of MySQL: component services that give a variable without a session and without SQL.
//!
//! They came with later releases. Where one is missing the answer is "none", and the caller asks by SQL.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;
use std::sync::atomic::AtomicPtr;

use super::{VERSION_1_0, service};
use crate::ffi::bindings::{
    muster_mysql_registry, muster_mysql_registry_service, muster_mysql_status_reader,
    muster_mysql_string_converter, muster_mysql_string_factory, muster_mysql_variable_reader,
};

/// Where MySQL puts its `plugin_registry_service`.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static plugin_registry_service: AtomicPtr<c_void> =
    AtomicPtr::new(ptr::without_provenance_mut(VERSION_1_0));

/// First size of the buffer for a variable's value; it grows when the server says that it needs more.
const VALUE_BYTES: usize = 4 * 1024;
/// A value beyond this is not read this way.
const VALUE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Longest value of a status variable.
const STATUS_BYTES: usize = 1024;

/// The services that are there. They are given back when this is dropped.
pub struct Components {
    /// Dropped with this, after which the addresses below are used no more.
    _registry: Option<Registry>,
    variables: *const muster_mysql_variable_reader,
    status: *const muster_mysql_status_reader,
    factory: *const muster_mysql_string_factory,
    converter: *const muster_mysql_string_converter,
    buffer: Vec<u8>,
}

/// The server's registry of component services, and the handles taken from it.
struct Registry {
    service: &'static muster_mysql_registry_service,
    address: *mut c_void,
    taken: Vec<*mut c_void>,
}

impl Registry {
    fn open() -> Option<Self> {
        let service: &muster_mysql_registry_service = service(&plugin_registry_service)?;
        // SAFETY: the function takes nothing and gives a handle of the registry, or null.
        let address = unsafe { (service.acquire?)() };
        (!address.is_null()).then_some(Self {
            service,
            address,
            taken: Vec::new(),
        })
    }

    fn table(&self) -> &muster_mysql_registry {
        // SAFETY: a handle of a component service is the address of its table of functions, valid until released.
        unsafe { &*self.address.cast() }
    }

    /// The table of functions of the service `name`; null = this server has none.
    fn take<T>(&mut self, name: &CStr) -> *const T {
        let mut handle = ptr::null_mut();
        let Some(acquire) = self.table().acquire else {
            return ptr::null();
        };
        // SAFETY: the name ends with NUL; the handle is filled where the call gives false.
        if unsafe { acquire(name.as_ptr(), &mut handle) } || handle.is_null() {
            return ptr::null();
        }
        self.taken.push(handle);
        handle.cast_const().cast()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let taken = std::mem::take(&mut self.taken);
        if let Some(release) = self.table().release {
            for handle in taken {
                // SAFETY: each handle was acquired once and is used no more.
                unsafe { release(handle) };
            }
        }
        if let Some(release) = self.service.release {
            // SAFETY: as above, for the registry itself.
            unsafe { release(self.address) };
        }
    }
}

impl Components {
    /// Takes what there is.
    pub fn new() -> Self {
        let mut registry = Registry::open();
        let mut take = |name: &CStr| {
            registry
                .as_mut()
                .map_or(ptr::null(), |registry| registry.take::<c_void>(name))
        };
        Self {
            variables: take(c"mysql_system_variable_reader").cast(),
            status: take(c"mysql_status_variable_string").cast(),
            factory: take(c"mysql_string_factory").cast(),
            converter: take(c"mysql_string_converter").cast(),
            buffer: vec![0; VALUE_BYTES],
            _registry: registry,
        }
    }

    /// Value of a global system variable of the server; none = ask by SQL.
    pub fn variable(&mut self, name: &str) -> Option<String> {
        let name = CString::new(name).ok()?;
        // SAFETY: null, or the address of the service's table, which stays until the registry is dropped with us.
        let get = unsafe { self.variables.as_ref() }?.get?;
        loop {
            let mut address: *mut c_void = self.buffer.as_mut_ptr().cast();
            let room = self.buffer.len() - 1;
            let mut length = u64::try_from(room).ok()?;
            // SAFETY: the texts end with NUL. The value is written to our buffer, of which `length` bytes may be used;
            // no session is needed for a global variable.
            let failed = unsafe {
                get(
                    ptr::null_mut(),
                    c"GLOBAL".as_ptr(),
                    c"mysql_server".as_ptr(),
                    name.as_ptr(),
                    &mut address,
                    &mut length,
                )
            };
            let length = usize::try_from(length).ok()?;
            if !failed {
                // It must have written where we said, and not more than we allowed.
                if address.cast_const() != self.buffer.as_ptr().cast() || length > room {
                    return None;
                }
                return Some(String::from_utf8_lossy(&self.buffer[..length]).into_owned());
            }
            // A buffer that is too small is answered with the length that is needed.
            if length <= room || length >= VALUE_BYTES_MAX {
                return None;
            }
            self.buffer.resize(length + VALUE_BYTES, 0);
        }
    }

    /// Value of a global status variable; none = ask by SQL.
    pub fn status(&mut self, name: &str) -> Option<String> {
        let name = CString::new(name).ok()?;
        // SAFETY: each is null, or the address of the service's table, which stays until the registry is dropped.
        let (get, destroy, convert) = unsafe {
            (
                self.status.as_ref()?.get?,
                self.factory.as_ref()?.destroy?,
                self.converter.as_ref()?.convert_to_buffer?,
            )
        };
        let mut text = ptr::null_mut();
        let mut buffer = [0_u8; STATUS_BYTES];
        // SAFETY: the texts end with NUL; `text` is a string of the server that we destroy once; the buffer has the
        // room that is said, less one byte, so it always ends with NUL.
        let converted = unsafe {
            if get(ptr::null_mut(), name.as_ptr(), true, &mut text) || text.is_null() {
                return None;
            }
            let bytes = buffer.as_mut_ptr().cast::<c_char>();
            let failed = convert(text, bytes, STATUS_BYTES as u64 - 1, c"utf8mb4".as_ptr());
            destroy(text);
            !failed
        };
        let value = CStr::from_bytes_until_nul(&buffer).ok()?;
        converted.then(|| value.to_string_lossy().into_owned())
    }
}
