//! Making connections, and not making them while the server is away.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, time::Instant};

use crate::{
    connection::Connection,
    failure::Failure,
    names::Names,
    servers::Servers,
    suspension::{Admitted, Suspension},
    tenure::Tenure,
    tls::Tls,
};

/// After an attempt has failed, the next is made no sooner than this; whoever asks meanwhile is
/// told of the failure at once.
const PAUSE: Duration = Duration::from_millis(100);

/// Makes connections.
#[derive(Debug)]
pub(crate) struct Connector {
    inner: Arc<Inner>,
    turn: tokio::sync::Mutex<()>,
    last_failure: Mutex<Option<(Instant, Failure)>>,
    suspension: Suspension,
    tenure: Tenure,
}

struct Inner {
    servers: Servers,
    tls: Tls,
    description: String,
    names: Arc<Names>,
    runtime: Handle,
    request_timeout: Duration,
}

impl Connector {
    pub(crate) fn new(
        target: crate::options::Target,
        names: Arc<Names>,
        runtime: Handle,
        (connect_timeout, request_timeout): (Duration, Duration),
    ) -> Self {
        let inner = Inner {
            servers: Servers::new(target.servers, connect_timeout, &target.description),
            tls: target.tls,
            description: target.description,
            names,
            runtime,
            request_timeout,
        };
        Self {
            inner: Arc::new(inner),
            turn: tokio::sync::Mutex::default(),
            last_failure: Mutex::default(),
            suspension: Suspension::default(),
            tenure: Tenure::default(),
        }
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.inner.runtime
    }

    pub(crate) fn suspension(&self) -> &Suspension {
        &self.suspension
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        self.inner.request_timeout
    }

    /// The server and the database, for error messages.
    pub(crate) fn description(&self) -> &str {
        &self.inner.description
    }

    /// # Errors
    /// While the server is known to be away, and somebody is looking whether it still is.
    pub(crate) fn check_away(&self) -> Result<(), Failure> {
        match self.turn.try_lock() {
            Ok(_) => Ok(()),
            Err(_) => self.check_last_failure(Duration::MAX),
        }
    }

    /// Connects. One attempt is made at a time, and while the server is known to be away, others
    /// do not wait for how it ends.
    pub(crate) async fn connect(self: &Arc<Self>) -> Result<Arc<Connection>, Failure> {
        let connector = Arc::clone(self);
        // Done by the runtime, whose reactor the connection needs, and which is not kept from
        // giving the turn back by a caller that waits for something else.
        let connecting = self.inner.runtime.spawn(async move { connector.connect_in_turn().await });
        connecting.await.unwrap_or(Err(Failure::Interrupted))
    }

    async fn connect_in_turn(&self) -> Result<Arc<Connection>, Failure> {
        self.check_away()?;
        let _turn = self.turn.lock().await;
        // Whoever was waited for may have learned that the server is away.
        self.check_last_failure(PAUSE)?;
        let mut admitted = self.suspension.admit().ok_or(Failure::Suspended)?;
        let for_connection = admitted.clone();
        let outcome = tokio::select! {
            outcome = self.inner.connect(for_connection, self.tenure.now()) => outcome,
            () = admitted.over() => return Err(Failure::Suspended),
        };
        let mut last_failure = self.last_failure.lock().unwrap_or_else(PoisonError::into_inner);
        *last_failure = outcome.as_ref().err().map(|failure| (Instant::now(), failure.clone()));
        outcome
    }

    fn check_last_failure(&self, age: Duration) -> Result<(), Failure> {
        let last_failure = self.last_failure.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last_failure {
            Some((at, failure)) if at.elapsed() < age => Err(failure.clone()),
            _ => Ok(()),
        }
    }
}

impl Inner {
    async fn connect(
        &self,
        mut admitted: Admitted,
        tenure: Tenure,
    ) -> Result<Arc<Connection>, Failure> {
        let (client, driver) = self.servers.connect(&self.tls.connector).await?;
        self.runtime.spawn(async move {
            let ended = tokio::select! {
                biased;
                ended = driver => ended,
                () = admitted.over() => Ok(()),
            };
            if let Err(error) = ended {
                tracing::warn!(
                    reason = ?Failure::of_statement(&error),
                    "a connection to PostgreSQL ended"
                );
            }
        });
        // A little longer than the server gives itself: it says why.
        let patience = self.request_timeout.saturating_add(Duration::from_secs(1));
        let names = Arc::clone(&self.names);
        let connection = Connection::new(client, names, self.runtime.clone(), patience, tenure);
        connection.execute(&self.session_settings(), patience).await?;
        Ok(Arc::new(connection))
    }

    /// Every statement finds its few rows by an index. Planned once and for all, it must not be
    /// planned for how small a table was then, or for what is not known of one that was never
    /// analysed.
    fn session_settings(&self) -> String {
        let timeout = self.request_timeout.as_millis().clamp(1, 0x7fff_ffff);
        format!(
            "SET default_transaction_isolation = 'read committed';
             SET statement_timeout = {timeout};
             SET idle_in_transaction_session_timeout = {timeout};
             SET plan_cache_mode = force_generic_plan;
             SET enable_seqscan = off;
             SET enable_hashjoin = off;
             SET enable_mergejoin = off;
             SET jit = off"
        )
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Inner").field("target", &self.description).finish_non_exhaustive()
    }
}
