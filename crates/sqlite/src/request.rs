//! Requests on their way to a thread that has a connection, and the answers on their way back.

use std::{
    sync::{Mutex, PoisonError, RwLock},
    thread::JoinHandle,
};

use crossbeam_channel::Sender;
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

/// The way to threads that each have a connection. They finish what was sent to them and end when
/// this is closed or dropped.
pub(crate) struct Threads {
    requests: RwLock<Option<Sender<Box<dyn Request>>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Threads {
    pub(crate) fn new(requests: Sender<Box<dyn Request>>, threads: Vec<JoinHandle<()>>) -> Self {
        Self { requests: RwLock::new(Some(requests)), threads: Mutex::new(threads) }
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
        let requests = self.requests.read().unwrap_or_else(PoisonError::into_inner);
        let requests = requests.as_ref().ok_or_else(|| task.closed())?;
        // A thread that is gone has dropped its end of the channel, and all requests in it.
        requests.send(job).map_err(|_| task.interrupted())
    }

    /// Ends the threads once they have done what was sent to them, and waits for that.
    pub(crate) fn close(&self) {
        drop(self.requests.write().unwrap_or_else(PoisonError::into_inner).take());
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            // One that panicked has ended as well, and has said so.
            drop(thread.join());
        }
    }
}
