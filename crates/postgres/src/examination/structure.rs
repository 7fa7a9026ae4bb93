use std::collections::HashMap;

use sessile_core::clock::Timestamp;

use super::elsewhere::{self, Elsewhere};
use crate::{
    connection::{Connection, Template},
    failure::Failure,
    names::Names,
    ownership::Ownership,
    record::column_of,
    schema::{self, Survey},
};

/// The tables of a schema, and what the user may do with them. Names are as in SQL, with their
/// schema and quoted, where nothing else is said.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Structure {
    /// Whether the table of sessions is there.
    pub has_sessions: bool,
    /// Why the tables that are there cannot be used: they are another program's, or those of a
    /// SuperTokens core older than 6.0.
    pub unusable: Option<String>,
    /// The tables of SuperTokens' core that are missing.
    pub missing_tables: Vec<String>,
    /// Columns that the tables lack, by their bare names, as `table.column`: cores before 12.1 do
    /// not have all. They are added when the store is opened.
    pub missing_columns: Vec<String>,
    /// The statements that make the indexes which are missing, without blocking writers.
    pub missing_indexes: Vec<String>,
    /// Whether the index that finds the sessions of a user is among them. It is made when the store
    /// is opened.
    pub lacks_user_index: bool,
    /// Sessile's own tables that are there.
    pub own_tables: Vec<String>,
    /// The version of Sessile's own tables, where they are there and may be read, and the version
    /// that this program knows.
    pub own_version: Option<i32>,
    /// The version of Sessile's own tables that this program makes.
    pub known_version: i32,
    /// Whose the database is said to be, where Sessile has opened it before.
    pub ownership: Option<Ownership>,
    /// Whose it will be when the store is opened.
    pub opens_as: Ownership,
    /// Whether the sessions were moved to another store, so that nobody can write to this one.
    pub is_retired: bool,
    /// Tables of sessions with other names, or in other schemas, from which the sessions were not
    /// moved to another store.
    pub elsewhere: Vec<Elsewhere>,
    /// The statements by which the user would get the rights that it lacks.
    pub missing_rights: Vec<String>,
    /// Tables that have to be changed when the store is opened, and that are not the user's.
    pub owned_by_others: Vec<String>,
}

/// The tables whose rows the user may read, by their bare names.
pub(super) struct Readable {
    tables: HashMap<String, Rights>,
    survey: Survey,
}

impl Readable {
    pub(super) fn has(&self, table: &str) -> bool {
        self.tables.get(table).is_some_and(|rights| rights.granted[0])
    }

    pub(super) fn has_column(&self, table: &str, column: &str) -> bool {
        self.has(table) && self.survey.has_column(table, column)
    }
}

#[derive(Clone, Copy)]
struct Rights {
    is_owned: bool,
    /// In the order of [`RIGHTS`].
    granted: [bool; 5],
}

/// What has to be done with rows; and, for tables of Sessile's own that refer to it, with a table.
const RIGHTS: [&str; 5] = ["SELECT", "INSERT", "UPDATE", "DELETE", "REFERENCES"];

static TABLES: Template = Template {
    name: "examine_tables",
    text: "SELECT c.relname::text, pg_has_role(c.relowner, 'USAGE'),
            has_table_privilege(c.oid, 'SELECT'), has_table_privilege(c.oid, 'INSERT'),
            has_table_privilege(c.oid, 'UPDATE'), has_table_privilege(c.oid, 'DELETE'),
            has_table_privilege(c.oid, 'REFERENCES')
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1::text AND c.relname = ANY($2::text[]) AND c.relkind IN ('r', 'p')
            AND has_schema_privilege(n.oid, 'USAGE')",
};

static SCHEMA: Template = Template {
    name: "examine_schema",
    text: "SELECT current_user::text, current_database()::text,
            has_database_privilege(current_database(), 'CREATE'),
            (SELECT has_schema_privilege(oid, 'USAGE') FROM pg_catalog.pg_namespace
                WHERE nspname = $1::text),
            (SELECT has_schema_privilege(oid, 'CREATE') FROM pg_catalog.pg_namespace
                WHERE nspname = $1::text)",
};

static MARK: Template =
    Template { name: "examine_mark", text: "SELECT version, ownership FROM {sessile_store}" };

static RETIRED: Template = Template {
    name: "examine_retired",
    text: "SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger t
        JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1::text AND c.relname = $2::text AND t.tgname = 'sessile_retired')",
};

impl Structure {
    pub(super) async fn look(
        connection: &Connection,
        names: &Names,
        wanted: Option<Ownership>,
        now: Timestamp,
    ) -> Result<(Self, Readable), Failure> {
        let survey = schema::survey(connection, names).await?;
        let tables = rights_on_tables(connection, names).await?;
        let readable = Readable { tables, survey };
        let (missing_rights, owned_by_others) =
            lacking_rights(connection, names, &readable).await?;
        let mark = match readable.has(&names.sessile_store) {
            true => connection.query(&MARK, &[]).await?,
            false => Vec::new(),
        };
        let (mut own_version, mut ownership) = (None, None);
        if let Some(row) = mark.first() {
            own_version = Some(column_of(row, 0)?);
            ownership = Ownership::from_text(column_of(row, 1)?);
        }
        let rows = connection.query(&RETIRED, &[&names.schema, &names.session_info]).await?;
        let is_retired = rows.first().map_or(Ok(false), |row| column_of(row, 0))?;
        let survey = &readable.survey;
        let has_sessions = survey.has_table(&names.session_info);
        let structure = Self {
            has_sessions,
            unusable: survey.unusable.clone(),
            missing_tables: survey.missing_tables.clone(),
            missing_columns: survey.missing_columns(),
            missing_indexes: survey.missing_indexes.clone(),
            lacks_user_index: survey.lacks_user_index,
            own_tables: survey.own_tables.clone(),
            own_version,
            known_version: schema::VERSION,
            ownership,
            opens_as: schema::ownership_of(wanted, ownership, !has_sessions),
            is_retired,
            elsewhere: elsewhere::look(connection, names, now).await?,
            missing_rights,
            owned_by_others,
        };
        Ok((structure, readable))
    }
}

async fn rights_on_tables(
    connection: &Connection,
    names: &Names,
) -> Result<HashMap<String, Rights>, Failure> {
    let rows = connection.query(&TABLES, &[&names.schema, &names.all()]).await?;
    let rights = rows.iter().map(|row| {
        let mut granted = [false; RIGHTS.len()];
        for (place, granted) in granted.iter_mut().enumerate() {
            *granted = column_of(row, place + 2)?;
        }
        Ok((column_of(row, 0)?, Rights { is_owned: column_of(row, 1)?, granted }))
    });
    rights.collect()
}

/// The grants that are missing, and the tables of others that would have to be changed.
async fn lacking_rights(
    connection: &Connection,
    names: &Names,
    readable: &Readable,
) -> Result<(Vec<String>, Vec<String>), Failure> {
    let rows = connection.query(&SCHEMA, &[&names.schema]).await?;
    let Some(row) = rows.first() else { return Ok(Default::default()) };
    let user = quoted(column_of(row, 0)?);
    let database = quoted(column_of(row, 1)?);
    let may_make_schema: bool = column_of(row, 2)?;
    let may_use: Option<bool> = column_of(row, 3)?;
    let may_make: Option<bool> = column_of(row, 4)?;

    let survey = &readable.survey;
    let makes_tables = !survey.missing_tables.is_empty() || survey.lacks_own_tables;
    let schema = names.fill_in("{schema}");
    let mut grants = Vec::new();
    match (may_use, may_make) {
        (None, _) if !may_make_schema => {
            grants.push(format!("GRANT CREATE ON DATABASE {database} TO {user}"));
        }
        (Some(may_use), may_make) => {
            if !may_use {
                grants.push(format!("GRANT USAGE ON SCHEMA {schema} TO {user}"));
            }
            if makes_tables && may_make == Some(false) {
                grants.push(format!("GRANT CREATE ON SCHEMA {schema} TO {user}"));
            }
        }
        _ => {}
    }
    let referred_to = [&names.session_info, &names.apps, &names.tenants];
    let mut owned_by_others = Vec::new();
    for table in names.needed().filter(|table| survey.has_table(table)) {
        // Without the right to use the schema nothing is known of its tables: the user gets all.
        let rights = readable.tables.get(table).copied();
        let rights = rights.unwrap_or(Rights { is_owned: false, granted: [false; RIGHTS.len()] });
        let refers = survey.lacks_own_tables && referred_to.iter().any(|name| *name == table);
        let wanted = if refers { RIGHTS.len() } else { RIGHTS.len() - 1 };
        let missing = RIGHTS.iter().zip(rights.granted).take(wanted);
        let missing: Vec<_> =
            missing.filter(|(_, granted)| !granted).map(|(right, _)| *right).collect();
        if !missing.is_empty() {
            let (missing, table) = (missing.join(", "), names.qualified(table));
            grants.push(format!("GRANT {missing} ON {table} TO {user}"));
        }
        if survey.is_changed(table) && !rights.is_owned {
            owned_by_others.push(names.qualified(table));
        }
    }
    for table in names.of_users().into_iter().filter(|table| survey.has_table(table)) {
        if !readable.has(table) {
            grants.push(format!("GRANT SELECT ON {} TO {user}", names.qualified(table)));
        }
    }
    Ok((grants, owned_by_others))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
