//! What the safe parts of the plugin may ask of the server that they live in.

use muster_link::report::Flavor;

use crate::settings::Settings;

/// How serious a line for the server's error log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something does not work and stays so.
    Error,
    /// Something is wrong and may heal.
    Warning,
    /// For the record; MySQL shows it with `log_error_verbosity=3` only.
    Note,
}

/// The server, seen from safe code. The one implementation is [`crate::ffi::RunningServer`]; tests bring their own.
pub trait ServerApi: Send + Sync {
    /// Which family the server belongs to.
    fn flavor(&self) -> Flavor;
    /// Version text as the server gives it, such as `9.7.4` or `10.11.18-MariaDB-deb12`.
    fn version(&self) -> String;
    /// The settings as they are now.
    fn settings(&self) -> Settings;
    /// Writes one line to the server's error log. Cheap, but it may touch a disk: not for a table read.
    fn log(&self, level: Level, text: &str);
    /// CLOCK_BOOTTIME in milliseconds: the clock of every age and deadline.
    fn boot_ms(&self) -> u64;
}
