//! What is in the database.

use std::collections::{HashMap, HashSet};

use super::definition::{NEEDED_COLUMNS, TABLES};
use crate::{
    connection::{Connection, Template},
    failure::Failure,
    names::Names,
    record::column_of,
    users::Users,
};

static SCHEMA: Template = Template {
    name: "inspect_schema",
    text: "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1::text)",
};

static COLUMNS: Template = Template {
    name: "inspect_columns",
    text: "SELECT c.relname::text, a.attname::text, has_table_privilege(c.oid, 'SELECT')
        FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
        WHERE n.nspname = $1::text AND c.relname = ANY($2::text[]) AND c.relkind IN ('r', 'p')
            AND a.attnum > 0 AND NOT a.attisdropped",
};

static INDEXES: Template = Template {
    name: "inspect_indexes",
    text: "SELECT c.relname::text, x.relname::text, i.indisvalid AND i.indpred IS NULL,
            ARRAY(SELECT a.attname::text
                FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place)
                JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
                ORDER BY k.place)
        FROM pg_catalog.pg_index i
        JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
        JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1::text",
};

/// The tables, their columns and the indexes of the schema.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) has_schema: bool,
    columns: HashMap<String, HashSet<String>>,
    unreadable: HashSet<String>,
    indexes: Vec<FoundIndex>,
}

#[derive(Debug)]
struct FoundIndex {
    table: String,
    name: String,
    is_usable: bool,
    columns: Vec<String>,
}

impl Found {
    pub(super) async fn look(connection: &Connection, names: &Names) -> Result<Self, Failure> {
        let schema = names.schema.as_str();
        let rows = connection.query(&SCHEMA, &[&schema]).await?;
        let has_schema = rows.first().map_or(Ok(false), |row| column_of(row, 0))?;
        let mut columns: HashMap<String, HashSet<String>> = HashMap::new();
        let mut unreadable = HashSet::new();
        for row in connection.query(&COLUMNS, &[&schema, &names.all()]).await? {
            columns.entry(column_of(&row, 0)?).or_default().insert(column_of(&row, 1)?);
            if !column_of::<bool>(&row, 2)? {
                unreadable.insert(column_of(&row, 0)?);
            }
        }
        let rows = connection.query(&INDEXES, &[&schema]).await?;
        let indexes = rows.iter().map(|row| {
            Ok(FoundIndex {
                table: column_of(row, 0)?,
                name: column_of(row, 1)?,
                is_usable: column_of(row, 2)?,
                columns: column_of(row, 3)?,
            })
        });
        let indexes = indexes.collect::<Result<_, Failure>>()?;
        Ok(Self { has_schema, columns, unreadable, indexes })
    }

    pub(super) fn has_table(&self, table: &str) -> bool {
        self.columns.contains_key(table)
    }

    pub(super) fn has_column(&self, table: &str, column: &str) -> bool {
        self.columns.get(table).is_some_and(|columns| columns.contains(column))
    }

    /// What the tables say of users.
    ///
    /// # Errors
    /// Where they may not be read: without them, an application would be shown other users.
    pub(super) fn users(&self, names: &Names) -> Result<Users, Failure> {
        let has =
            |table, columns: &[&str]| columns.iter().all(|column| self.has_column(table, column));
        let linked = ["app_id", "user_id", "primary_or_recipe_user_id"];
        let mapped = ["app_id", "supertokens_user_id", "external_user_id"];
        let users = Users {
            may_be_linked: has(&names.app_id_to_user_id, &linked),
            may_be_mapped: has(&names.userid_mapping, &mapped),
        };
        if users == Users::default() {
            return Ok(users);
        }
        match names.of_users().into_iter().find(|table| self.unreadable.contains(*table)) {
            Some(table) => Err(Failure::Incompatible(format!(
                "the table '{table}' may not be read, which says what accounts are linked: grant \
                 it with GRANT SELECT ON {} TO this user",
                names.qualified(table)
            ))),
            None => Ok(users),
        }
    }

    /// Whether all tables are there.
    pub(super) fn is_complete(&self, names: &Names) -> bool {
        TABLES.iter().all(|table| self.has_table(&names.fill_in(table.name)))
    }

    /// Whether the table has an index that begins with these columns, which are joined by commas,
    /// in any order.
    pub(super) fn has_index(&self, table: &str, columns: &str) -> bool {
        let columns: Vec<&str> = columns.split(", ").collect();
        self.indexes.iter().any(|index| {
            let mut first = index.columns.iter().take(columns.len());
            index.is_usable
                && index.table == table
                && index.columns.len() >= columns.len()
                && first.all(|column| columns.contains(&column.as_str()))
        })
    }

    /// Whether an index of that name is there, and of no use.
    pub(super) fn has_broken_index(&self, name: &str) -> bool {
        self.indexes.iter().any(|index| index.name == name && !index.is_usable)
    }

    /// The name for an index; another than usual where tables with another prefix have it already.
    pub(super) fn free_name(&self, usual: &str, names: &Names) -> String {
        let is_taken =
            self.indexes.iter().any(|index| index.name == usual && !names.has(&index.table));
        if is_taken { format!("{}_{usual}", names.sessile_store) } else { usual.to_owned() }
    }

    /// # Errors
    /// Where a table is there and lacks what every core since 6.0 has.
    pub(super) fn check(&self, names: &Names) -> Result<(), Failure> {
        for (table, columns) in NEEDED_COLUMNS {
            let table = names.fill_in(table);
            let lacks = |column: &&&str| !self.has_column(&table, column);
            if self.has_table(&table)
                && let Some(column) = columns.iter().find(lacks)
            {
                return Err(Failure::Incompatible(format!(
                    "the table '{table}' has no column '{column}': it is another program's, or that \
                     of a SuperTokens core older than 6.0, which a newer core has to bring forward \
                     first; or choose another schema or table prefix"
                )));
            }
        }
        Ok(())
    }
}
