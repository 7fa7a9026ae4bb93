//! One connection, and the statements that it has prepared.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{runtime::Handle, sync::OnceCell};
use tokio_postgres::{Client, Row, Statement, types::ToSql};

use crate::{failure::Failure, names::Names, tenure::Tenure};

/// The text of a statement, in which `{table}` stands for the table of that name.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

/// The use for which a statement is prepared anew for the first time.
const FIRST_RENEWAL: u64 = 16;

pub(crate) type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A statement, once it is prepared.
#[derive(Default)]
struct Prepared {
    statement: Arc<OnceCell<Statement>>,
    uses: u64,
}

/// A connection. All its requests may run at the same time: PostgreSQL does them one after the
/// other.
pub(crate) struct Connection {
    client: Arc<Client>,
    names: Arc<Names>,
    runtime: Handle,
    timeout: Duration,
    statements: Mutex<HashMap<&'static str, Prepared>>,
    is_spoilt: AtomicBool,
    tenure: Tenure,
}

impl Connection {
    pub(crate) fn new(
        client: Client,
        names: Arc<Names>,
        runtime: Handle,
        timeout: Duration,
        tenure: Tenure,
    ) -> Self {
        Self {
            client: Arc::new(client),
            names,
            runtime,
            timeout,
            statements: Mutex::default(),
            is_spoilt: AtomicBool::new(false),
            tenure,
        }
    }

    /// Whether it can be used.
    pub(crate) fn is_usable(&self) -> bool {
        !self.client.is_closed() && !self.is_spoilt.load(Ordering::Relaxed) && self.tenure.lasts()
    }

    /// Keeps it from being used for anything else.
    pub(crate) fn spoil(&self) {
        self.is_spoilt.store(true, Ordering::Relaxed);
    }

    /// Runs a statement and gives its rows.
    pub(crate) async fn query(
        &self,
        template: &'static Template,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Failure> {
        self.in_time(self.timeout, async {
            let statement = self.statement(template).await?;
            Ok(self.client.query(&statement, parameters).await?)
        })
        .await
    }

    /// The same in a transaction of its own that holds the advisory lock of that class and name
    /// meanwhile. All is sent at once: the statement sees what those did who had the lock before.
    pub(crate) async fn query_locked(
        &self,
        lock: (LockClass, &str),
        template: &'static Template,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Failure> {
        let (class, name) = (lock.0 as i32, lock.1);
        self.query_after((&LOCK, &[&class, &name]), template, parameters).await
    }

    /// The same after a statement that takes all the locks.
    pub(crate) async fn query_after(
        &self,
        (lock, lock_parameters): (&'static Template, Parameters<'_>),
        template: &'static Template,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Failure> {
        self.in_time(self.timeout, async {
            let (lock, statement) = (self.statement(lock).await?, self.statement(template).await?);
            let (begun, locked, rows, committed) = tokio::join!(
                self.client.batch_execute("BEGIN"),
                self.client.query(&lock, lock_parameters),
                self.client.query(&statement, parameters),
                self.client.batch_execute("COMMIT"),
            );
            begun?;
            locked?;
            let rows = rows?;
            committed?;
            Ok(rows)
        })
        .await
    }

    /// Runs SQL in which `{table}` stands for the table of that name, however long it takes.
    pub(crate) async fn execute_template(&self, sql: &str) -> Result<(), Failure> {
        self.execute(&self.names.fill_in(sql), Duration::MAX).await
    }

    /// Lets the statements of this transaction take as long as they take.
    pub(crate) async fn endless(&self) -> Result<(), Failure> {
        let sql = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0";
        self.execute(sql, self.timeout).await
    }

    /// Runs a statement and waits for it however long it takes.
    pub(crate) async fn query_endless(
        &self,
        template: &'static Template,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Failure> {
        self.in_time(Duration::MAX, async {
            let statement = self.statement(template).await?;
            Ok(self.client.query(&statement, parameters).await?)
        })
        .await
    }

    /// Runs SQL that is no prepared statement and has no answer.
    pub(crate) async fn execute(&self, sql: &str, timeout: Duration) -> Result<(), Failure> {
        self.in_time(timeout, async { Ok(self.client.batch_execute(sql).await?) }).await
    }

    /// Does `work` in a transaction, which is rolled back where the work fails; takes the advisory
    /// lock of that class and name first.
    pub(crate) async fn transaction<T>(
        &self,
        lock: (LockClass, &str),
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let (class, name) = (lock.0 as i32, lock.1);
        self.execute("BEGIN", self.timeout).await?;
        let done = async {
            self.query(&LOCK, &[&class, &name]).await?;
            work.await
        };
        match done.await {
            Ok(value) => {
                self.execute("COMMIT", self.timeout).await?;
                Ok(value)
            }
            Err(failure) => {
                if self.is_usable() && self.execute("ROLLBACK", self.timeout).await.is_err() {
                    self.spoil();
                }
                Err(failure)
            }
        }
    }

    /// The statement, prepared. PostgreSQL plans it once, for tables as large as they are then; so
    /// it is prepared anew whenever it has been used twice as often.
    async fn statement(&self, template: &'static Template) -> Result<Statement, Failure> {
        let cell = {
            let mut statements = self.statements.lock().unwrap_or_else(PoisonError::into_inner);
            let prepared = statements.entry(template.name).or_default();
            prepared.uses += 1;
            if prepared.uses.is_power_of_two() && prepared.uses >= FIRST_RENEWAL {
                prepared.statement = Arc::default();
            }
            Arc::clone(&prepared.statement)
        };
        if let Some(statement) = cell.get() {
            return Ok(statement.clone());
        }
        let (client, text) = (Arc::clone(&self.client), self.names.fill_in(template.text));
        // In a task: a caller that is busy with something else must not hold up others who need
        // the statement.
        let preparing = async move {
            let statement = cell.get_or_try_init(async || client.prepare(&text).await);
            statement.await.cloned()
        };
        match self.runtime.spawn(preparing).await {
            Ok(prepared) => Ok(prepared?),
            Err(_) => Err(Failure::Interrupted),
        }
    }

    async fn in_time<T>(
        &self,
        timeout: Duration,
        answer: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let failure = match within(&self.runtime, timeout, answer).await {
            Some(Ok(value)) => return Ok(value),
            Some(Err(failure)) => failure,
            None => Failure::TimedOut,
        };
        if failure.spoils_connection() {
            self.spoil();
        }
        if failure.is_read_only() {
            self.tenure.end();
        }
        Err(failure)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Connection")
            .field("is_usable", &self.is_usable())
            .finish_non_exhaustive()
    }
}

/// What advisory locks are for. SuperTokens' core has its locks in the other key space, that of one
/// number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LockClass {
    /// Making tables.
    Schema = 0x5365_7373,
    /// The keys and secrets of an app, by its name.
    Keys,
    /// The number of a user's sessions, by app and user.
    User,
    /// The tenants of an app, by its name.
    Tenants,
    /// Putting sessions as they were elsewhere, by app.
    Bulk,
}

static LOCK: Template = Template {
    name: "lock",
    text: "SELECT pg_advisory_xact_lock($1::integer, hashtext($2::text))",
};

/// The answer, or `None` where it does not come in time. Whoever waits need not be one of the
/// runtime's own tasks.
pub(crate) async fn within<T>(
    runtime: &Handle,
    timeout: Duration,
    answer: impl Future<Output = T>,
) -> Option<T> {
    let mut answer = pin!(answer);
    let waiting: Pin<&mut _> = answer.as_mut();
    let timed = {
        let _timers = runtime.enter();
        tokio::time::timeout(timeout, waiting)
    };
    timed.await.ok()
}
