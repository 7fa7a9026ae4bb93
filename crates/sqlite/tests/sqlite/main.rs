//! The SQLite store on real files.

#![expect(clippy::unwrap_used, reason = "in a test, what must not fail may panic")]

use std::{
    future::{Future, ready},
    path::PathBuf,
    pin::Pin,
    sync::atomic::{AtomicU32, Ordering},
    task::{Context, Poll, Waker},
    thread,
};

use sessile_core::{SessionHandle, clock::Timestamp, rotation::TokenHash, store::SessionRecord};
use sessile_sqlite::SqliteStore;
use tempfile::TempDir;

mod backups;
mod batches;
mod conformance;
mod examinations;
mod files;
mod limits;
mod retirement;
mod sharing;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// A folder of its own, which goes when the test ends.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, end: &str) -> PathBuf {
        self.0.path().join(format!("sessions.db{end}"))
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open(self.file("")).unwrap()
    }

    /// Waits until the threads of dropped stores have closed the file, and says whether they
    /// have: the write-ahead log goes with the last connection.
    fn is_closed(&self) -> bool {
        let log = self.file("-wal");
        (0..1_000_000).any(|_| {
            thread::yield_now();
            !log.exists()
        })
    }
}

impl Drop for Folder {
    /// A folder cannot be removed for sure while SQLite removes files from it.
    fn drop(&mut self) {
        self.is_closed();
    }
}

/// A session whose name no other session of the process has.
fn session() -> SessionRecord {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    SessionRecord {
        handle: SessionHandle::new(&format!("session-{number}")),
        user_id: "alice".into(),
        primary_user_id: None,
        refresh_token_hash: TokenHash::from_bytes([1; 32]),
        previous_refresh_token_hash: None,
        rotated_at: None,
        sealed_child: None,
        jwt_payload: "{}".into(),
        session_data: "{}".into(),
        created_at: NOW,
        expires_at: Timestamp::MAX,
        ends_at: Timestamp::MAX,
        client_label: None,
        use_static_key: false,
    }
}

/// Polls the request once: it is sent now, not when it is awaited.
fn send<'a, T: 'a>(request: impl Future<Output = T> + 'a) -> Pin<Box<dyn Future<Output = T> + 'a>> {
    let mut request = Box::pin(request);
    match request.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Box::pin(ready(answer)),
        Poll::Pending => request,
    }
}
