//! The threads that read.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread::{self, JoinHandle},
};

use rusqlite::Connection;
use sessile_core::store::{StoreError, StoreErrorKind};

use crate::{
    failure::{Failure, Task},
    request::{Queue, Threads},
};

/// The way to the threads that read. They end when it is dropped.
pub(crate) struct Readers {
    threads: Threads,
    /// For what reads so long that others must not wait for it.
    backups: Threads,
}

impl Readers {
    /// Starts a thread for each connection.
    pub(crate) fn start(
        connections: impl IntoIterator<Item = Connection>,
        for_backups: Option<Connection>,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            threads: start("sessile-sqlite-reader", connections)?,
            backups: start("sessile-sqlite-backup", for_backups)?,
        })
    }

    /// Has `work` done by whichever thread is free.
    pub(crate) async fn submit<T: Send + 'static>(
        &self,
        task: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.threads.submit(Task::Read(task), work).await
    }

    /// The same for a backup. They are made one after the other, beside everything else.
    pub(crate) async fn submit_backup<T: Send + 'static>(
        &self,
        task: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.backups.submit(Task::Read(task), work).await
    }

    /// Ends the threads once they have answered what was sent to them, and waits for that.
    pub(crate) fn close(&self) {
        self.threads.close();
        self.backups.close();
    }
}

fn start(
    name: &str,
    connections: impl IntoIterator<Item = Connection>,
) -> Result<Threads, StoreError> {
    let (requests, queue) = Queue::new();
    let threads = connections
        .into_iter()
        .map(|connection| {
            let queue = queue.clone();
            spawn(name, move || answer_all(&connection, &queue))
        })
        .collect::<Result<_, _>>()?;
    Ok(Threads::new(requests, threads))
}

fn answer_all(connection: &Connection, queue: &Queue) {
    while let Some(mut request) = queue.next() {
        if request.is_abandoned() {
            continue;
        }
        // The request is dropped in the panic, which tells its caller.
        let finished = catch_unwind(AssertUnwindSafe(move || {
            // The request keeps its failure for its own caller.
            let _ = request.run(connection);
            request.answer(Ok(()));
        }));
        if finished.is_err() {
            tracing::error!("a request to the session database panicked");
        }
    }
}

/// Starts a thread that ends by itself.
pub(crate) fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StoreError> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map_err(|error| {
        let message = "starting a database thread: allow this user more threads";
        StoreError::new(StoreErrorKind::Unavailable, message).with_source(error)
    })
}
