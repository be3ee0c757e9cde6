//! What the safe parts of the plugin may ask of the server that they live in.

use muster_link::report::{Flavor, Identity, Phase};

use crate::daemon::session::{Session, SqlError};
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

/// What can be seen of the server at any time, from any thread, without a statement and without waiting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quick {
    /// `read_only` as it takes effect; none where this build of the server does not show it.
    pub read_only: Option<bool>,
    /// `super_read_only` likewise.
    pub super_read_only: Option<bool>,
}

/// The server, seen from safe code. The one implementation is [`crate::ffi::RunningServer`]; tests bring their own.
pub trait ServerApi: Send + Sync {
    /// Which family the server belongs to.
    fn flavor(&self) -> Flavor;
    /// Version text as the server gives it, such as `9.7.4` or `10.11.18-MariaDB-deb12`.
    fn version(&self) -> String;
    /// Path of the file that this plugin was loaded from; empty where it cannot be told.
    fn plugin_path(&self) -> String;
    /// The settings as they are now.
    fn settings(&self) -> Settings;
    /// Writes one line to the server's error log. Cheap, but it may touch a disk: not for a table read.
    fn log(&self, level: Level, text: &str);
    /// CLOCK_BOOTTIME in milliseconds: the clock of every age and deadline.
    fn boot_ms(&self) -> u64;
    /// How far the server is in its life. Cheap, never waits: it is asked every few milliseconds.
    fn phase(&self) -> Phase;
    /// Who the server is, as far as it shows that before it serves; `member_id` may be empty. None where it shows nothing.
    fn early_identity(&self) -> Option<Identity>;
    /// See [`Quick`].
    fn quick(&self) -> Quick;
    /// Opens a session inside the server for the calling thread, which must also be the one that drops it. Only to
    /// be called while the server serves; it may wait, as a statement may.
    ///
    /// # Errors
    /// When the server gives none.
    fn open_session(&self) -> Result<Box<dyn Session>, SqlError>;
}
