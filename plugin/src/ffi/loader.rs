//! What happens when the server opens the file: who is this server, and which interface version must we claim?
//!
//! A server accepts a daemon or INFORMATION_SCHEMA plugin only if the plugin's interface version equals its own
//! version number, and reads that number after the file was opened. So a constructor of the file asks the server for
//! its own number (a built-in plugin carries it) and writes it where the declarations point to. One file then fits
//! every release; whether it fits in fact is checked when a plugin of it is installed.

use std::ffi::{CStr, c_int};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};

use muster_link::report::{Flavor, Identity, Phase};

use super::bindings::muster_mysql_plugin;
use super::{clock, log, settings, sql, symbols};
use crate::daemon::session::{Session, SqlError};
use crate::server::{Level, Quick, ServerApi};
use crate::settings::Settings;

/// Type number of a storage engine plugin, which every built-in that is asked here is.
const STORAGE_ENGINE: c_int = 1;

/// What every declaration's `info` points to. Zero, which no server accepts, until the constructor has run.
#[repr(C)]
pub struct Info {
    interface_version: AtomicI32,
}

/// The one of this file.
pub static INFO: Info = Info {
    interface_version: AtomicI32::new(0),
};

/// The server that opened this file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server {
    /// Family.
    pub flavor: Flavor,
    /// Version as one number: 90704 is 9.7.4, 101118 is 10.11.18.
    pub version_id: u32,
}

/// The server, or a sentence that says why it is not known.
///
/// # Errors
/// When this process is no server, or one of a kind that Muster does not know.
pub fn server() -> Result<Server, &'static str> {
    static SERVER: OnceLock<Result<Server, &'static str>> = OnceLock::new();
    *SERVER.get_or_init(|| {
        let builtins: [(Flavor, &CStr); 4] = [
            (Flavor::Mariadb, c"builtin_maria_binlog_plugin"),
            (Flavor::Mariadb, c"builtin_maria_mysql_password_plugin"),
            (Flavor::Mysql, c"builtin_binlog_plugin"),
            (Flavor::Mysql, c"builtin_innobase_plugin"),
        ];
        for (flavor, name) in builtins {
            let Some(version_id) = symbols::find(&[name]).and_then(|address| builtin_version(address.as_ptr())) else {
                continue;
            };
            return accept(Server { flavor, version_id });
        }
        Err("this process is not a server that Muster knows: it exports no built-in plugin to take the version from")
    })
}

/// The version number that a built-in storage engine plugin carries, if it looks like one.
fn builtin_version(plugin: *mut std::ffi::c_void) -> Option<u32> {
    let plugin = plugin.cast::<muster_mysql_plugin>();
    // SAFETY: the symbol is an array of plugin declarations of the server. The two members read here lie at its start
    // and are the same in both families; `info` of a storage engine begins with the interface version.
    let version = unsafe {
        if (*plugin).type_ != STORAGE_ENGINE || (*plugin).info.is_null() {
            return None;
        }
        *(*plugin).info.cast::<c_int>()
    };
    let version = u32::try_from(version).ok()?;
    (version & 0xFF == 0).then_some(version >> 8)
}

/// Both sources of the version must agree, and the release must be one whose facts are known.
fn accept(server: Server) -> Result<Server, &'static str> {
    let Some(text) = version_text() else {
        return Err("the server exports no server_version");
    };
    let mut numbers = text
        .split(|c: char| !c.is_ascii_digit())
        .map_while(|digits| digits.parse::<u32>().ok());
    let (Some(major), Some(minor), Some(patch)) = (numbers.next(), numbers.next(), numbers.next())
    else {
        return Err("the server's version text does not begin with three numbers");
    };
    if major * 10_000 + minor * 100 + patch != server.version_id {
        return Err("the server's version text and the version of its built-in plugins differ");
    }
    let known = match server.flavor {
        Flavor::Mysql => (80_000..100_000).contains(&server.version_id),
        Flavor::Mariadb => (101_100..130_000).contains(&server.version_id),
    };
    if known {
        Ok(server)
    } else {
        Err("Muster knows MySQL 8.0 to 9.x and MariaDB 10.11 to 12.x only")
    }
}

/// The server's exported `server_version`.
pub fn version_text() -> Option<String> {
    let address = symbols::find(&[c"server_version"])?;
    let mut text = Vec::new();
    // The array is declared with 60 characters.
    for at in 0..60 {
        // SAFETY: `server_version` is an array of 60 characters of the server, filled in before plugins are loaded.
        let byte = unsafe { *address.as_ptr().cast::<u8>().add(at) };
        if byte == 0 {
            break;
        }
        text.push(byte);
    }
    Some(String::from_utf8_lossy(&text).into_owned())
}

extern "C" fn on_load() {
    super::guard::guard("the load of muster.so", (), || {
        if let Ok(server) = server()
            && let Ok(version) = i32::try_from(server.version_id << 8)
        {
            INFO.interface_version.store(version, Ordering::Relaxed);
        }
    });
}

// SAFETY: the dynamic linker calls each address in `.init_array` once, with arguments that a function without
// parameters may ignore, after it has relocated this file.
#[used]
#[unsafe(link_section = ".init_array")]
static ON_LOAD: extern "C" fn() = on_load;

/// [`ServerApi`] of the server that opened this file.
#[derive(Debug)]
pub struct RunningServer;

impl ServerApi for RunningServer {
    fn flavor(&self) -> Flavor {
        server().map_or(Flavor::Mysql, |server| server.flavor)
    }

    fn version(&self) -> String {
        version_text().unwrap_or_default()
    }

    fn settings(&self) -> Settings {
        settings::current()
    }

    fn log(&self, level: Level, text: &str) {
        log::line(level, text);
    }

    fn boot_ms(&self) -> u64 {
        clock::boot_ms()
    }

    fn plugin_path(&self) -> String {
        symbols::own_path().unwrap_or_default()
    }

    fn phase(&self) -> Phase {
        sql::phase(self.flavor())
    }

    fn early_identity(&self) -> Option<Identity> {
        let settings = settings::current();
        let shown = sql::early::shown()?;
        Some(Identity {
            member_id: shown.server_uuid.unwrap_or_default(),
            flavor: self.flavor(),
            server_version: self.version(),
            pid: std::process::id(),
            host: settings.advertise_host,
            port: settings.advertise_port,
            datadir: shown.datadir,
            socket: shown.socket,
        })
    }

    fn quick(&self) -> Quick {
        sql::quick(self.flavor())
    }

    fn open_session(&self) -> Result<Box<dyn Session>, SqlError> {
        sql::open_session(self.flavor())
    }
}
