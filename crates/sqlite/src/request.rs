//! Requests on their way to a thread that has a connection, and the answers on their way back.

use std::{
    iter,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use async_channel::{Receiver, Sender};
use futures_channel::oneshot;
use rusqlite::Connection;
use sessile_core::store::StoreError;

use crate::failure::{Failure, Task};

/// A request, whatever its answer is.
pub(crate) trait Request: Send {
    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;

    /// Does the work, and keeps its outcome for [`Request::answer`].
    fn run(&mut self, connection: &Connection) -> Result<(), Failure>;

    /// Gives the caller the outcome of the work; or of the batch that it was in, where that
    /// failed as a whole.
    fn answer(self: Box<Self>, batch: Result<(), &Failure>);
}

struct Job<T, Work> {
    task: Task,
    work: Option<Work>,
    outcome: Option<Result<T, Failure>>,
    caller: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, Work> Request for Job<T, Work>
where
    T: Send,
    Work: FnOnce(&Connection) -> Result<T, Failure> + Send,
{
    fn is_abandoned(&self) -> bool {
        self.caller.is_canceled()
    }

    fn run(&mut self, connection: &Connection) -> Result<(), Failure> {
        let Some(work) = self.work.take() else { return Ok(()) };
        let outcome = work(connection);
        let summary = outcome.as_ref().map(drop).map_err(Clone::clone);
        self.outcome = Some(outcome);
        summary
    }

    fn answer(self: Box<Self>, batch: Result<(), &Failure>) {
        let Self { task, outcome, caller, .. } = *self;
        let answer = match (batch, outcome) {
            (Err(failure), _) => Err(failure.report(task)),
            (Ok(()), Some(outcome)) => outcome.map_err(|failure| failure.report(task)),
            (Ok(()), None) => Err(task.interrupted()),
        };
        // A caller that has gone away wants no answer.
        drop(caller.send(answer));
    }
}

/// What was sent to a thread, or to several that share it. A thread that waits sleeps at once: the
/// next request may be long in coming, and the disk takes longer than to wake up.
#[derive(Clone)]
pub(crate) struct Queue(Receiver<Box<dyn Request>>);

impl Queue {
    /// A queue, and the way into it.
    pub(crate) fn new() -> (Sender<Box<dyn Request>>, Self) {
        let (requests, queue) = async_channel::unbounded();
        (requests, Self(queue))
    }

    /// The next request; waits for it. `None` when there will be none.
    pub(crate) fn next(&self) -> Option<Box<dyn Request>> {
        self.0.recv_blocking().ok()
    }

    /// The requests that are there, without waiting.
    pub(crate) fn present(&self) -> impl Iterator<Item = Box<dyn Request>> {
        iter::from_fn(|| self.0.try_recv().ok())
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // Nobody would answer what is left, and the last to go tells the callers by dropping it.
        if self.0.receiver_count() == 1 {
            self.0.close();
            self.present().for_each(drop);
        }
    }
}

/// The way to threads that each have a connection. They finish what was sent to them and end when
/// this is closed or dropped.
pub(crate) struct Threads {
    requests: Sender<Box<dyn Request>>,
    is_closed: AtomicBool,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Threads {
    pub(crate) fn new(requests: Sender<Box<dyn Request>>, threads: Vec<JoinHandle<()>>) -> Self {
        Self { requests, is_closed: AtomicBool::new(false), threads: Mutex::new(threads) }
    }

    /// Has `work` done by one of the threads, and waits for its answer.
    pub(crate) async fn submit<T: Send + 'static>(
        &self,
        task: Task,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (caller, answer) = oneshot::channel();
        let job = Job { task, work: Some(work), outcome: None, caller };
        self.send(Box::new(job), task)?;
        answer.await.unwrap_or_else(|_| Err(task.interrupted()))
    }

    fn send(&self, job: Box<dyn Request>, task: Task) -> Result<(), StoreError> {
        self.requests.try_send(job).map_err(|_| {
            // Otherwise the threads are gone.
            if self.is_closed.load(Ordering::Acquire) { task.closed() } else { task.interrupted() }
        })
    }

    /// Ends the threads once they have done what was sent to them, and waits for that.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.requests.close();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            // One that panicked has ended as well, and has said so.
            drop(thread.join());
        }
    }
}
