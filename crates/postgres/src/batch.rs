//! Requests of one kind that share a statement.

use std::{future::Future, mem, sync::Arc, time::Duration};

use sessile_core::{AppId, SessionHandle, store::StoreError};
use tokio::{sync::oneshot, time::Instant};
use tokio_postgres::Row;

use crate::{
    connection::Connection,
    failure::{Failure, Task},
    lane::Lane,
    pool::Turn,
    record::column_of,
    shared::Shared,
};

/// How often a statement is repeated that met with another one's.
const ATTEMPTS: usize = 8;

/// After so many attempts that met with a lock, nobody looks any more for requests that would not:
/// there may be none. Two locked rows among the most that are in a statement are found with fewer.
const MOST_MISSES: usize = 16;

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

    /// Whether the next statement may be sent behind this one before it is answered. Such a
    /// statement is a transaction by itself, and keeps to its [`Patience`].
    const IS_FOLLOWED: bool;

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
        patience: Patience,
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

/// How long a statement waits for a row that somebody else has locked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Patience(Option<Duration>);

impl Patience {
    /// As long as another node needs for a statement: others wait behind this one.
    const SHORT: Self = Self(Some(Duration::from_millis(10)));

    /// As long as any statement may take.
    pub(crate) const LONG: Self = Self(None);

    /// The value of `lock_timeout`; `None` for what the session has.
    pub(crate) fn lock_timeout(self) -> Option<String> {
        // None at all would be for ever.
        self.0.map(|time| format!("{}ms", time.as_millis().max(1)))
    }
}

/// In SQL, something that is always so; whoever asks waits no longer for a lock from then on, until
/// the transaction ends, than this parameter says. PostgreSQL asks before it looks for rows, because
/// the answer does not depend on them.
macro_rules! waiting_no_longer_than {
    ($parameter:literal) => {
        concat!("(SELECT set_config('lock_timeout', ", $parameter, "::text, true)) IS NOT NULL")
    };
}

pub(crate) use waiting_no_longer_than;

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

/// A request, and who waits for its answer.
pub(crate) struct Waiting<W: Gathered> {
    pub(crate) sent_at: Instant,
    pub(crate) work: W,
    pub(crate) caller: oneshot::Sender<Result<W::Answer, StoreError>>,
}

/// Requests that are being done.
pub(crate) struct Batch<'a, W: Gathered> {
    pub(crate) lane: &'a Lane<W>,
    pub(crate) waiting: Vec<Waiting<W>>,
}

impl<'a, W: Gathered> Batch<'a, W> {
    /// Does them all, and answers. Those whose rows are locked for long make way for the others and
    /// for what was sent behind them, and wait on a connection of their own.
    pub(crate) async fn run(self, turn: Arc<Turn>, shared: &Shared) {
        let patience = if W::IS_FOLLOWED { Patience::SHORT } else { Patience::LONG };
        let outcome = self.attempt(&turn, shared, patience).await;
        if patience == Patience::LONG || !is_locked(&outcome) {
            return self.finish(outcome, &turn, shared).await;
        }
        let locked = self.finish_those_not_locked(&turn, shared).await;
        // First of all: whoever waits for a turn while having one may wait for ever.
        drop(turn);
        let Some(sent_at) = locked.waiting.iter().map(|waiting| waiting.sent_at).max() else {
            return;
        };
        let turn = match shared.writers.turn().await {
            Ok(turn) => turn,
            Err(failure) => return locked.answer(Err(failure)),
        };
        // Where nobody waits for the answer any more, nothing should happen.
        let rest = shared.request_timeout().saturating_sub(sent_at.elapsed());
        let outcome = locked.attempt(&turn, shared, Patience(Some(rest))).await;
        locked.finish(outcome, &turn, shared).await;
    }

    async fn attempt(
        &self,
        turn: &Turn,
        shared: &Shared,
        patience: Patience,
    ) -> Result<Vec<W::Answer>, Failure> {
        let works: Vec<&W> = self.waiting.iter().map(|waiting| &waiting.work).collect();
        let connection = turn.connection().await?;
        let mut attempts = 1..ATTEMPTS;
        loop {
            match W::run(&works, &connection, shared, patience).await {
                Err(failure) if failure.is_conflict() && attempts.next().is_some() => {}
                outcome => return outcome,
            }
        }
    }

    /// Looks by halves for those that are locked, and gives them; finishes the others.
    async fn finish_those_not_locked(self, turn: &Turn, shared: &Shared) -> Self {
        if self.waiting.len() == 1 {
            return self;
        }
        let mut locked = Self { lane: self.lane, waiting: Vec::new() };
        let mut parts = self.halves();
        let mut misses = 0;
        while let Some(mut part) = parts.pop() {
            if misses < MOST_MISSES {
                let outcome = part.attempt(turn, shared, Patience::SHORT).await;
                if !is_locked(&outcome) {
                    part.finish(outcome, turn, shared).await;
                    continue;
                }
                misses += 1;
                if part.waiting.len() > 1 {
                    parts.append(&mut part.halves());
                    continue;
                }
            }
            locked.waiting.append(&mut part.waiting);
        }
        locked.waiting.sort_by(|one, other| one.work.keys().cmp(other.work.keys()));
        locked
    }

    /// Answers, after another attempt where that may have another outcome: where all were refused,
    /// each by itself, so that one which cannot be done does not take the others with it.
    async fn finish(self, outcome: Result<Vec<W::Answer>, Failure>, turn: &Turn, shared: &Shared) {
        let is_for_one = outcome.as_ref().is_err_and(Failure::may_be_for_one);
        if !is_for_one || self.waiting.len() == 1 {
            return self.answer_or_repeat(outcome, turn, shared).await;
        }
        for alone in self.split() {
            let outcome = alone.attempt(turn, shared, Patience::LONG).await;
            alone.answer_or_repeat(outcome, turn, shared).await;
        }
    }

    async fn answer_or_repeat(
        self,
        outcome: Result<Vec<W::Answer>, Failure>,
        turn: &Turn,
        shared: &Shared,
    ) {
        let Err(lost @ Failure::Lost(_)) = outcome else { return self.answer(outcome) };
        for alone in self.split() {
            let mut repeated = None;
            if let ([waiting], Ok(connection)) = (&*alone.waiting, turn.connection().await) {
                repeated = waiting.work.repeat(&connection, shared).await;
            }
            let outcome = repeated.unwrap_or_else(|| Err(lost.clone()));
            alone.answer(outcome.map(|answer| vec![answer]));
        }
    }

    fn answer(mut self, outcome: Result<Vec<W::Answer>, Failure>) {
        let waiting = mem::take(&mut self.waiting);
        self.lane.release(&waiting);
        let mut answers = outcome.map(Vec::into_iter);
        for waiting in waiting {
            let answer = match &mut answers {
                Ok(answers) => answers.next().ok_or(UNREADABLE),
                Err(failure) => Err(failure.clone()),
            };
            // A caller that has gone away wants no answer.
            drop(waiting.caller.send(answer.map_err(|failure| failure.report(W::TASK))));
        }
    }

    /// Each by itself.
    fn split(mut self) -> Vec<Self> {
        let each = mem::take(&mut self.waiting).into_iter();
        each.map(|waiting| Self { lane: self.lane, waiting: vec![waiting] }).collect()
    }

    /// In two parts, of which none is empty where there are two or more.
    fn halves(mut self) -> Vec<Self> {
        let second = self.waiting.split_off(self.waiting.len() / 2);
        let second = Self { lane: self.lane, waiting: second };
        vec![self, second]
    }
}

impl<W: Gathered> Drop for Batch<'_, W> {
    /// Where the task ends half-way, the callers learn it from their dropped senders.
    fn drop(&mut self) {
        self.lane.release(&self.waiting);
    }
}

fn is_locked<T>(outcome: &Result<T, Failure>) -> bool {
    outcome.as_ref().is_err_and(Failure::is_lock_timeout)
}

const UNREADABLE: Failure =
    Failure::Value("PostgreSQL did not answer what was asked; this is a bug in Sessile");
