//! Gathering: requests of one kind that come while a statement is under way share the next one.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    future::Future,
    mem,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sessile_core::{AppId, SessionHandle, store::StoreError};
use tokio::{sync::oneshot, time::Instant};
use tokio_postgres::Row;

use crate::{
    connection::{Connection, within},
    failure::{Failure, Task},
    pool::Turn,
    record::column_of,
    shared::Shared,
};

/// As many waiting requests are worth a statement of their own beside the one that is under way:
/// each costs the server, and the wire, about as much as several rows.
const ENOUGH: usize = 4;

/// After this a statement has been under way for so long that no request waits for its end.
const LONG: Duration = Duration::from_millis(2);

/// How often others may go on before a statement is made up: whoever was answered by the last one
/// may want to be in the next.
const TURNS_OF_OTHERS: usize = 2;

/// The most requests in one statement.
const LARGEST_BATCH: usize = 128;

/// The most that the texts in one statement may take, in bytes, unless one alone takes more.
const LARGEST_TEXTS: usize = 1024 * 1024;

/// How often a statement is repeated that met with another one's.
const ATTEMPTS: usize = 8;

/// A session, in the order in which rows are locked.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    pub(crate) app: AppId,
    pub(crate) tenant: String,
    pub(crate) handle: SessionHandle,
}

impl Key {
    pub(crate) fn new(app: &AppId, handle: &SessionHandle) -> Self {
        let tenant = handle.tenant().as_str().to_owned();
        Self { app: app.clone(), tenant, handle: handle.clone() }
    }
}

/// A request that may share a statement with others of its kind.
pub(crate) trait Gathered: Send + Sync + Sized + 'static {
    /// What the caller is told.
    type Answer: Send + 'static;

    /// What it does.
    const TASK: Task;

    /// Where requests of this kind wait.
    fn lane(shared: &Shared) -> &Lane<Self>;

    /// The sessions that it changes; no two requests in one statement have one in common.
    fn keys(&self) -> &[Key];

    /// How many bytes it carries beside names and numbers.
    fn size(&self) -> usize;

    /// Does all of `batch` in one statement, and gives their answers in the same order. It comes in
    /// the order of the keys.
    fn run(
        batch: &[&Self],
        connection: &Connection,
        shared: &Shared,
    ) -> impl Future<Output = Result<Vec<Self::Answer>, Failure>> + Send;

    /// Does it again after the connection was lost before the answer came. `None` where doing it
    /// twice would not be the same as once, or could not be told from it.
    fn repeat(
        &self,
        _connection: &Connection,
        _shared: &Shared,
    ) -> impl Future<Output = Option<Result<Self::Answer, Failure>>> + Send {
        async { None }
    }
}

/// A column of the parameters: one value of each request.
pub(crate) fn each<'a, W, T>(batch: &[&'a W], value: impl Fn(&'a W) -> T) -> Vec<T> {
    batch.iter().map(|work| value(work)).collect()
}

/// The place of a request in its statement, which is the row's first column and counts from one.
pub(crate) fn place_of(row: &Row, count: usize) -> Result<usize, Failure> {
    let number: i64 = column_of(row, 0)?;
    let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    place.filter(|place| *place < count).ok_or(UNREADABLE)
}

struct Waiting<W: Gathered> {
    sent_at: Instant,
    work: W,
    caller: oneshot::Sender<Result<W::Answer, StoreError>>,
}

struct State<W: Gathered> {
    queue: VecDeque<Waiting<W>>,
    /// The sessions of the requests that are being done.
    busy: HashSet<Key>,
    /// The number of tasks that take from the queue.
    servers: usize,
    /// Those of them that will take again before long.
    prompt_servers: usize,
}

impl<W: Gathered> State<W> {
    /// Whether what waits is worth one server more, which is counted then.
    fn hire(&mut self, most_servers: usize) -> bool {
        let is_worth_it = self.prompt_servers == 0 || self.queue.len() >= ENOUGH;
        let hires = !self.queue.is_empty() && is_worth_it && self.servers < most_servers;
        self.servers += usize::from(hires);
        self.prompt_servers += usize::from(hires);
        hires
    }
}

/// The requests of one kind.
pub(crate) struct Lane<W: Gathered> {
    state: Mutex<State<W>>,
    most_servers: usize,
}

impl<W: Gathered> Lane<W> {
    pub(crate) fn new(most_servers: usize) -> Self {
        let state =
            State { queue: VecDeque::new(), busy: HashSet::new(), servers: 0, prompt_servers: 0 };
        Self { state: Mutex::new(state), most_servers }
    }

    fn with<T>(&self, step: impl FnOnce(&mut State<W>) -> T) -> T {
        step(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets others have the sessions of these requests.
    fn release(&self, done: &[Waiting<W>]) {
        self.with(|state| {
            for key in done.iter().flat_map(|waiting| waiting.work.keys()) {
                state.busy.remove(key);
            }
        });
    }
}

impl<W: Gathered> fmt::Debug for Lane<W> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Lane").field("task", &W::TASK).finish_non_exhaustive()
    }
}

/// Has `work` done, at once where nothing else is, and waits for its answer.
pub(crate) async fn submit<W: Gathered>(
    shared: &Arc<Shared>,
    work: W,
) -> Result<W::Answer, StoreError> {
    let (caller, answer) = oneshot::channel();
    let lane = W::lane(shared);
    let needs_server = lane.with(|state| {
        state.queue.push_back(Waiting { sent_at: Instant::now(), work, caller });
        state.hire(lane.most_servers)
    });
    if needs_server {
        start_serving::<W>(shared);
    }
    match within(shared.runtime(), shared.request_timeout(), answer).await {
        Some(Ok(answer)) => answer,
        Some(Err(_)) => Err(Failure::Interrupted.report(W::TASK)),
        None => Err(Failure::TimedOut.report(W::TASK)),
    }
}

fn start_serving<W: Gathered>(shared: &Arc<Shared>) {
    shared.runtime().spawn(serve::<W>(Arc::clone(shared)));
}

/// Takes from the queue until there is nothing that can be taken.
async fn serve<W: Gathered>(shared: Arc<Shared>) {
    let mut server = Server { lane: W::lane(&shared), is_counted: true, is_prompt: true };
    loop {
        let mut turn = match shared.writers.turn().await {
            Ok(turn) => turn,
            Err(failure) => return server.refuse_all(&failure),
        };
        for _ in 0..TURNS_OF_OTHERS {
            tokio::task::yield_now().await;
        }
        let Some(batch) = server.take(shared.request_timeout()) else { return };
        let answers = server.watch(&shared, batch.run(&mut turn, &shared)).await;
        drop(turn);
        batch.answer(answers);
    }
}

/// Does the batch in one statement; or one by one, where it was refused as a whole, so that one
/// which cannot be done does not take the others with it.
async fn run<W: Gathered>(
    batch: &[&W],
    connection: &Connection,
    shared: &Shared,
) -> Vec<Result<W::Answer, Failure>> {
    let failure = match persist(batch, connection, shared).await {
        Ok(answers) => return answers.into_iter().map(Ok).collect(),
        Err(failure) => failure,
    };
    if batch.len() == 1 || !matches!(failure, Failure::Refused { .. } | Failure::Value(_)) {
        return batch.iter().map(|_| Err(failure.clone())).collect();
    }
    let mut answers = Vec::with_capacity(batch.len());
    for work in batch {
        let alone = persist(&[*work], connection, shared).await;
        answers.push(alone.and_then(|answers| answers.into_iter().next().ok_or(UNREADABLE)));
    }
    answers
}

const UNREADABLE: Failure =
    Failure::Value("PostgreSQL did not answer what was asked; this is a bug in Sessile");

async fn persist<W: Gathered>(
    batch: &[&W],
    connection: &Connection,
    shared: &Shared,
) -> Result<Vec<W::Answer>, Failure> {
    let mut attempts = 1..ATTEMPTS;
    loop {
        match W::run(batch, connection, shared).await {
            Err(failure) if failure.is_conflict() && attempts.next().is_some() => {}
            outcome => return outcome,
        }
    }
}

/// A task that takes from a queue.
struct Server<'a, W: Gathered> {
    lane: &'a Lane<W>,
    is_counted: bool,
    is_prompt: bool,
}

impl<'a, W: Gathered> Server<'a, W> {
    /// The next batch; without one, the server is none any more. What touches a session that is in
    /// the batch already, or that another statement changes at this moment, stays in the queue:
    /// whoever does that statement comes back for it. What has waited for longer than its caller is
    /// not done any more.
    fn take(&mut self, timeout: Duration) -> Option<Batch<'a, W>> {
        let waiting = self.lane.with(|state| {
            let mut taken = Vec::new();
            let mut size = 0;
            for waiting in mem::take(&mut state.queue) {
                if waiting.sent_at.elapsed() >= timeout {
                    drop(waiting.caller.send(Err(Failure::TimedOut.report(W::TASK))));
                    continue;
                }
                let keys = waiting.work.keys();
                let fits = taken.is_empty()
                    || (taken.len() < LARGEST_BATCH && size + waiting.work.size() <= LARGEST_TEXTS);
                if fits && !keys.iter().any(|key| state.busy.contains(key)) {
                    size += waiting.work.size();
                    state.busy.extend(keys.iter().cloned());
                    taken.push(waiting);
                } else {
                    state.queue.push_back(waiting);
                }
            }
            // Everywhere the same order, so that nobody waits for somebody who waits for him.
            taken.sort_by(|one, other| one.work.keys().cmp(other.work.keys()));
            if taken.is_empty() {
                // Under the same lock: what comes next must see that it needs another server.
                self.leave(state);
            }
            taken
        });
        (!waiting.is_empty()).then_some(Batch { lane: self.lane, waiting })
    }

    /// Waits for the end of what it does. When that takes long, another server is hired for what
    /// waits then, or comes later.
    async fn watch<T>(&mut self, shared: &Arc<Shared>, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        if let Ok(done) = tokio::time::timeout(LONG, &mut work).await {
            return done;
        }
        self.is_prompt = false;
        let hires = self.lane.with(|state| {
            state.prompt_servers -= 1;
            state.hire(self.lane.most_servers)
        });
        if hires {
            start_serving::<W>(shared);
        }
        let done = work.await;
        self.is_prompt = true;
        self.lane.with(|state| state.prompt_servers += 1);
        done
    }

    fn leave(&mut self, state: &mut State<W>) {
        state.servers -= usize::from(mem::take(&mut self.is_counted));
        state.prompt_servers -= usize::from(mem::take(&mut self.is_prompt));
    }

    fn refuse_all(&self, failure: &Failure) {
        for waiting in self.lane.with(|state| mem::take(&mut state.queue)) {
            drop(waiting.caller.send(Err(failure.report(W::TASK))));
        }
    }
}

impl<W: Gathered> Drop for Server<'_, W> {
    fn drop(&mut self) {
        if self.is_counted {
            self.lane.with(|state| self.leave(state));
        }
    }
}

/// Requests that are being done.
struct Batch<'a, W: Gathered> {
    lane: &'a Lane<W>,
    waiting: Vec<Waiting<W>>,
}

impl<W: Gathered> Batch<'_, W> {
    async fn run(&self, turn: &mut Turn<'_>, shared: &Shared) -> Vec<Result<W::Answer, Failure>> {
        let works: Vec<_> = self.waiting.iter().map(|waiting| &waiting.work).collect();
        let mut answers = match turn.connection().await {
            Ok(connection) => run(&works, connection, shared).await,
            Err(failure) => works.iter().map(|_| Err(failure.clone())).collect(),
        };
        for (work, answer) in works.iter().zip(&mut answers) {
            if let Err(Failure::Lost(_)) = answer
                && let Ok(connection) = turn.connection().await
                && let Some(repeated) = work.repeat(connection, shared).await
            {
                *answer = repeated;
            }
        }
        answers
    }

    fn answer(mut self, answers: Vec<Result<W::Answer, Failure>>) {
        let waiting = mem::take(&mut self.waiting);
        self.lane.release(&waiting);
        for (waiting, answer) in waiting.into_iter().zip(answers) {
            // A caller that has gone away wants no answer.
            drop(waiting.caller.send(answer.map_err(|failure| failure.report(W::TASK))));
        }
    }
}

impl<W: Gathered> Drop for Batch<'_, W> {
    /// Where the task ends half-way, the callers learn it from their dropped senders.
    fn drop(&mut self) {
        self.lane.release(&self.waiting);
    }
}
