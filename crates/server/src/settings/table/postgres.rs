//! Where SuperTokens' core keeps everything.

use sessile_core::Secret;

use crate::settings::key::{Given, Key, Kind, Problem, server};

/// SuperTokens' text for a connection URI that is none.
const WRONG_URI: &str = "The provided postgresql connection URI has an incorrect format. Please use \
                         a format like postgresql://[user[:[password]]@]host[:port][/dbname]\
                         [?attr1=val1&attr2=val2...";

pub(super) static KEYS: [Key; 11] = [
    server(
        "postgresql_connection_uri",
        Kind::Text,
        ("none", ""),
        "`postgresql://[user[:password]@]host[:port][/database][?attributes]`. The keys below \
         override its parts.",
        |settings, given| {
            let uri = given.trimmed();
            if !uri.starts_with("postgresql://") && !uri.starts_with("postgres://") {
                return Err(Problem::new(WRONG_URI));
            }
            settings.postgres.connection_uri = Some(Secret::new(uri.to_owned()));
            Ok(())
        },
    ),
    server("postgresql_host", Kind::Text, ("localhost", ""), "Its host.", |settings, given| {
        settings.postgres.host = Some(given.trimmed().to_owned());
        Ok(())
    }),
    server("postgresql_port", Kind::Integer, ("5432", ""), "Its port.", |settings, given| {
        let problem = "'postgresql_port' must be between 1 and 65535";
        let port = given.within(1..=65_535, Problem::new(problem))?;
        settings.postgres.port = Some(u16::try_from(port).map_err(|_| given.wrong_type())?);
        Ok(())
    }),
    server("postgresql_user", Kind::Text, ("none", ""), "Its user.", |settings, given| {
        settings.postgres.user = Some(given.text.to_owned());
        Ok(())
    }),
    server("postgresql_password", Kind::Text, ("none", ""), "The password.", |settings, given| {
        settings.postgres.password = Some(Secret::new(given.text.to_owned()));
        Ok(())
    }),
    server(
        "postgresql_database_name",
        Kind::Text,
        ("supertokens", ""),
        "Its database.",
        |settings, given| {
            settings.postgres.database_name = Some(given.trimmed().to_owned());
            Ok(())
        },
    ),
    server(
        "postgresql_table_schema",
        Kind::Text,
        ("public", ""),
        "The schema of the tables.",
        |settings, given| {
            settings.postgres.table_schema = Some(given.trimmed().to_owned());
            Ok(())
        },
    ),
    server(
        "postgresql_table_names_prefix",
        Kind::Text,
        ("none", ""),
        "What the names of tables begin with, before a `_`.",
        |settings, given| {
            settings.postgres.table_names_prefix = given.trimmed().to_owned();
            Ok(())
        },
    ),
    server(
        "postgresql_key_value_table_name",
        Kind::Text,
        ("key_value", ""),
        "The name of this table, in place of prefix and name.",
        |settings, given| {
            settings.postgres.key_value_table_name = Some(given.trimmed().to_owned());
            Ok(())
        },
    ),
    server(
        "postgresql_session_info_table_name",
        Kind::Text,
        ("session_info", ""),
        "The name of this table, in place of prefix and name.",
        |settings, given| {
            settings.postgres.session_info_table_name = Some(given.trimmed().to_owned());
            Ok(())
        },
    ),
    server(
        "postgresql_connection_pool_size",
        Kind::Integer,
        ("10", ""),
        "How many connections there are at most.",
        |settings, given| {
            let size = count(given, 1..=i64::from(i32::MAX))?;
            settings.postgres.connection_pool_size = size;
            Ok(())
        },
    ),
];

fn count(given: &Given<'_>, bounds: std::ops::RangeInclusive<i64>) -> Result<usize, Problem> {
    let least = if *bounds.start() == 0 { ">= 0" } else { "> 0" };
    let name = given.key.name;
    let problem = Problem::new(format!("'{name}' in the config.yaml file must be {least}"));
    let number = given.within(bounds, problem)?;
    usize::try_from(number).map_err(|_| given.wrong_type())
}
