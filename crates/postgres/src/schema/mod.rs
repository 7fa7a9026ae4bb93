//! The tables: finding them, making those that are missing, and bringing older ones forward.

mod changes;
mod definition;
mod inspection;
mod statistics;
mod survey;
mod user_index;
mod waiting;

pub(crate) use self::survey::{Survey, survey};

use std::{sync::Arc, time::Duration};

use sessile_core::policy::SigningKeyKind;

use self::{
    changes::{Made, PATIENT_LOCK_TIMEOUT, missing},
    inspection::Found,
};
use crate::{
    connection::{Connection, LockClass, Template},
    connector::Connector,
    failure::Failure,
    names::Names,
    ownership::Ownership,
    record::column_of,
    statements::tenants,
};

/// The version of Sessile's own tables. An older one is brought forward, a newer one refused.
pub(crate) const VERSION: i32 = 1;

/// How often it is tried again where another program was at the same, and how long it may go on in
/// between.
const ATTEMPTS: usize = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// What the options say of the database.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) ownership: Option<Ownership>,
    pub(crate) legacy_key_kind: SigningKeyKind,
}

/// Makes the database one that can be used, and says whose it is. Writes nothing where nothing is
/// missing.
pub(crate) async fn prepare(
    connection: &Connection,
    connector: &Arc<Connector>,
    names: &Names,
    wanted: Wanted,
) -> Result<Ownership, Failure> {
    check_server(connection).await?;
    let mut attempts = 1..ATTEMPTS;
    let ownership = loop {
        match make_what_is_missing(connection, names, wanted).await {
            Ok(Progress::Settled(ownership)) => break ownership,
            Ok(Progress::Changed) => attempts = 1..ATTEMPTS,
            Ok(Progress::Hindered(failure)) => return Err(failure),
            Err(failure) if is_passing(&failure) && attempts.next().is_some() => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(failure) => return Err(failure),
        }
    };
    let found = Found::look(connection, names).await?;
    names.know(found.users(names)?);
    user_index::make(connection, connector, names, &found).await?;
    Ok(ownership)
}

/// Whether it is because of what another program was doing.
fn is_passing(failure: &Failure) -> bool {
    failure.is_lock_timeout()
        || failure.is_conflict()
        || failure.is_already_there()
        || waiting::is_statement_timeout(failure)
}

/// How far it has come.
enum Progress {
    /// One change was made; there may be more to do.
    Changed,
    /// Somebody held a table for longer than is waited for.
    Hindered(Failure),
    /// Nothing is missing any more.
    Settled(Ownership),
}

static SERVER: Template = Template {
    name: "server",
    text: "SELECT current_setting('server_version_num')::integer,
        current_setting('server_encoding')",
};

async fn check_server(connection: &Connection) -> Result<(), Failure> {
    let rows = connection.query(&SERVER, &[]).await?;
    let Some(row) = rows.first() else { return Ok(()) };
    let (version, encoding): (i32, &str) = (column_of(row, 0)?, column_of(row, 1)?);
    if version < 130_000 {
        let major = version / 10_000;
        return Err(Failure::Incompatible(format!(
            "this is PostgreSQL {major}: Sessile needs version 13 or newer"
        )));
    }
    if encoding != "UTF8" {
        return Err(Failure::Incompatible(format!(
            "the database has the encoding {encoding}: Sessile needs one with UTF8"
        )));
    }
    Ok(())
}

/// One look, and where that is not enough one transaction.
///
/// Where others use the tables, each change has a transaction of its own: so the locks of one are
/// not held while another waits for its own. The advisory lock lets one node at a time try.
async fn make_what_is_missing(
    connection: &Connection,
    names: &Names,
    wanted: Wanted,
) -> Result<Progress, Failure> {
    if let Some(ownership) = settled(connection, names, wanted).await? {
        return Ok(Progress::Settled(ownership));
    }
    let found = Found::look(connection, names).await?;
    if !found.has_schema {
        let sql = names.fill_in("CREATE SCHEMA IF NOT EXISTS {schema}");
        connection.execute(&sql, Duration::MAX).await?;
    }
    let making = async {
        let sql = format!(
            "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
            SET LOCAL lock_timeout = {PATIENT_LOCK_TIMEOUT}"
        );
        connection.execute(&sql, Duration::MAX).await?;
        // Another process may have done it while this one waited for its lock.
        let found = Found::look(connection, names).await?;
        found.check(names)?;
        // First: what a newer version has made is not to be changed.
        let known = known_ownership(connection, &found, names).await?;
        let changes = missing(names, &found);
        let is_in_use = found.has_table(&names.session_info);
        if let Some(change) = changes.first()
            && is_in_use
        {
            return Ok(match change.make(connection, names).await? {
                Made::Yes => Progress::Changed,
                Made::No(failure) => Progress::Hindered(failure),
            });
        }
        for statement in changes.iter().flat_map(|change| &change.statements) {
            connection.execute(statement, Duration::MAX).await?;
        }
        let public = Default::default();
        tenants::make(connection, &public, public.as_str()).await?;
        statistics::gather(connection, names).await?;
        move_legacy_key(connection, names, wanted.legacy_key_kind).await?;
        connection.query(&NULL_FIRST_FACTORS, &[]).await?;
        let is_made = !found.has_table(&names.session_info);
        mark(connection, known, is_made, wanted.ownership).await.map(Progress::Settled)
    };
    // The name is that of the schema: databases have no locks in common.
    connection.transaction((LockClass::Schema, &names.schema), making).await
}

static SETTLED: Template = Template {
    name: "settled",
    text: "SELECT version, ownership,
            EXISTS (SELECT FROM {key_value} WHERE name = 'access_token_signing_key')
                OR NOT EXISTS (SELECT FROM {tenants}
                    WHERE app_id = 'public' AND tenant_id = 'public')
                OR EXISTS (SELECT FROM {tenant_configs} WHERE is_first_factors_null IS NULL)
        FROM {sessile_store}",
};

/// Whose the database is, where nothing has to be written.
async fn settled(
    connection: &Connection,
    names: &Names,
    wanted: Wanted,
) -> Result<Option<Ownership>, Failure> {
    let found = Found::look(connection, names).await?;
    if !found.is_complete(names) || !missing(names, &found).is_empty() {
        return Ok(None);
    }
    let rows = connection.query(&SETTLED, &[]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let version: i32 = column_of(row, 0)?;
    check_version(version)?;
    let needs_writing: bool = column_of(row, 2)?;
    let ownership = Ownership::from_text(column_of(row, 1)?);
    let is_wanted = wanted.ownership.is_none() || wanted.ownership == ownership;
    Ok(ownership.filter(|_| version == VERSION && !needs_writing && is_wanted))
}

fn check_version(version: i32) -> Result<(), Failure> {
    if version <= VERSION {
        return Ok(());
    }
    Err(Failure::Incompatible(format!(
        "the tables were made by a newer version of Sessile (they have version {version}, this \
         program knows {VERSION}): use that version"
    )))
}

static MOVE_TO_DYNAMIC: Template = Template {
    name: "move_legacy_key_to_dynamic",
    text: "WITH legacy AS (
            DELETE FROM {key_value} WHERE name = 'access_token_signing_key'
            RETURNING app_id, value, created_at_time
        )
        INSERT INTO {session_access_token_signing_keys} (app_id, created_at_time, value)
        SELECT app_id, created_at_time, value FROM legacy ON CONFLICT DO NOTHING",
};

static MOVE_TO_STATIC: Template = Template {
    name: "move_legacy_key_to_static",
    text: "WITH legacy AS (
            DELETE FROM {key_value} WHERE name = 'access_token_signing_key'
            RETURNING app_id, value, created_at_time
        )
        INSERT INTO {jwt_signing_keys} (app_id, key_id, key_string, algorithm, created_at)
        SELECT app_id, 's-' || gen_random_uuid(), value, 'RS256', created_at_time FROM legacy",
};

/// A core 2.x kept one signing key where secrets are; cores since then move it at their start.
async fn move_legacy_key(
    connection: &Connection,
    _: &Names,
    kind: SigningKeyKind,
) -> Result<(), Failure> {
    let template = match kind {
        SigningKeyKind::Dynamic => &MOVE_TO_DYNAMIC,
        SigningKeyKind::Static => &MOVE_TO_STATIC,
    };
    connection.query(template, &[]).await.map(drop)
}

/// Cores before 9.1 do not know the column, and insert rows without it; later ones take that for
/// a list of no factors, with which nobody can log in.
static NULL_FIRST_FACTORS: Template = Template {
    name: "null_first_factors",
    text: "UPDATE {tenant_configs} SET is_first_factors_null = true
        WHERE is_first_factors_null IS NULL",
};

static READ_MARK: Template =
    Template { name: "read_mark", text: "SELECT version, ownership FROM {sessile_store}" };

static WRITE_MARK: Template = Template {
    name: "write_mark",
    text: "INSERT INTO {sessile_store} (version, ownership) VALUES ($1, $2)
        ON CONFLICT (singleton) DO UPDATE SET
            version = excluded.version, ownership = excluded.ownership",
};

/// What SuperTokens' core could not read.
static OWN_CONTENT: Template = Template {
    name: "own_content",
    text: "SELECT EXISTS (SELECT FROM {sessile_signing_key})
        OR EXISTS (SELECT FROM {sessile_secret} WHERE name = 'refresh_token_key')",
};

/// Whose the database is, as it was said before.
///
/// # Errors
/// Where a newer version of Sessile has said it.
async fn known_ownership(
    connection: &Connection,
    found: &Found,
    names: &Names,
) -> Result<Option<Ownership>, Failure> {
    if !found.has_table(&names.sessile_store) {
        return Ok(None);
    }
    let rows = connection.query(&READ_MARK, &[]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    check_version(column_of(row, 0)?)?;
    Ok(Ownership::from_text(column_of(row, 1)?))
}

/// Whose a database is. The tables of one that is not shared are made by whoever opens it.
pub(crate) fn ownership_of(
    wanted: Option<Ownership>,
    known: Option<Ownership>,
    is_made: bool,
) -> Ownership {
    let by_itself = if is_made { Ownership::Own } else { Ownership::Shared };
    wanted.or(known).unwrap_or(by_itself)
}

/// Keeps whose the database is, and says it.
async fn mark(
    connection: &Connection,
    known: Option<Ownership>,
    is_made: bool,
    wanted: Option<Ownership>,
) -> Result<Ownership, Failure> {
    let ownership = ownership_of(wanted, known, is_made);
    if ownership == Ownership::Shared && known == Some(Ownership::Own) {
        let rows = connection.query(&OWN_CONTENT, &[]).await?;
        if rows.first().map_or(Ok(false), |row| column_of(row, 0))? {
            return Err(Failure::Incompatible(
                "the database has signing keys or secrets that a SuperTokens core cannot read, so \
                 it cannot be shared with one"
                    .into(),
            ));
        }
    }
    connection.query(&WRITE_MARK, &[&VERSION, &ownership.as_str()]).await?;
    Ok(ownership)
}
