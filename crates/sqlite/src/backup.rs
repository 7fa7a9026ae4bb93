//! An online backup.

use std::{fs, path::Path};

use rusqlite::Connection;

use crate::{failure::Failure, file};

/// Copies what the connection sees at one moment into a new file.
pub(crate) fn write_copy(connection: &Connection, to: &Path) -> Result<(), Failure> {
    // SQLite takes an empty file for its copy, so this one can have its mode before its content.
    file::create_new(to).map_err(|_| Failure::CannotCreate)?;
    let result = connection
        .execute("VACUUM INTO ?", [to.to_string_lossy()])
        .map(drop)
        .map_err(Failure::from)
        .and_then(|()| {
            let synced = fs::File::open(to).and_then(|copy| copy.sync_all());
            synced.map_err(|_| Failure::CannotCreate)
        });
    if result.is_err() {
        // Half a copy is worse than none.
        let _ = fs::remove_file(to);
    }
    result
}
