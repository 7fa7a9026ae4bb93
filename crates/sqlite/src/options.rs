use std::{num::NonZeroUsize, path::Path, thread, time::Duration};

use sessile_core::store::StoreError;

use crate::store::SqliteStore;

/// What a commit waits for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Durability {
    /// Until the disk has it: what was acknowledged survives a loss of power. The default.
    #[default]
    Full,
    /// Until the operating system has it: faster, and what was acknowledged survives the death of
    /// the process, but a loss of power may undo the last commits. A refresh token that was given
    /// out in one of those is then unknown and is taken for a stolen one.
    Normal,
}

/// How to open a [`SqliteStore`]; [`SqliteStore::options`] has the defaults.
///
/// ```
/// use std::time::Duration;
/// use sessile_sqlite::SqliteStore;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("sessions.db");
/// let store = SqliteStore::options().readers(2).busy_timeout(Duration::from_secs(1)).open(path)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    pub(crate) readers: usize,
    pub(crate) busy_timeout: Duration,
    pub(crate) durability: Durability,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            readers: thread::available_parallelism().map_or(1, NonZeroUsize::get).min(4),
            busy_timeout: Duration::from_secs(5),
            durability: Durability::default(),
        }
    }
}

impl SqliteOptions {
    /// The number of threads that read, each with its own connection; at least one. The default
    /// is the number of processors, but four at most.
    #[must_use]
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers.max(1);
        self
    }

    /// How long to wait, in whole milliseconds, while another connection keeps the file locked,
    /// before a request fails. The default is five seconds.
    #[must_use]
    pub fn busy_timeout(mut self, busy_timeout: Duration) -> Self {
        // SQLite counts the milliseconds in 31 bits.
        self.busy_timeout = busy_timeout.min(Duration::from_millis(0x7fff_ffff));
        self
    }

    /// What a commit waits for. The default is [`Durability::Full`].
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Opens the store in that file, as [`SqliteStore::open`] does.
    ///
    /// # Errors
    /// The same.
    pub fn open(self, path: impl AsRef<Path>) -> Result<SqliteStore, StoreError> {
        SqliteStore::open_with(path.as_ref(), &self)
    }
}
