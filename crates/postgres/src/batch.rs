//! Requests of one kind that share a statement.

use std::{cmp::Ordering, future::Future, mem, sync::Arc, time::Duration};

use sessile_core::{AppId, SessionHandle, store::StoreError};
use tokio::{sync::oneshot, time::Instant};
use tokio_postgres::Row;

use crate::{
    connection::Connection,
    failure::{Failure, Task},
    lane::{LARGEST_TEXTS, Lane, hire_if_wanted},
    locked,
    pool::Turn,
    record::column_of,
    shared::Shared,
};

/// How often a statement is repeated that met with another one's.
const ATTEMPTS: usize = 8;

/// After so many attempts that met with a lock, nobody looks on at once for requests that would not:
/// there may be none. Two locked rows among the most that are in a statement are found with fewer.
const MOST_MISSES: usize = 20;

/// So many of those that were locked share a statement: where one still is, each is looked at.
const GROUP: usize = 16;

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

    /// Whether the next statement may be sent behind this one before it is answered: then it is a
    /// transaction by itself.
    const IS_FOLLOWED: bool;

    /// Where requests of this kind wait.
    fn lane(shared: &Shared) -> &Lane<Self>;

    /// The sessions that it changes; no two requests in one statement have one in common.
    fn keys(&self) -> &[Key];

    /// How many bytes it carries beside names and numbers.
    fn size(&self) -> usize;

    /// Does all of `batch` in one statement, which keeps to its patience, and gives their answers in
    /// the same order. It comes in the order of the keys.
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

/// How long a statement waits for what somebody else has locked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Patience(Option<Duration>);

impl Patience {
    /// As long as another node needs for a statement.
    const SHORT: Self = Self(Some(Duration::from_millis(10)));

    /// As long as it takes to see whether it is free.
    const LEAST: Self = Self(Some(Duration::from_millis(1)));

    /// As long as any statement may take.
    pub(crate) const LONG: Self = Self(None);

    /// The value of `lock_timeout`; `None` for what the session has.
    pub(crate) fn lock_timeout(self) -> Option<String> {
        self.0.map(|time| format!("{}ms", time.as_millis()))
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

/// Everywhere the same order, so that nobody waits for somebody who waits for him.
pub(crate) fn in_order<W: Gathered>(one: &Waiting<W>, other: &Waiting<W>) -> Ordering {
    one.work.keys().cmp(other.work.keys())
}

/// Requests that are being done.
pub(crate) struct Batch<'a, W: Gathered> {
    pub(crate) lane: &'a Lane<W>,
    pub(crate) waiting: Vec<Waiting<W>>,
}

impl<'a, W: Gathered> Batch<'a, W> {
    /// Does them all, and answers. Those whose rows are locked for long make way for the others and
    /// for what was sent behind them, and are asked for now and then.
    pub(crate) async fn run(self, turn: Arc<Turn>, shared: &Arc<Shared>) {
        let lane = self.lane;
        let locked = Self::finish(lane, vec![self], &turn, shared, Patience::SHORT).await;
        locked::set_aside(locked, shared);
    }

    /// Does those whose rows are not locked any more. Gives the others, those first that were not
    /// looked at.
    pub(crate) async fn run_again(self, turn: &Turn, shared: &Arc<Shared>) -> Self {
        let (lane, mut groups) = (self.lane, self.groups());
        groups.reverse();
        Self::finish(lane, groups, turn, shared, Patience::LEAST).await
    }

    /// Does each part in one statement, the last part first. What fails for a locked row is done by
    /// smaller parts, until those are found that are locked; what is refused, each by itself, so
    /// that one which cannot be done does not take the others with it.
    async fn finish(
        lane: &'a Lane<W>,
        mut parts: Vec<Self>,
        turn: &Turn,
        shared: &Arc<Shared>,
        patience: Patience,
    ) -> Self {
        let mut locked = Self { lane, waiting: Vec::new() };
        let mut misses = 0;
        while misses < MOST_MISSES
            && let Some(mut part) = parts.pop()
        {
            let outcome = part.attempt(turn, shared, patience).await;
            let is_one = part.waiting.len() <= 1;
            match &outcome {
                Err(failure) if failure.is_lock_timeout() => {
                    misses += 1;
                    match part {
                        part if !is_one && patience == Patience::SHORT => {
                            parts.extend(part.halves());
                        }
                        part if !is_one => parts.extend(part.split().into_iter().rev()),
                        mut part => locked.waiting.append(&mut part.waiting),
                    }
                }
                Err(failure) if failure.may_be_for_one() && !is_one => parts.extend(part.split()),
                _ => {
                    part.answer_or_repeat(outcome, turn, shared).await;
                    if !parts.is_empty() {
                        // For the same sessions there may be more.
                        hire_if_wanted::<W>(shared);
                    }
                }
            }
        }
        let mut rest = Self { lane, waiting: Vec::new() };
        for mut part in parts.into_iter().rev().chain([locked]) {
            rest.waiting.append(&mut part.waiting);
        }
        rest
    }

    /// Does them in one statement. Those whose time was over before it could be sent are not done.
    async fn attempt(
        &mut self,
        turn: &Turn,
        shared: &Shared,
        patience: Patience,
    ) -> Result<Vec<W::Answer>, Failure> {
        let connection = turn.connection().await?;
        self.refuse_after(shared.request_timeout(), &Failure::TimedOut);
        if self.waiting.is_empty() {
            return Ok(Vec::new());
        }
        let works: Vec<&W> = self.waiting.iter().map(|waiting| &waiting.work).collect();
        let mut attempts = 1..ATTEMPTS;
        loop {
            match W::run(&works, &connection, shared, patience).await {
                Err(failure) if failure.is_conflict() && attempts.next().is_some() => {}
                outcome => return outcome,
            }
        }
    }

    /// Answers those that have waited for so long.
    pub(crate) fn refuse_after(&mut self, time: Duration, failure: &Failure) {
        let now = Instant::now();
        let is_over = |waiting: &Waiting<W>| now.duration_since(waiting.sent_at) >= time;
        if !self.waiting.iter().any(is_over) {
            return;
        }
        let (over, rest) = mem::take(&mut self.waiting).into_iter().partition(is_over);
        self.waiting = rest;
        Self { lane: self.lane, waiting: over }.answer(Err(failure.clone()));
    }

    /// Answers. Where the statement may have been done all the same, each is done again for which
    /// that can be told; if that fails, nobody knows more than before.
    async fn answer_or_repeat(
        self,
        outcome: Result<Vec<W::Answer>, Failure>,
        turn: &Turn,
        shared: &Shared,
    ) {
        let failure = match outcome {
            Err(failure) if failure.may_be_done() => failure,
            outcome => return self.answer(outcome),
        };
        for mut alone in self.split() {
            let connection = turn.connection().await;
            alone.refuse_after(shared.request_timeout(), &failure);
            let mut repeated = None;
            if let ([waiting], Ok(connection)) = (&*alone.waiting, connection) {
                repeated = waiting.work.repeat(&connection, shared).await;
            }
            let repeated = repeated.and_then(Result::ok);
            alone.answer(repeated.map(|answer| vec![answer]).ok_or_else(|| failure.clone()));
        }
    }

    pub(crate) fn answer(mut self, outcome: Result<Vec<W::Answer>, Failure>) {
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

    /// In parts that are small enough to look at each of one, in the order in which they come.
    fn groups(mut self) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        let mut room = 0;
        for waiting in mem::take(&mut self.waiting) {
            let size = waiting.work.size();
            match groups.last_mut() {
                Some(group) if group.waiting.len() < GROUP && size <= room => {
                    room -= size;
                    group.waiting.push(waiting);
                }
                _ => {
                    room = LARGEST_TEXTS.saturating_sub(size);
                    groups.push(Self { lane: self.lane, waiting: vec![waiting] });
                }
            }
        }
        for group in &mut groups {
            group.waiting.sort_by(in_order);
        }
        groups
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

const UNREADABLE: Failure =
    Failure::Value("PostgreSQL did not answer what was asked; this is a bug in Sessile");
