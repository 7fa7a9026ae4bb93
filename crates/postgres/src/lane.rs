//! Gathering: requests of one kind that come while a statement is under way share the next one.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    future::Future,
    mem,
    pin::pin,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use sessile_core::store::StoreError;
use tokio::{sync::oneshot, time::Instant};

use crate::{
    batch::{Batch, Gathered, Key, Waiting, in_order},
    connection::within,
    failure::Failure,
    pool::Turn,
    shared::Shared,
};

/// So many waiting requests for each statement that is under way are worth another one: it costs the
/// server, and the wire, about as much as several rows.
const ENOUGH: usize = 4;

/// After this a statement has been under way for so long that no request waits for its end.
const LONG: Duration = Duration::from_millis(2);

/// How many statements a connection has at once: one that is being done, and one that is there
/// when it ends, so that the server need not wait for the wire, or wake up.
const STATEMENTS_AT_ONCE: usize = 2;

/// The most requests in one statement.
const LARGEST_BATCH: usize = 128;

/// The most that the texts in one statement may take, in bytes, unless one alone takes more.
pub(crate) const LARGEST_TEXTS: usize = 1024 * 1024;

struct State<W: Gathered> {
    queue: VecDeque<Waiting<W>>,
    /// The sessions of the requests that are being done, or are set aside.
    busy: HashSet<Key>,
    /// Requests whose sessions another program has locked.
    set_aside: Vec<Waiting<W>>,
    /// Whether a task asks for them.
    is_asked_for: bool,
    /// The number of tasks that take from the queue.
    servers: usize,
    /// Those of them that will take again before long.
    prompt_servers: usize,
    /// The turns in which another statement may be sent behind what is under way.
    turns: Vec<Weak<Turn>>,
}

impl<W: Gathered> State<W> {
    /// Whether what waits is worth a statement, where so many servers will take from the queue
    /// before long.
    fn is_worth_a_statement(&self, prompt_servers: usize) -> bool {
        !self.queue.is_empty() && self.queue.len() >= ENOUGH * prompt_servers
    }

    /// Whether what waits is worth one server more, which is counted then.
    fn hire(&mut self, most_servers: usize) -> bool {
        let hires = self.is_worth_a_statement(self.prompt_servers) && self.servers < most_servers;
        self.servers += usize::from(hires);
        self.prompt_servers += usize::from(hires);
        hires
    }

    fn release(&mut self, done: &[Waiting<W>]) {
        for key in done.iter().flat_map(|waiting| waiting.work.keys()) {
            self.busy.remove(key);
        }
    }

    /// Lets other servers share a turn.
    fn share(&mut self, turn: &Arc<Turn>) {
        self.turns.retain(|turn| turn.strong_count() > 0);
        self.turns.push(Arc::downgrade(turn));
    }

    /// A turn that has room for one statement more.
    fn turn_with_room(&self) -> Option<Arc<Turn>> {
        let has_room = |turn: &Arc<Turn>| Arc::strong_count(turn) <= STATEMENTS_AT_ONCE;
        self.turns.iter().filter_map(Weak::upgrade).find(has_room)
    }
}

/// The requests of one kind.
pub(crate) struct Lane<W: Gathered> {
    state: Mutex<State<W>>,
    most_servers: usize,
}

impl<W: Gathered> Lane<W> {
    pub(crate) fn new(writers: usize) -> Self {
        let state = State {
            queue: VecDeque::new(),
            busy: HashSet::new(),
            set_aside: Vec::new(),
            is_asked_for: false,
            servers: 0,
            prompt_servers: 0,
            turns: Vec::new(),
        };
        let most_servers = if W::IS_FOLLOWED { writers * STATEMENTS_AT_ONCE } else { writers };
        Self { state: Mutex::new(state), most_servers }
    }

    fn with<T>(&self, step: impl FnOnce(&mut State<W>) -> T) -> T {
        step(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets others have the sessions of these requests.
    pub(crate) fn release(&self, done: &[Waiting<W>]) {
        self.with(|state| state.release(done));
    }

    /// Keeps these requests for whoever asks for them. Says whether that has to be started.
    pub(crate) fn set_aside(&self, locked: &mut Vec<Waiting<W>>) -> bool {
        self.with(|state| {
            state.set_aside.append(locked);
            !state.set_aside.is_empty() && !mem::replace(&mut state.is_asked_for, true)
        })
    }

    /// Takes them, those first that were set aside first. Where there are none, nobody asks for them
    /// any more.
    pub(crate) fn take_set_aside(&self) -> Option<Batch<'_, W>> {
        let waiting = self.with(|state| {
            state.is_asked_for = !state.set_aside.is_empty();
            mem::take(&mut state.set_aside)
        });
        (!waiting.is_empty()).then_some(Batch { lane: self, waiting })
    }

    pub(crate) fn drop_set_aside(&self) {
        self.with(|state| {
            let dropped = mem::take(&mut state.set_aside);
            state.is_asked_for = false;
            state.release(&dropped);
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

/// Hires a server for what waits, if nobody will take it before long.
pub(crate) fn hire_if_wanted<W: Gathered>(shared: &Arc<Shared>) {
    let lane = W::lane(shared);
    if lane.with(|state| state.hire(lane.most_servers)) {
        start_serving::<W>(shared);
    }
}

fn start_serving<W: Gathered>(shared: &Arc<Shared>) {
    shared.runtime().spawn(serve::<W>(Arc::clone(shared)));
}

/// Takes from the queue until there is nothing that should be taken.
async fn serve<W: Gathered>(shared: Arc<Shared>) {
    let mut server = Server { lane: W::lane(&shared), is_counted: true, is_prompt: true };
    loop {
        let turn = match server.turn(&shared).await {
            Ok(turn) => turn,
            Err(failure) => return server.refuse_all(&failure),
        };
        let Some(batch) = server.take(shared.request_timeout()) else { return };
        server.watch(&shared, turn, |turn| batch.run(turn, &shared)).await;
    }
}

/// A task that takes from a queue.
struct Server<'a, W: Gathered> {
    lane: &'a Lane<W>,
    is_counted: bool,
    is_prompt: bool,
}

impl<'a, W: Gathered> Server<'a, W> {
    /// A turn, shared with another server where that may be and nobody else waits for one.
    async fn turn(&self, shared: &Shared) -> Result<Arc<Turn>, Failure> {
        if !shared.writers.are_wanted()
            && let Some(turn) = self.lane.with(|state| state.turn_with_room())
        {
            return Ok(turn);
        }
        let turn = Arc::new(shared.writers.turn().await?);
        if W::IS_FOLLOWED {
            self.lane.with(|state| state.share(&turn));
        }
        Ok(turn)
    }

    /// The next batch; without one, the server is none any more. Where few wait, another server
    /// takes them with those that come until then. What touches a session that is in the batch
    /// already, or that another statement changes at this moment, stays in the queue: whoever does
    /// that statement comes back for it. What has waited for longer than its caller is not done any
    /// more.
    fn take(&mut self, timeout: Duration) -> Option<Batch<'a, W>> {
        let waiting = self.lane.with(|state| {
            let mut taken = Vec::new();
            let mut size = 0;
            let others = state.prompt_servers - usize::from(self.is_prompt);
            if !state.is_worth_a_statement(others) {
                self.leave(state);
                return taken;
            }
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
            taken.sort_by(in_order);
            if taken.is_empty() {
                // Under the same lock: what comes next must see that it needs another server.
                self.leave(state);
            }
            taken
        });
        (!waiting.is_empty()).then_some(Batch { lane: self.lane, waiting })
    }

    /// Waits for the end of what is done in `turn`. When that takes long, nothing more is sent
    /// behind it, and another server is hired for what waits then, or comes later.
    async fn watch<Done: Future<Output = ()>>(
        &mut self,
        shared: &Arc<Shared>,
        turn: Arc<Turn>,
        work: impl FnOnce(Arc<Turn>) -> Done,
    ) {
        let this_turn = Arc::downgrade(&turn);
        let mut work = pin!(work(turn));
        if tokio::time::timeout(LONG, &mut work).await.is_ok() {
            return;
        }
        self.is_prompt = false;
        let hires = self.lane.with(|state| {
            state.turns.retain(|turn| !Weak::ptr_eq(turn, &this_turn));
            state.prompt_servers -= 1;
            state.hire(self.lane.most_servers)
        });
        if hires {
            start_serving::<W>(shared);
        }
        work.await;
        self.is_prompt = true;
        self.lane.with(|state| state.prompt_servers += 1);
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
