//! What is missing in the database, without making it.

use super::{
    definition::{ADDED_COLUMNS, LINKED_INDEX, TABLES, USER_INDEX},
    inspection::Found,
};
use crate::{connection::Connection, failure::Failure, names::Names};

/// What is there and what is missing. Tables are named as in SQL, but for arguments and columns.
#[derive(Debug)]
pub(crate) struct Survey {
    found: Found,
    /// The table and the column, by their bare names.
    missing_columns: Vec<(String, &'static str)>,
    session_info: String,
    pub(crate) unusable: Option<String>,
    /// Those of SuperTokens' core.
    pub(crate) missing_tables: Vec<String>,
    pub(crate) missing_indexes: Vec<String>,
    pub(crate) lacks_user_index: bool,
    pub(crate) own_tables: Vec<String>,
    pub(crate) lacks_own_tables: bool,
}

/// Looks at the schema.
pub(crate) async fn survey(connection: &Connection, names: &Names) -> Result<Survey, Failure> {
    let found = Found::look(connection, names).await?;
    let unusable = match found.check(names) {
        Err(Failure::Incompatible(problem)) => Some(problem),
        Err(failure) => return Err(failure),
        Ok(()) => None,
    };
    let (mut missing_tables, mut own_tables, mut missing_indexes) = (vec![], vec![], vec![]);
    let mut lacks_own_tables = false;
    for table in TABLES {
        let name = names.fill_in(table.name);
        let is_own = table.name.starts_with("{sessile_");
        if !found.has_table(&name) {
            lacks_own_tables |= is_own;
            if !is_own {
                missing_tables.push(names.qualified(&name));
            }
            continue;
        }
        if is_own {
            own_tables.push(names.qualified(&name));
        }
        let missing = table.indexes.iter().filter(|index| !found.has_index(&name, index.columns));
        missing_indexes.extend(missing.map(|index| {
            let index_name = found.free_name(index.name, names);
            index.create("CONCURRENTLY", &index_name, &names.qualified(&name))
        }));
    }
    let (users, index) = (&names.app_id_to_user_id, &LINKED_INDEX);
    if found.has_column(users, "primary_or_recipe_user_id")
        && !found.has_index(users, index.columns)
    {
        let index_name = found.free_name(index.name, names);
        missing_indexes.push(index.create("CONCURRENTLY", &index_name, &names.qualified(users)));
    }
    let added = ADDED_COLUMNS.iter().filter_map(|column| {
        let table = names.fill_in(column.table);
        let is_missing = found.has_table(&table) && !found.has_column(&table, column.name);
        is_missing.then_some((table, column.name))
    });
    let session_info = names.session_info.clone();
    let lacks_user_index =
        found.has_table(&session_info) && !found.has_index(&session_info, USER_INDEX.columns);
    Ok(Survey {
        missing_columns: added.collect(),
        found,
        session_info,
        unusable,
        missing_tables,
        missing_indexes,
        lacks_user_index,
        own_tables,
        lacks_own_tables,
    })
}

impl Survey {
    pub(crate) fn has_table(&self, table: &str) -> bool {
        self.found.has_table(table)
    }

    pub(crate) fn has_column(&self, table: &str, column: &str) -> bool {
        self.found.has_column(table, column)
    }

    /// The columns that are missing, as `table.column`.
    pub(crate) fn missing_columns(&self) -> Vec<String> {
        self.missing_columns.iter().map(|(table, column)| format!("{table}.{column}")).collect()
    }

    /// Whether opening the store changes the table itself, which its owner alone may.
    pub(crate) fn is_changed(&self, table: &str) -> bool {
        self.missing_columns.iter().any(|(changed, _)| changed == table)
            || (self.lacks_user_index && table == self.session_info)
    }
}
