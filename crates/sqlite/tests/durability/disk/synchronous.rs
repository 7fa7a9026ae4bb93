//! `synchronous=OFF`, whatever a store sets.

#![expect(unsafe_code, reason = "SQLite calls an extension through pointers")]

use std::{
    ffi::{CStr, c_char, c_int, c_void},
    path::Path,
    time::Duration,
};

use rusqlite::{
    Connection,
    auto_extension::{init_auto_extension, register_auto_extension},
    ffi,
};

use super::{Disk, Syncs};

const OFF: &str = "OFF";

/// Turns it off on each connection to such a disk, when it is opened.
pub(super) fn register() {
    // SAFETY: the extension opens and closes no database, and registers nothing.
    unsafe { register_auto_extension(turn_off) }.unwrap();
}

/// # Safety
/// As SQLite calls it: the connection has just been opened.
unsafe extern "C" fn turn_off(
    connection: *mut ffi::sqlite3,
    message: *mut *mut c_char,
    _: *const ffi::sqlite3_api_routines,
) -> c_int {
    let turn_off = |connection: Connection| {
        let disk = connection.path().and_then(|path| Disk::of(Path::new(path)));
        if disk.is_some_and(|(disk, _)| matches!(disk.syncs, Syncs::Off)) {
            // The store that had the file before may be closing it.
            connection.busy_timeout(Duration::from_secs(5))?;
            connection.pragma_update(None, "synchronous", OFF)?;
        }
        Ok(())
    };
    // SAFETY: SQLite's own arguments.
    unsafe { init_auto_extension(connection, message, turn_off) }
}

/// Whether this, that SQLite tells a file, is that a store wants it otherwise.
///
/// # Safety
/// `argument` is what SQLite tells a file with `operation`.
pub(super) unsafe fn is_turned_on(operation: c_int, argument: *mut c_void) -> bool {
    if operation != ffi::SQLITE_FCNTL_PRAGMA {
        return false;
    }
    // SAFETY: with this operation come four pointers: room for a message, the name of the pragma
    // as a C string, and its value, as a C string or null.
    let (name, value) = unsafe {
        let arguments = argument.cast::<*const c_char>();
        let value = *arguments.add(2);
        (CStr::from_ptr(*arguments.add(1)), (!value.is_null()).then(|| CStr::from_ptr(value)))
    };
    name == c"synchronous" && value.is_some_and(|value| value.to_bytes() != OFF.as_bytes())
}
