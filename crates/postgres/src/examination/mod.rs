//! Looking at a database without changing it.

mod content;
mod elsewhere;
mod server;
mod structure;

pub use content::{Content, TenantSettings, UnusableKey};
pub use elsewhere::Elsewhere;
pub use server::{Encryption, Server};
pub use structure::Structure;

use std::{future::Future, sync::Arc, time::Duration};

use sessile_core::{WrappingKey, clock::Clock, store::StoreError};

use crate::{
    connection::Connection,
    connector::Connector,
    failure::{Failure, Task},
    options::PostgresOptions,
    shared::OwnRuntime,
    store::unusable,
};

/// What a database is, as [`PostgresOptions::examine`] finds it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Examination {
    /// The server, and the connection to it.
    pub server: Server,
    /// The tables, and what this user may do with them.
    pub structure: Structure,
    /// What is in the tables, as far as this user may read it.
    pub content: Content,
}

impl PostgresOptions {
    /// Looks at the database without changing anything in it, in one transaction that only reads:
    /// unlike [`open`](Self::open) it makes no table. Keys are tried with `wrapping_key`, and the
    /// database's clock is compared with `clock`.
    ///
    /// # Errors
    /// [`Incompatible`](sessile_core::store::StoreErrorKind::Incompatible) when the settings cannot
    /// be used; [`Unavailable`](sessile_core::store::StoreErrorKind::Unavailable) when the server
    /// cannot be reached; other kinds when PostgreSQL refuses to be asked.
    pub async fn examine(
        self,
        wrapping_key: Option<WrappingKey>,
        clock: Arc<dyn Clock>,
    ) -> Result<Examination, StoreError> {
        let names = Arc::new(self.names().map_err(|error| unusable(&error))?);
        let target = self.target().map_err(|error| unusable(&error))?;
        let (connections, ownership) = (self.readers + self.writers, self.ownership);
        let (runtime, _own_runtime) = OwnRuntime::start_unless(self.runtime)?;
        let timeouts = (self.connect_timeout, self.request_timeout);
        let connector = Arc::new(Connector::new(target, Arc::clone(&names), runtime, timeouts));
        let runtime = connector.runtime().clone();
        let examining = async move {
            let connection = connector.connect().await?;
            let mut examination = in_snapshot(&connection, async {
                let server = Server::look(&connection, clock.as_ref(), connections).await?;
                let now = clock.now();
                let looking = Structure::look(&connection, &names, ownership, now);
                let (structure, readable) = looking.await?;
                let key = wrapping_key.as_ref();
                let content = Content::look(&connection, &names, &readable, key, now).await?;
                Ok(Examination { server, structure, content })
            })
            .await?;
            connector.description().clone_into(&mut examination.server.database);
            Ok(examination)
        };
        let examined = runtime.spawn(examining).await.unwrap_or(Err(Failure::Interrupted));
        examined.map_err(|failure| failure.report(Task::Read("examining the database")))
    }
}

/// Does `work` in a transaction that can change nothing. What it asks is asked once, of tables of
/// any size, so it is planned as everybody's statements are and may take longer than a request.
async fn in_snapshot<T>(
    connection: &Connection,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
        SET LOCAL statement_timeout = 0;
        SET LOCAL enable_seqscan = on;
        SET LOCAL enable_hashjoin = on;
        SET LOCAL enable_mergejoin = on";
    connection.execute(BEGIN, Duration::MAX).await?;
    let found = work.await?;
    connection.execute("ROLLBACK", Duration::MAX).await?;
    Ok(found)
}
