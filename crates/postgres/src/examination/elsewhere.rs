use std::time::Duration;

use sessile_core::clock::Timestamp;

use crate::{
    connection::{Connection, Template},
    failure::Failure,
    names::Names,
    record::column_of,
};

/// A table of sessions where none was looked for.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Elsewhere {
    /// Its schema.
    pub schema: String,
    /// Its bare name: `session_info` behind a prefix and an underscore, unless somebody named it.
    pub table: String,
    /// How many of its sessions have not expired; `None` where the user may not read it.
    pub sessions: Option<i64>,
}

impl Elsewhere {
    /// What its name has before `_session_info`; `None` where it has another name.
    pub fn prefix(&self) -> Option<&str> {
        match self.table.strip_suffix("session_info")? {
            "" => Some(""),
            prefix => prefix.strip_suffix('_').filter(|prefix| !prefix.is_empty()),
        }
    }
}

/// Where the sessions were moved away, nobody's are left behind.
static TABLES: Template = Template {
    name: "examine_elsewhere",
    text: "SELECT n.nspname::text, c.relname::text,
            has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
            AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
            AND NOT (n.nspname = $1::text AND c.relname = $2::text)
            AND 3 = (SELECT count(*) FROM pg_catalog.pg_attribute a
                WHERE a.attrelid = c.oid AND NOT a.attisdropped
                    AND a.attname IN ('session_handle', 'refresh_token_hash_2', 'expires_at'))
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t
                WHERE t.tgrelid = c.oid AND t.tgname = 'sessile_retired')
        ORDER BY 1, 2",
};

/// What [`count`] has asked.
static COUNTED: Template = Template { name: "examine_counted", text: "FETCH ALL FROM counted" };

/// The tables of sessions of the whole database but the one that is looked for.
pub(super) async fn look(
    connection: &Connection,
    names: &Names,
    now: Timestamp,
) -> Result<Vec<Elsewhere>, Failure> {
    let rows = connection.query(&TABLES, &[&names.schema, &names.session_info]).await?;
    let (mut found, mut readable) = (Vec::new(), Vec::new());
    for row in &rows {
        let (schema, table): (String, String) = (column_of(row, 0)?, column_of(row, 1)?);
        if column_of(row, 2)? {
            let name = format!("{}.{}", quoted(&schema), quoted(&table));
            readable.push((found.len(), name));
        }
        found.push(Elsewhere { schema, table, sessions: None });
    }
    if !readable.is_empty() {
        for row in &count(connection, &readable, now).await? {
            let place: i32 = column_of(row, 0)?;
            let counted = usize::try_from(place).ok().and_then(|place| found.get_mut(place));
            if let Some(counted) = counted {
                counted.sessions = Some(column_of(row, 1)?);
            }
        }
    }
    Ok(found)
}

/// The sessions of tables whose names nobody knew before: a cursor takes a text that was put
/// together, and what fetches from it is a statement as all others are.
async fn count(
    connection: &Connection,
    tables: &[(usize, String)],
    now: Timestamp,
) -> Result<Vec<tokio_postgres::Row>, Failure> {
    let now = now.as_millis();
    let counts = tables.iter().map(|(place, table)| {
        format!("SELECT {place} AS place, count(*) FROM {table} WHERE expires_at > {now}")
    });
    let counts = counts.collect::<Vec<_>>().join(" UNION ALL ");
    let sql = format!("DECLARE counted NO SCROLL CURSOR FOR {counts}");
    connection.execute(&sql, Duration::MAX).await?;
    connection.query_endless(&COUNTED, &[]).await
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_told_from_the_name() {
        for (table, prefix) in [
            ("session_info", Some("")),
            ("st_session_info", Some("st")),
            ("a_b_session_info", Some("a_b")),
            ("stsession_info", None),
            ("_session_info", None),
            ("logins", None),
        ] {
            let table = table.to_owned();
            let found = Elsewhere { schema: "public".into(), table, sessions: None };
            assert_eq!(found.prefix(), prefix, "{found:?}");
        }
    }
}
