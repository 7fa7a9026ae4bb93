//! What a disk refuses.

use std::ffi::c_int;

use rusqlite::ffi;

/// What SQLite asks of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Operation {
    /// Open the database.
    OpenDatabase,
    /// Open the write-ahead log.
    OpenLog,
    /// Write to any file.
    Write,
    /// Write to the database, but not to its log.
    WriteDatabase,
    Truncate,
    Sync,
    /// Make the index of the write-ahead log larger, which processes share in memory.
    GrowIndex,
}

/// What a disk refuses at the moment; nothing at first.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// How many bytes files may still grow by, all together.
    pub(super) room: Option<u64>,
    /// These fail with this code of SQLite's.
    pub(super) refused: Vec<(Operation, c_int)>,
    /// Files can be opened for reading only, as where the mode or the file system says so.
    pub(super) is_read_only: bool,
}

impl Faults {
    pub(super) fn check(&self, operation: Operation) -> Result<(), c_int> {
        match self.refused.iter().find(|(refused, _)| *refused == operation) {
            Some((_, code)) => Err(*code),
            None => Ok(()),
        }
    }

    /// How many of `wanted` bytes a file can grow by.
    pub(super) fn take_room(&mut self, wanted: u64) -> u64 {
        let Some(room) = &mut self.room else { return wanted };
        let taken = wanted.min(*room);
        *room -= taken;
        taken
    }

    pub(super) fn give_room(&mut self, bytes: u64) {
        if let Some(room) = &mut self.room {
            *room += bytes;
        }
    }
}

/// What SQLite's own file layer answers when a disk has no room.
pub(super) const FULL: c_int = ffi::SQLITE_FULL;
