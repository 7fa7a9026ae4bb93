//! An online backup.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use rusqlite::Connection;

use crate::{failure::Failure, file};

/// Copies what the connection sees at one moment into a new file.
pub(crate) fn write_copy(connection: &Connection, to: &Path) -> Result<(), Failure> {
    // SQLite takes an empty file for its copy, so this one can have its mode before its content.
    file::create_new(to).map_err(|_| Failure::CannotCreate)?;
    let result = fill(connection, to);
    if result.is_err() {
        // Half a copy is worse than none.
        let _ = fs::remove_file(to);
    }
    result
}

fn fill(connection: &Connection, to: &Path) -> Result<(), Failure> {
    // An absolute path is none of the names that mean something else to SQLite.
    let path = fs::canonicalize(to).map_err(|_| Failure::CannotCreate)?;
    let path = path.to_str().ok_or(Failure::CannotCreate)?;
    {
        let _writable = Writable::make(connection)?;
        connection.execute("VACUUM INTO ?", [path])?;
    }
    sync(Path::new(path)).map_err(|_| Failure::CannotCreate)
}

/// Waits until the disk has the copy, and its name.
fn sync(copy: &Path) -> io::Result<()> {
    File::open(copy)?.sync_all()?;
    // Elsewhere a folder is not a file that can be opened.
    #[cfg(unix)]
    if let Some(folder) = copy.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// A connection that reads refuses every change, that of a new file too. This one may write for
/// as long as this lives.
struct Writable<'a>(&'a Connection);

impl<'a> Writable<'a> {
    fn make(connection: &'a Connection) -> Result<Self, Failure> {
        connection.pragma_update(None, "query_only", false)?;
        Ok(Self(connection))
    }
}

impl Drop for Writable<'_> {
    fn drop(&mut self) {
        // Nothing but reading statements ever comes to this connection all the same.
        let _ = self.0.pragma_update(None, "query_only", true);
    }
}
