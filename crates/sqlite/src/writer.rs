//! The thread that writes: it commits requests in batches.

use std::{
    iter,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use rusqlite::Connection;
use sessile_core::store::StoreError;

use crate::{
    failure::{Failure, Task},
    reader::{Readers, spawn},
    request::{Queue, Request, Threads},
    retirement::Retirement,
};

/// The most requests in one transaction, so that the first of a burst is not answered too late.
const LARGEST_BATCH: usize = 256;

/// How many sizes of transactions are told apart: up to 1, 2, 4, … [`LARGEST_BATCH`] requests.
const SIZES: usize = 9;

/// What the writer has done since the store was opened.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Statistics {
    /// Number of transactions that were committed.
    pub commits: u64,
    /// Number of requests that were in them.
    pub writes: u64,
    /// Number of those transactions with 1 request, with 2, with up to 4, 8, 16, 32, 64, 128, and
    /// with up to 256, the most that there may be.
    pub commits_by_size: [u64; SIZES],
}

#[derive(Debug, Default)]
struct Counters {
    commits: AtomicU64,
    writes: AtomicU64,
    commits_by_size: [AtomicU64; SIZES],
}

impl Counters {
    /// A transaction with that many requests was committed.
    fn count(&self, requests: usize) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.writes.fetch_add(u64::try_from(requests).unwrap_or_default(), Ordering::Relaxed);
        let size = requests.next_power_of_two().trailing_zeros();
        if let Some(commits) = self.commits_by_size.get(size as usize) {
            commits.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The way to the thread that writes. It finishes what was sent and ends when this is dropped.
pub(crate) struct Writer {
    threads: Threads,
    counters: Arc<Counters>,
}

impl Writer {
    /// Starts the thread. At its end it closes the readers before its own connection: the last one
    /// to close moves the log into the database, and a reader could not.
    pub(crate) fn start(
        connection: Connection,
        busy_timeout: Duration,
        readers: Arc<Readers>,
    ) -> Result<Self, StoreError> {
        // From here on `begin` waits.
        connection
            .busy_timeout(Duration::ZERO)
            .map_err(|error| Failure::from(error).report(Task::Write("opening the database")))?;
        let (requests, queue) = Queue::new();
        let counters = Arc::<Counters>::default();
        let counted = Arc::clone(&counters);
        let work = move || {
            commit_all(&connection, &queue, &counted, busy_timeout);
            readers.close();
            drop(connection);
        };
        let thread = spawn("sessile-sqlite-writer", work)?;
        Ok(Self { threads: Threads::new(requests, vec![thread]), counters })
    }

    /// Has `work` done, and committed, before it is answered.
    pub(crate) async fn submit<T: Send + 'static>(
        &self,
        task: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.threads.submit(Task::Write(task), work).await
    }

    /// Ends the thread once it has done what was sent to it, and waits for that.
    pub(crate) fn close(&self) {
        self.threads.close();
    }

    pub(crate) fn statistics(&self) -> Statistics {
        Statistics {
            commits: self.counters.commits.load(Ordering::Relaxed),
            writes: self.counters.writes.load(Ordering::Relaxed),
            commits_by_size: self
                .counters
                .commits_by_size
                .each_ref()
                .map(|commits| commits.load(Ordering::Relaxed)),
        }
    }
}

fn commit_all(connection: &Connection, queue: &Queue, counters: &Counters, busy_timeout: Duration) {
    let mut retirement = Retirement::default();
    while let Some(first) = queue.next() {
        // What has queued up while the last batch was committed, and no waiting for more. A write
        // whose caller went away is done too: a client that logs out need not stay to see it.
        let batch = iter::once(first).chain(queue.present().take(LARGEST_BATCH - 1)).collect();
        // The batch is dropped in the panic, which tells its callers.
        let finished = catch_unwind(AssertUnwindSafe(|| {
            commit(connection, batch, counters, busy_timeout, &mut retirement);
        }));
        if finished.is_err() {
            tracing::error!("a request to the session database panicked; its batch is undone");
            roll_back(connection);
        }
    }
}

fn commit(
    connection: &Connection,
    mut batch: Vec<Box<dyn Request>>,
    counters: &Counters,
    busy_timeout: Duration,
    retirement: &mut Retirement,
) {
    let outcome = begin(connection, busy_timeout)
        .and_then(|()| retirement.check(connection))
        .and_then(|()| apply_and_commit(connection, &mut batch));
    match &outcome {
        Ok(()) => counters.count(batch.len()),
        Err(_) => roll_back(connection),
    }
    for request in batch {
        request.answer(outcome.as_ref().copied());
    }
}

/// Begins a transaction, and waits while another connection writes. SQLite's own way of waiting
/// looks less and less often, and can miss for long each moment that a busy process leaves.
pub(crate) fn begin(connection: &Connection, busy_timeout: Duration) -> Result<(), Failure> {
    const PAUSE: Duration = Duration::from_millis(1);
    let mut waited = Duration::ZERO;
    loop {
        match execute(connection, "BEGIN IMMEDIATE") {
            Err(failure) if failure.is_busy() && waited < busy_timeout => {
                thread::sleep(PAUSE);
                waited += PAUSE;
            }
            outcome => return outcome,
        }
    }
}

/// Runs the batch in the transaction that was begun. An error is one of the whole batch.
fn apply_and_commit(
    connection: &Connection,
    batch: &mut [Box<dyn Request>],
) -> Result<(), Failure> {
    if let [alone] = batch {
        // Its failure is the transaction's, which is rolled back.
        alone.run(connection)?;
        return execute(connection, "COMMIT");
    }
    for request in batch {
        // A request that fails half-way must not leave its half in the transaction.
        execute(connection, "SAVEPOINT request")?;
        if let Err(failure) = request.run(connection) {
            // A full disk, for one, makes SQLite give the transaction up by itself, and what was
            // done before is gone with it.
            if connection.is_autocommit() {
                return Err(failure);
            }
            execute(connection, "ROLLBACK TO request")?;
        }
        execute(connection, "RELEASE request")?;
    }
    execute(connection, "COMMIT")
}

fn roll_back(connection: &Connection) {
    if connection.is_autocommit() {
        return;
    }
    if let Err(Failure::Sqlite(error)) = execute(connection, "ROLLBACK") {
        tracing::error!(%error, "a transaction on the session database cannot be rolled back");
    }
}

fn execute(connection: &Connection, sql: &str) -> Result<(), Failure> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        future::ready,
        pin::Pin,
        sync::mpsc,
        task::{Context, Poll, Waker},
    };

    use sessile_core::store::StoreErrorKind;
    use tempfile::TempDir;

    use super::*;
    use crate::{connection::open_writer, file::DatabaseFile, options::SqliteOptions};

    const CREATE: &str = "
        CREATE TABLE numbers (number INTEGER PRIMARY KEY, filling BLOB) STRICT;
        CREATE TABLE debts (
            number INTEGER REFERENCES numbers (number) DEFERRABLE INITIALLY DEFERRED
        ) STRICT;
    ";

    async fn writer() -> (Writer, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let file = DatabaseFile::find_or_create(&folder.path().join("sessions.db")).unwrap();
        let options = SqliteOptions::default();
        let connection = open_writer(&file, &options).unwrap();
        let readers = Arc::new(Readers::start([], None).unwrap());
        let writer = Writer::start(connection, options.busy_timeout, readers).unwrap();
        let create = |connection: &Connection| Ok(connection.execute_batch(CREATE)?);
        writer.submit("creating", create).await.unwrap();
        (writer, folder)
    }

    /// Sends the request now, not when it is awaited.
    fn send<'a, T: Send + 'static>(
        writer: &'a Writer,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Pin<Box<dyn Future<Output = Result<T, StoreErrorKind>> + 'a>> {
        let answer = writer.submit("testing", work);
        let mut answer = Box::pin(async { answer.await.map_err(|error| error.kind()) });
        match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => Box::pin(ready(answer)),
            Poll::Pending => answer,
        }
    }

    /// Keeps the writer busy until the sender is dropped, so that what is sent meanwhile becomes
    /// one batch.
    fn hold(writer: &Writer) -> mpsc::Sender<()> {
        let (started, has_started) = mpsc::channel();
        let (release, released) = mpsc::channel();
        drop(send(writer, move |_| {
            drop(started);
            // Both channels say what they have to by closing.
            let _ = released.recv();
            Ok(())
        }));
        let _: Result<(), _> = has_started.recv();
        release
    }

    fn insert(number: i64) -> impl Fn(&Connection) -> Result<(), Failure> {
        move |connection| {
            connection.execute("INSERT INTO numbers VALUES (?, NULL)", [number])?;
            Ok(())
        }
    }

    async fn numbers(writer: &Writer) -> Vec<i64> {
        let work = |connection: &Connection| {
            let mut statement = connection.prepare("SELECT number FROM numbers ORDER BY number")?;
            let numbers = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok(numbers)
        };
        writer.submit("reading", work).await.unwrap()
    }

    #[tokio::test]
    async fn a_request_that_fails_is_undone_alone() {
        let (writer, _folder) = writer().await;
        let release = hold(&writer);
        let first = send(&writer, insert(1));
        let failing = send(&writer, |connection| {
            insert(2)(connection)?;
            insert(1)(connection)
        });
        let last = send(&writer, insert(3));
        let before = writer.statistics();
        drop(release);
        assert_eq!(first.await, Ok(()));
        assert_eq!(failing.await, Err(StoreErrorKind::Other));
        assert_eq!(last.await, Ok(()));
        assert_eq!(numbers(&writer).await, [1, 3]);
        // The one that held the writer, these three together, and the one that read.
        let after = writer.statistics();
        assert_eq!((after.commits - before.commits, after.writes - before.writes), (3, 5));
        let sizes = [0, 1, 2].map(|at| after.commits_by_size[at] - before.commits_by_size[at]);
        assert_eq!(sizes, [2, 0, 1], "two of 1 request, and one of up to 4");
    }

    #[test]
    fn transactions_are_counted_by_their_size() {
        for (requests, size) in
            [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (128, 7), (129, 8), (LARGEST_BATCH, SIZES - 1)]
        {
            let counters = Counters::default();
            counters.count(requests);
            let counted = counters.commits_by_size.map(AtomicU64::into_inner);
            assert_eq!(counted.iter().position(|commits| *commits == 1), Some(size), "{requests}");
        }
    }

    #[tokio::test]
    async fn a_request_that_comes_alone_and_fails_is_undone() {
        let (writer, _folder) = writer().await;
        assert_eq!(send(&writer, insert(1)).await, Ok(()));
        let failing = send(&writer, |connection| {
            insert(2)(connection)?;
            insert(1)(connection)
        });
        assert_eq!(failing.await, Err(StoreErrorKind::Other));
        assert_eq!(numbers(&writer).await, [1]);
        assert_eq!(send(&writer, insert(3)).await, Ok(()));
        assert_eq!(numbers(&writer).await, [1, 3]);
    }

    #[tokio::test]
    async fn a_panic_is_reported_and_the_writer_goes_on() {
        let (writer, _folder) = writer().await;
        let release = hold(&writer);
        let first = send(&writer, insert(1));
        let panicking = send(&writer, |_| -> Result<(), Failure> { panic!("as the test wants") });
        let last = send(&writer, insert(2));
        drop(release);
        for request in [first, panicking, last] {
            assert_eq!(request.await, Err(StoreErrorKind::Unavailable));
        }
        assert!(numbers(&writer).await.is_empty());
        assert_eq!(send(&writer, insert(3)).await, Ok(()));
        assert_eq!(numbers(&writer).await, [3]);
    }

    #[tokio::test]
    async fn nothing_is_acknowledged_when_the_commit_fails() {
        let (writer, _folder) = writer().await;
        let release = hold(&writer);
        let first = send(&writer, insert(1));
        // SQLite looks at this reference when the transaction is committed.
        let failing = send(&writer, |connection| {
            connection.execute("INSERT INTO debts VALUES (99)", [])?;
            Ok(())
        });
        let last = send(&writer, insert(2));
        drop(release);
        for request in [first, failing, last] {
            assert_eq!(request.await, Err(StoreErrorKind::Other));
        }
        assert!(numbers(&writer).await.is_empty());
        assert_eq!(send(&writer, insert(3)).await, Ok(()));
    }

    #[tokio::test]
    async fn a_full_database_is_reported_and_usable_when_there_is_room() {
        let (writer, _folder) = writer().await;
        let set_size = |pages: u32| {
            writer.submit("sizing", move |connection| {
                let sql = format!("PRAGMA max_page_count = {pages}");
                Ok(connection.query_row(&sql, [], |_| Ok(()))?)
            })
        };
        set_size(1).await.unwrap();
        let release = hold(&writer);
        let first = send(&writer, insert(1));
        let failing = send(&writer, |connection| {
            connection.execute("INSERT INTO numbers VALUES (2, zeroblob(1000000))", [])?;
            Ok(())
        });
        drop(release);
        assert_eq!(failing.await, Err(StoreErrorKind::NotWritable));
        // Whether or not SQLite gave the whole transaction up, the answer must be the truth.
        let kept: &[i64] = if first.await.is_ok() { &[1] } else { &[] };
        assert_eq!(numbers(&writer).await, kept);
        set_size(1_000_000).await.unwrap();
        assert_eq!(send(&writer, insert(3)).await, Ok(()));
    }

    #[tokio::test]
    async fn what_was_sent_is_done_though_nobody_waits() {
        let (writer, folder) = writer().await;
        let release = hold(&writer);
        drop(send(&writer, insert(1)));
        let last = send(&writer, insert(2));
        drop(release);
        assert_eq!(last.await, Ok(()));
        assert_eq!(numbers(&writer).await, [1, 2]);
        drop(folder);
    }
}
