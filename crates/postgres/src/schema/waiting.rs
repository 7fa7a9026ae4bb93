//! Whom a change of the tables waits for.

use std::time::Duration;

use tokio_postgres::{Row, error::SqlState};

use crate::{
    connection::{Connection, Template},
    failure::Failure,
    names::Names,
    record::column_of,
};

/// Whom the lock that a change needs keeps out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Strength {
    /// Whoever writes; who reads, also with row locks, goes on.
    KeepsWritersOut,
    /// Whoever reads or writes.
    KeepsAllOut,
}

/// Of the sessions of others, PostgreSQL may tell neither the program nor the age. A transaction
/// that was prepared has no process.
macro_rules! described {
    () => {
        "SELECT DISTINCT l.pid, coalesce(nullif(a.application_name, ''), a.backend_type),
            extract(epoch FROM statement_timestamp() - a.xact_start)::bigint AS age
        FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid "
    };
}

static HOLDERS: Template = Template {
    name: "lock_holders",
    text: concat!(
        described!(),
        "JOIN pg_catalog.pg_class c ON c.oid = l.relation
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
            AND l.database = (SELECT oid FROM pg_catalog.pg_database
                WHERE datname = current_database())
            AND n.nspname = $1::text AND c.relname = ANY($2::text[])
            AND l.mode <> ALL($3::text[])
            AND (a.xact_start IS NULL OR a.xact_start <= statement_timestamp() - interval '1 s')
        ORDER BY age DESC NULLS LAST, l.pid LIMIT 3"
    ),
};

/// Who has long held a lock on these tables, named by their bare names, that one of this strength
/// has to wait for.
pub(super) async fn holders(
    connection: &Connection,
    names: &Names,
    tables: &[String],
    strength: Strength,
) -> Result<String, Failure> {
    let harmless: &[&str] = match strength {
        Strength::KeepsAllOut => &[],
        Strength::KeepsWritersOut => &["AccessShareLock", "RowShareLock"],
    };
    // Within a transaction, what others do is shown as it was when somebody first looked.
    connection.execute("SELECT pg_stat_clear_snapshot()", Duration::MAX).await?;
    let rows = connection.query(&HOLDERS, &[&names.schema.as_str(), &tables, &harmless]).await?;
    describe(&rows)
}

static BLOCKERS: Template = Template {
    name: "lock_blockers",
    text: concat!(
        described!(),
        "WHERE l.pid = ANY(pg_blocking_pids($1::integer))
        ORDER BY age DESC NULLS LAST, l.pid LIMIT 3"
    ),
};

/// Whom the process of the server with that number waits for.
pub(super) async fn blockers(connection: &Connection, process: i32) -> Result<String, Failure> {
    describe(&connection.query(&BLOCKERS, &[&process]).await?)
}

fn describe(rows: &[Row]) -> Result<String, Failure> {
    let described = rows.iter().map(|row| {
        let process: Option<i32> = column_of(row, 0)?;
        let program: Option<&str> = column_of(row, 1)?;
        let age: Option<i64> = column_of(row, 2)?;
        let Some(process) = process else { return Ok("a prepared transaction".to_owned()) };
        let program = program.map(|name| format!(" ({name})")).unwrap_or_default();
        let age = age.map(|seconds| format!(", in a transaction for {seconds} s"));
        Ok(format!("process {process}{program}{}", age.unwrap_or_default()))
    });
    let described = described.collect::<Result<Vec<_>, Failure>>()?;
    // They may have gone since, or be many short ones.
    let none = "nobody for longer than a second";
    Ok(if described.is_empty() { none.to_owned() } else { described.join("; ") })
}

/// The same failure, with more to read.
pub(super) fn explained(failure: Failure, explanation: &str) -> Failure {
    match failure {
        Failure::Refused { code, message } => {
            Failure::Refused { code, message: format!("{message}; {explanation}") }
        }
        failure => failure,
    }
}

/// Whether the statement took longer than the server lets it.
pub(super) fn is_statement_timeout(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused { code, .. } if *code == SqlState::QUERY_CANCELED)
}
