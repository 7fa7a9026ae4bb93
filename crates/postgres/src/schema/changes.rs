//! What is missing in the database, as changes that are made one after the other.

use std::{fmt, time::Duration};

use super::{
    definition::{ADDED_COLUMNS, AddedColumn, TABLES},
    inspection::Found,
    waiting::{self, Strength},
};
use crate::{connection::Connection, failure::Failure, names::Names};

/// How long a change waits for the lock of a table, in milliseconds. Whoever waits for it holds up
/// everybody who comes after, and they are to be held up for less than a second.
const LOCK_TIMEOUT: u32 = 300;

/// How long it waits for a lock that holds up no request, in milliseconds. PostgreSQL's own vacuum
/// gives way to whoever has waited for one second (`deadlock_timeout`).
pub(super) const PATIENT_LOCK_TIMEOUT: u32 = 2000;

/// How often a change is tried; with the pauses it takes a minute.
const ATTEMPTS: u32 = 50;

/// How long others may go on after the first attempt; twice as long after each, up to the second.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Whether a change was made.
pub(super) enum Made {
    Yes,
    /// A lock was not to be had in a minute; this says who holds it.
    No(Failure),
}

/// A table that is made, or the columns that one gets.
pub(super) struct Change {
    pub(super) statements: Vec<String>,
    /// The tables that are there and are locked for it, as in SQL; and by their bare names.
    locked: Vec<String>,
    locked_names: Vec<String>,
    strength: Strength,
}

/// What is to be done, in this order.
pub(super) fn missing(names: &Names, found: &Found) -> Vec<Change> {
    let mut changes = Vec::new();
    for table in TABLES {
        let name = names.fill_in(table.name);
        if found.has_table(&name) {
            continue;
        }
        let mut statements = vec![names.fill_in(table.create)];
        for index in table.indexes {
            let index_name = found.free_name(index.name, names);
            statements.push(index.create("", &index_name, &names.qualified(&name)));
        }
        let referred = table.refers_to().map(|table| names.fill_in(&table));
        let locked_names: Vec<_> = referred.filter(|table| found.has_table(table)).collect();
        changes.push(Change::new(names, statements, locked_names, Strength::KeepsWritersOut));
    }
    let mut tables: Vec<_> = ADDED_COLUMNS.iter().map(|column| column.table).collect();
    tables.dedup();
    for table in tables {
        let name = names.fill_in(table);
        if !found.has_table(&name) {
            continue;
        }
        let columns = ADDED_COLUMNS.iter().filter(|column| column.table == table);
        let columns: Vec<_> =
            columns.filter(|column| !found.has_column(&name, column.name)).collect();
        if !columns.is_empty() {
            let statements = adding(&columns, &names.qualified(&name));
            changes.push(Change::new(names, statements, vec![name], Strength::KeepsAllOut));
        }
    }
    changes
}

/// The statements that add columns to a table.
fn adding(columns: &[&AddedColumn], table: &str) -> Vec<String> {
    let added = columns.iter().map(|column| {
        let value = column.in_older_rows.map(|value| format!(" DEFAULT {value}"));
        let (name, kind) = (column.name, column.kind);
        format!("ADD COLUMN IF NOT EXISTS {name} {kind}{}", value.unwrap_or_default())
    });
    let added = added.collect::<Vec<_>>().join(", ");
    let mut statements = vec![format!("ALTER TABLE {table} {added}")];
    let with_value = columns.iter().filter(|column| column.in_older_rows.is_some());
    statements
        .extend(with_value.map(|column| {
            format!("ALTER TABLE {table} ALTER COLUMN {} DROP DEFAULT", column.name)
        }));
    statements
}

impl Change {
    fn new(
        names: &Names,
        statements: Vec<String>,
        locked_names: Vec<String>,
        strength: Strength,
    ) -> Self {
        let locked = locked_names.iter().map(|name| names.qualified(name)).collect();
        Self { statements, locked, locked_names, strength }
    }

    /// Makes it within a transaction, while others use the tables.
    ///
    /// # Errors
    /// What PostgreSQL refuses.
    pub(super) async fn make(
        &self,
        connection: &Connection,
        names: &Names,
    ) -> Result<Made, Failure> {
        let (mut attempt, mut pause) = (0_u32, FIRST_PAUSE);
        loop {
            attempt += 1;
            connection.execute("SAVEPOINT change", Duration::MAX).await?;
            let failure = match connection.execute(&self.attempt(), Duration::MAX).await {
                Err(failure) if failure.is_lock_timeout() => failure,
                outcome => return outcome.map(|()| Made::Yes),
            };
            connection.execute("ROLLBACK TO SAVEPOINT change", Duration::MAX).await?;
            let holders =
                waiting::holders(connection, names, &self.locked_names, self.strength).await?;
            if attempt == ATTEMPTS {
                let explanation = format!("{self} is held by {holders}");
                return Ok(Made::No(waiting::explained(failure, &explanation)));
            }
            // The first ones are nothing unusual, and the others are told of ever more rarely.
            if attempt > 2 && attempt.is_power_of_two() {
                tracing::warn!(
                    table = %self,
                    %holders,
                    attempt,
                    "the tables are to be changed, and somebody holds them"
                );
            }
            tokio::time::sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// A lock that only the like of it waits for comes first: it makes PostgreSQL's own vacuum give
    /// way, which the short wait that follows would not.
    fn attempt(&self) -> String {
        let mut sql = String::new();
        if !self.locked.is_empty() {
            sql = format!(
                "SET LOCAL lock_timeout = {PATIENT_LOCK_TIMEOUT};
                LOCK TABLE {self} IN SHARE UPDATE EXCLUSIVE MODE;"
            );
        }
        format!("{sql} SET LOCAL lock_timeout = {LOCK_TIMEOUT}; {}", self.statements.join(";"))
    }
}

impl fmt::Display for Change {
    /// Names the tables that are locked.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.locked.join(", "))
    }
}
