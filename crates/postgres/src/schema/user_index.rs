//! The index that finds the sessions of a user, which the tables of older cores do not have. It is
//! made beside the traffic.

use std::{pin::pin, sync::Arc, time::Duration};

use super::{definition::USER_INDEX, inspection::Found, waiting};
use crate::{
    connection::{Connection, LockClass, Template},
    connector::Connector,
    failure::Failure,
    names::Names,
    record::column_of,
};

/// How long to wait before somebody else is asked for again.
const PAUSE: Duration = Duration::from_millis(250);

/// After how long it is said what is waited for, again and again.
const REPORT_AFTER: Duration = Duration::from_secs(10);

/// How often an index is built that met with another program's locks.
const ATTEMPTS: usize = 3;

static TRY_LOCK: Template = Template {
    name: "try_index_lock",
    text: "SELECT pg_try_advisory_lock($1::integer, hashtext($2::text)), pg_backend_pid()",
};

/// Makes it where it is missing, however long that takes: PostgreSQL waits for every transaction
/// that is open. The connection is of no use afterwards if there was anything to do.
pub(super) async fn make(
    connection: &Connection,
    connector: &Arc<Connector>,
    names: &Names,
    found: &Found,
) -> Result<(), Failure> {
    if has_index(found, names) {
        return Ok(());
    }
    // Nothing else is to take that long, and with the connection goes the lock.
    connection.spoil();
    connection.execute("SET statement_timeout = 0; SET lock_timeout = 0", Duration::MAX).await?;
    let process = lock(connection, names).await?;
    let mut attempts = 1..ATTEMPTS;
    loop {
        let making = make_alone(connection, names);
        match reported(making, connector, process).await {
            Err(failure) if failure.is_conflict() && attempts.next().is_some() => {}
            outcome => return outcome,
        }
    }
}

fn has_index(found: &Found, names: &Names) -> bool {
    found.has_index(&names.session_info, USER_INDEX.columns)
}

/// Waits until no other node is at it, and gives the number of this connection's process.
///
/// It asks again and again. A statement that waited would be one of those that whoever builds the
/// index waits for.
async fn lock(connection: &Connection, names: &Names) -> Result<i32, Failure> {
    let class = LockClass::Schema as i32;
    let name = format!("{}.{}", names.schema, names.session_info);
    loop {
        let rows = connection.query(&TRY_LOCK, &[&class, &name]).await?;
        if let Some(row) = rows.first()
            && column_of(row, 0)?
        {
            return column_of(row, 1);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn make_alone(connection: &Connection, names: &Names) -> Result<(), Failure> {
    let table = names.qualified(&names.session_info);
    let mut found = Found::look(connection, names).await?;
    let name = found.free_name(USER_INDEX.name, names);
    if found.has_broken_index(&name) {
        // Somebody was stopped half-way, or is at it by hand; this waits for the end of that.
        let wait = format!("BEGIN; LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE; COMMIT");
        connection.execute(&wait, Duration::MAX).await?;
        found = Found::look(connection, names).await?;
    }
    if has_index(&found, names) {
        return Ok(());
    }
    if found.has_broken_index(&name) {
        let drop = format!("DROP INDEX CONCURRENTLY IF EXISTS {}", names.qualified(&name));
        connection.execute(&drop, Duration::MAX).await?;
    }
    connection.execute(&USER_INDEX.create("CONCURRENTLY", &name, &table), Duration::MAX).await
}

/// Says from time to time that it is not done yet, and whom it waits for.
async fn reported(
    making: impl Future<Output = Result<(), Failure>>,
    connector: &Arc<Connector>,
    process: i32,
) -> Result<(), Failure> {
    let mut making = pin!(making);
    loop {
        tokio::select! {
            made = &mut making => return made,
            () = tokio::time::sleep(REPORT_AFTER) => {}
        }
        let looking = async { waiting::blockers(&*connector.connect().await?, process).await };
        let blockers = tokio::select! {
            made = &mut making => return made,
            blockers = looking => blockers,
        };
        // Who cannot be told of is no reason to stop.
        let waits_for = blockers.unwrap_or_else(|_| "unknown".to_owned());
        tracing::warn!(%waits_for, "the index of users is still being built");
    }
}
