//! SQLite alone: the same file, rows and indexes, and the fewest statements that do the work.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};
use sessile::SessionHandle;

/// So many changes that the log is as long as it gets.
pub(crate) const WARM_UP: u64 = 5000;

/// A file that a store made, without the store.
pub(crate) struct RawSqlite {
    connection: Connection,
    handles: Vec<SessionHandle>,
    calls: usize,
}

impl RawSqlite {
    /// Opens the file, set as the store sets it.
    pub(crate) fn open(path: &Path, handles: Vec<SessionHandle>) -> anyhow::Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -16_384)?;
        let mut opened = Self { connection, handles, calls: 0 };
        // A commit takes longer while the log still grows to the length that it has from then on.
        opened.change_data(WARM_UP, 64)?;
        Ok(opened)
    }

    /// Does the work for that many sessions, with so many in each transaction.
    fn batched(
        &mut self,
        count: u64,
        batch: u64,
        work: impl Fn(&Connection, &SessionHandle, usize) -> rusqlite::Result<()>,
    ) -> anyhow::Result<()> {
        let mut left = count;
        while left > 0 {
            let now = left.min(batch);
            left -= now;
            self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            for _ in 0..now {
                self.calls += 1;
                let handle = &self.handles[self.calls % self.handles.len()];
                work(&self.connection, handle, self.calls)?;
            }
            self.connection.prepare_cached("COMMIT")?.execute([])?;
        }
        Ok(())
    }

    /// Writes what a refresh writes.
    pub(crate) fn rotate(&mut self, count: u64, batch: u64) -> anyhow::Result<()> {
        // As long as the store's own.
        let sealed_child = [7_u8; 350];
        self.batched(count, batch, |connection, handle, call| {
            let mut hash = [0_u8; 32];
            hash[..8].copy_from_slice(&call.to_ne_bytes());
            let sql = "UPDATE sessions SET
                    refresh_token_hash = ?1, previous_refresh_token_hash = refresh_token_hash,
                    rotated_at = rotated_at + 1, expires_at = expires_at + 1, sealed_child = ?2
                WHERE app_id = 'public' AND handle = ?3";
            let parameters = params![hash, sealed_child, handle.as_str()];
            connection.prepare_cached(sql)?.execute(parameters).map(drop)
        })
    }

    /// Reads the data of a session, and writes it with a change.
    pub(crate) fn change_data(&mut self, count: u64, batch: u64) -> anyhow::Result<()> {
        self.batched(count, batch, |connection, handle, call| {
            let sql = "SELECT session_data FROM sessions WHERE app_id = 'public' AND handle = ?1";
            let mut statement = connection.prepare_cached(sql)?;
            let read = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
            let data = statement.query_row([handle.as_str()], read).optional()?.unwrap_or_default();
            let cut = data.rfind(':').unwrap_or_default();
            let data = format!("{}:{call}}}", &data[..cut]);
            let sql = "UPDATE sessions SET session_data = ?1
                WHERE app_id = 'public' AND handle = ?2";
            connection.prepare_cached(sql)?.execute([&*data, handle.as_str()]).map(drop)
        })
    }
}
