//! Keeping writers out while the sessions are moved elsewhere, and ever after.

use std::{sync::Arc, time::Duration};

use sessile_core::store::{Moves, StoreError};

use crate::{
    connection::{Connection, Template},
    failure::{Failure, Task},
    ownership::Ownership,
    record::column_of,
    shared::Manner,
    store::PostgresStore,
};

/// The tables in which nobody writes any more: those of sessions, keys and secrets of refresh tokens,
/// and the one that every change of a tenant by a store touches.
const RETIRED: [&str; 7] = [
    "{session_info}",
    "{sessile_session}",
    "{session_access_token_signing_keys}",
    "{jwt_signing_keys}",
    "{sessile_signing_key}",
    "{sessile_secret}",
    "{sessile_tenant}",
];

/// Those of which a part is retired, or all where the database is Sessile's own: a SuperTokens core
/// has more to do with them. They must not change while the rest is read.
const HELD: [&str; 4] = ["{key_value}", "{apps}", "{tenants}", "{tenant_configs}"];

const ANY_STATEMENT: [&str; 2] = ["BEFORE INSERT OR UPDATE OR DELETE", "FOR EACH STATEMENT"];

/// Where an app or tenant is there already, it may be made sure of all the same.
const ANY_ROW: [&str; 2] = ["AFTER INSERT OR UPDATE OR DELETE", "FOR EACH ROW"];

const REFRESH_TOKEN_SECRET: [&str; 2] =
    ["BEFORE INSERT OR UPDATE", "FOR EACH ROW WHEN (NEW.name = 'refresh_token_key')"];

/// The tables that get a trigger: when it fires, and for what.
fn triggers(ownership: Ownership) -> Vec<(&'static str, [&'static str; 2])> {
    let mut triggers: Vec<_> = RETIRED.iter().map(|table| (*table, ANY_STATEMENT)).collect();
    triggers.push(("{key_value}", REFRESH_TOKEN_SECRET));
    if ownership == Ownership::Own {
        let tenants = [("{apps}", ANY_ROW), ("{tenants}", ANY_ROW)];
        triggers.extend(tenants);
        triggers.push(("{tenant_configs}", ANY_STATEMENT));
    }
    triggers
}

const ARRIVAL: &str = "arrival";
const DEPARTURE: &str = "departure";

/// The trigger says whether it is retired.
static MOVES: Template = Template {
    name: "moves",
    text: "SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger
                WHERE tgrelid = '{session_info}'::regclass AND tgname = 'sessile_retired'),
            (SELECT note FROM {sessile_move} WHERE kind = 'arrival'),
            (SELECT note FROM {sessile_move} WHERE kind = 'departure')",
};

static NOTE: Template = Template {
    name: "note_move",
    text: "INSERT INTO {sessile_move} (kind, note) VALUES ($1, $2)
        ON CONFLICT (kind) DO UPDATE SET note = excluded.note",
};

static FORGET: Template =
    Template { name: "forget_move", text: "DELETE FROM {sessile_move} WHERE kind = $1" };

async fn note_down(connection: &Connection, kind: &str, note: &str) -> Result<(), Failure> {
    connection.query(&NOTE, &[&kind, &note]).await.map(drop)
}

async fn moves(connection: &Connection) -> Result<Moves, Failure> {
    let rows = connection.query(&MOVES, &[]).await?;
    let Some(row) = rows.first() else { return Ok(Moves::default()) };
    Ok(Moves {
        is_retired: column_of(row, 0)?,
        arrival: column_of(row, 1)?,
        departure: column_of(row, 2)?,
    })
}

/// How often the locks are tried, each time for two seconds: whoever waits for one holds up
/// everybody who comes after.
const ATTEMPTS: usize = 20;
const PAUSE: Duration = Duration::from_millis(250);

const TASK: Task = Task::Write("keeping writers out");

/// As long as this lives, nobody writes to the store: writers wait, and fail with
/// [`Unavailable`](sessile_core::store::StoreErrorKind::Unavailable) where that takes longer than
/// their request timeout. Dropped, it lets them go on.
#[derive(Debug)]
pub struct HeldWriters {
    connection: Arc<Connection>,
    /// It also keeps what serves the connection.
    store: PostgresStore,
}

impl PostgresStore {
    /// Keeps all writers out, those of this store too, and waits until those that are at it are
    /// done.
    ///
    /// # Errors
    /// [`Unavailable`](sessile_core::store::StoreErrorKind::Unavailable) when they do not end.
    pub async fn hold_writers(&self) -> Result<HeldWriters, StoreError> {
        let connection = self.hold().await.map_err(|failure| failure.report(TASK))?;
        Ok(HeldWriters { connection, store: self.clone() })
    }

    async fn hold(&self) -> Result<Arc<Connection>, Failure> {
        const BEGIN: &str = "BEGIN;
            SET LOCAL statement_timeout = 0;
            SET LOCAL idle_in_transaction_session_timeout = 0;
            SET LOCAL lock_timeout = 2000;";
        // Others may read, but neither write nor make triggers.
        let tables = [RETIRED.as_slice(), &HELD].concat().join(", ");
        let sql = format!("{BEGIN} LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE");
        let connection = self.shared.connector.connect().await?;
        let mut attempts = 1..ATTEMPTS;
        loop {
            match connection.execute_template(&sql).await {
                Err(failure)
                    if (failure.is_lock_timeout() || failure.is_conflict())
                        && attempts.next().is_some() =>
                {
                    connection.execute("ROLLBACK", Duration::MAX).await?;
                    let pause = {
                        let _timers = self.shared.runtime().enter();
                        tokio::time::sleep(PAUSE)
                    };
                    pause.await;
                }
                outcome => return outcome.map(|()| connection),
            }
        }
    }

    /// What is known of moves to this store and from it.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn moves(&self) -> Result<Moves, StoreError> {
        let read = |connection: Arc<Connection>| async move { moves(&connection).await };
        self.shared.read("reading what was moved", read).await
    }

    /// Keeps a note of sessions that are moved here, in place of an earlier one.
    ///
    /// # Errors
    /// [`StoreError`] when that cannot be written.
    pub async fn note_arrival(&self, note: &str) -> Result<(), StoreError> {
        let manner = Manner::repeatable("noting what is moved");
        let write = |connection: Arc<Connection>, note: Arc<String>| async move {
            note_down(&connection, ARRIVAL, &note).await
        };
        self.shared.write(manner, note.to_owned(), write).await
    }

    /// Lets writers in again after [`HeldWriters::retire`].
    ///
    /// # Errors
    /// As [`hold_writers`](Self::hold_writers).
    pub async fn reinstate(&self) -> Result<(), StoreError> {
        let reinstate = async {
            let connection = self.hold().await?;
            for table in [RETIRED.as_slice(), &HELD].concat() {
                let sql = format!("DROP TRIGGER IF EXISTS sessile_retired ON {table}");
                connection.execute_template(&sql).await?;
            }
            connection.execute_template(&format!("DROP FUNCTION IF EXISTS {FUNCTION}()")).await?;
            connection.query(&FORGET, &[&DEPARTURE]).await?;
            connection.execute("COMMIT", Duration::MAX).await
        };
        reinstate.await.map_err(|failure| failure.report(TASK))
    }
}

/// Beside the tables of a prefix there may be others.
const FUNCTION: &str = "{schema}.\"{sessile_store:bare}_retired\"";

impl HeldWriters {
    /// Lets nobody write any more, running processes and SuperTokens' core included: every write
    /// fails with [`NotWritable`](sessile_core::store::StoreErrorKind::NotWritable) until the store
    /// is [reinstated](PostgresStore::reinstate). Reads go on. The user must own the tables. In a
    /// database that is shared with a SuperTokens core, that goes on with apps, tenants and users.
    /// `note` says where the sessions are, and is kept until then.
    ///
    /// # Errors
    /// [`StoreError`] when that cannot be written. Where the connection was lost it may have been:
    /// whoever can [hold the writers](PostgresStore::hold_writers) afterwards sees what came of it.
    pub async fn retire(self, note: &str) -> Result<(), StoreError> {
        let retire = async {
            note_down(&self.connection, DEPARTURE, note).await?;
            // The code is that of a server which takes no writes.
            let function = format!(
                "CREATE OR REPLACE FUNCTION {FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    RAISE EXCEPTION 'the sessions were moved to another store: use that one, or '
                        'reinstate this one' USING ERRCODE = '25006';
                END $$"
            );
            self.connection.execute_template(&function).await?;
            for (table, [event, each]) in triggers(self.store.ownership()) {
                let sql = format!(
                    "DROP TRIGGER IF EXISTS sessile_retired ON {table};
                    CREATE TRIGGER sessile_retired {event} ON {table}
                    {each} EXECUTE FUNCTION {FUNCTION}()"
                );
                self.connection.execute_template(&sql).await?;
            }
            self.connection.execute("COMMIT", Duration::MAX).await
        };
        retire.await.map_err(|failure: Failure| failure.report(TASK))
    }
}
