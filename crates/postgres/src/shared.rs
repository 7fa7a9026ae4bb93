use std::{sync::Arc, time::Duration};

use sessile_core::store::{StoreError, StoreErrorKind};
use tokio::{
    runtime::{Handle, Runtime},
    time::Instant,
};

use crate::{
    connection::{Connection, within},
    connector::Connector,
    failure::{Failure, Task},
    lane::Lane,
    ownership::Ownership,
    pool::{Readers, Writers},
    statements::{
        data::ReplaceData, insertion::Insert, payload::ReplacePayload, removal::Remove,
        rotation::Rotate,
    },
};

/// What all clones of a store have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) connector: Arc<Connector>,
    pub(crate) readers: Readers,
    pub(crate) writers: Arc<Writers>,
    pub(crate) ownership: Ownership,
    pub(crate) lanes: Lanes,
    /// Serves the store for as long as that lives.
    pub(crate) _own_runtime: OwnRuntime,
}

/// Where requests wait that share statements.
#[derive(Debug)]
pub(crate) struct Lanes {
    pub(crate) insert: Lane<Insert>,
    pub(crate) rotate: Lane<Rotate>,
    pub(crate) data: Lane<ReplaceData>,
    pub(crate) payload: Lane<ReplacePayload>,
    pub(crate) remove: Lane<Remove>,
}

impl Lanes {
    pub(crate) fn new(writers: usize) -> Self {
        Self {
            insert: Lane::new(writers),
            rotate: Lane::new(writers),
            data: Lane::new(writers),
            payload: Lane::new(writers),
            remove: Lane::new(writers),
        }
    }
}

impl Shared {
    pub(crate) fn runtime(&self) -> &Handle {
        self.connector.runtime()
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        self.connector.request_timeout()
    }

    /// Does `read` on a connection that others use too, and once more where that is lost.
    pub(crate) async fn read<T, Done>(
        &self,
        task: &'static str,
        read: impl Fn(Arc<Connection>) -> Done,
    ) -> Result<T, StoreError>
    where
        Done: Future<Output = Result<T, Failure>>,
    {
        let sent_at = Instant::now();
        let rest = || self.request_timeout().saturating_sub(sent_at.elapsed());
        let mut repeats = 0..1;
        let outcome = loop {
            let suspensions = self.connector.suspension().number();
            let outcome = match within(self.runtime(), rest(), self.readers.connection()).await {
                Some(Ok(connection)) => {
                    let answer = read(Arc::clone(&connection));
                    let answer = within(self.runtime(), rest(), answer).await;
                    answer.unwrap_or_else(|| {
                        // Nothing may come through it any more, and nothing say so.
                        connection.spoil();
                        Err(Failure::TimedOut)
                    })
                }
                Some(Err(failure)) => Err(failure),
                None => Err(Failure::TimedOut),
            };
            let was_suspended = self.connector.suspension().number() != suspensions;
            match outcome {
                Err(Failure::Suspended) => {}
                Err(Failure::Lost(_)) if was_suspended => {}
                Err(Failure::Lost(_)) if repeats.next().is_some() => {}
                outcome => break outcome,
            }
        };
        outcome.map_err(|failure| failure.report(Task::Read(task)))
    }

    /// The same with arguments, for an answer that may be long, in a task of its own: a connection
    /// that has more for a caller who is busy with something else would hold up all others.
    pub(crate) async fn read_long<T, A, Done>(
        self: &Arc<Self>,
        task: &'static str,
        arguments: A,
        read: impl Fn(Arc<Connection>, Arc<A>) -> Done + Send + Sync + 'static,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        A: Send + Sync + 'static,
        Done: Future<Output = Result<T, Failure>> + Send,
    {
        let (shared, arguments) = (Arc::clone(self), Arc::new(arguments));
        let reading = self.runtime().spawn(async move {
            shared.read(task, |connection| read(connection, Arc::clone(&arguments))).await
        });
        reading.await.unwrap_or_else(|_| Err(Failure::Interrupted.report(Task::Read(task))))
    }

    /// Does `write` with its arguments on a connection of its own, in a task of its own: it goes on
    /// when its caller goes away. It is done again where it met with another one, and, if it is
    /// repeatable, where the connection was lost.
    pub(crate) async fn write<T, A, Done>(
        self: &Arc<Self>,
        manner: Manner,
        arguments: A,
        write: impl Fn(Arc<Connection>, Arc<A>) -> Done + Send + Sync + 'static,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        A: Send + Sync + 'static,
        Done: Future<Output = Result<T, Failure>> + Send,
    {
        const ATTEMPTS: usize = 8;
        let shared = Arc::clone(self);
        let arguments = Arc::new(arguments);
        let sent_at = Instant::now();
        let done = self.runtime().spawn(async move {
            let _place = shared.writers.long_place().await?;
            let turn = shared.writers.turn().await?;
            let mut attempts = 1..ATTEMPTS;
            let mut repeats = 0..usize::from(manner.is_repeatable);
            let mut lost = None;
            loop {
                let connection = turn.connection().await;
                // What has waited for longer than its caller is not done any more.
                let is_late = !manner.is_endless && sent_at.elapsed() >= shared.request_timeout();
                let outcome = match connection {
                    Ok(_) if is_late => Err(Failure::TimedOut),
                    Ok(connection) => write(connection, Arc::clone(&arguments)).await,
                    Err(failure) => Err(failure),
                };
                match outcome {
                    Err(failure) if failure.is_conflict() && attempts.next().is_some() => {}
                    Err(failure @ Failure::Lost(_)) if repeats.next().is_some() => {
                        lost = Some(failure);
                    }
                    // Where doing it again fails, nobody knows more of the first time than before.
                    outcome => return outcome.map_err(|failure| lost.unwrap_or(failure)),
                }
            }
        });
        let outcome = match manner.is_endless {
            false => within(self.runtime(), self.request_timeout(), done).await,
            true => Some(done.await),
        };
        match outcome {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Err(Failure::Interrupted),
            None => Err(Failure::TimedOut),
        }
        .map_err(|failure| failure.report(Task::Write(manner.task)))
    }
}

/// How something is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    task: &'static str,
    is_repeatable: bool,
    is_endless: bool,
}

impl Manner {
    /// Once, and in the time that any request has.
    pub(crate) fn once(task: &'static str) -> Self {
        Self { task, is_repeatable: false, is_endless: false }
    }

    /// Again where the connection was lost: to do it twice is the same as once.
    pub(crate) fn repeatable(task: &'static str) -> Self {
        Self { is_repeatable: true, ..Self::once(task) }
    }

    /// For as long as it takes: it changes as many rows as there are.
    pub(crate) fn endless(task: &'static str) -> Self {
        Self { is_endless: true, ..Self::once(task) }
    }
}

/// The runtime that serves the connections, in a thread of its own unless another one was given: a
/// store may be awaited anywhere, and outlive the runtime in which it was opened.
#[derive(Debug)]
pub(crate) struct OwnRuntime(Option<Runtime>);

impl OwnRuntime {
    pub(crate) fn start_unless(given: Option<Handle>) -> Result<(Handle, Self), StoreError> {
        if let Some(given) = given {
            return Ok((given, Self(None)));
        }
        let started = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("sessile-postgres")
            .enable_all()
            .build();
        match started {
            Ok(runtime) => Ok((runtime.handle().clone(), Self(Some(runtime)))),
            Err(error) => {
                let kind = StoreErrorKind::Unavailable;
                Err(StoreError::new(kind, "a thread cannot be started").with_source(error))
            }
        }
    }
}

impl Drop for OwnRuntime {
    /// The last clone may be dropped by a task of this very runtime, which cannot wait for itself.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
