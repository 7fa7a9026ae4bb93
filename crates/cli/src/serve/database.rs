//! From the keys `postgresql_*` of SuperTokens' configuration to a database.

use anyhow::Context as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sessile::{
    Secret,
    policy::SigningKeyKind,
    postgres::{InvalidSettings, PostgresOptions},
};
use sessile_server::PostgresConfig;

/// How to open the database that the configuration names.
pub(super) fn options(config: &PostgresConfig, dynamic: bool) -> anyhow::Result<PostgresOptions> {
    let uri = config.connection_uri.as_ref().map_or("postgresql://localhost", Secret::expose);
    let (mut uri, schema_of_uri) = without_schema(uri);
    let default_database = (!names_database(&uri)).then_some("supertokens");
    for (name, value) in [
        ("user", config.user.as_deref()),
        ("password", config.password.as_ref().map(Secret::expose)),
        ("dbname", config.database_name.as_deref().or(default_database)),
    ] {
        if let Some(value) = value {
            uri.push(if uri.contains('?') { '&' } else { '?' });
            uri.extend([name, "="].into_iter().chain(utf8_percent_encode(value, NON_ALPHANUMERIC)));
        }
    }
    let read = || -> Result<PostgresOptions, InvalidSettings> {
        let mut options = PostgresOptions::from_url(&uri)?;
        let port = config.port.map(|port| port.to_string());
        for (name, value) in [("host", config.host.as_deref()), ("port", port.as_deref())] {
            if let Some(value) = value {
                options = options.setting(name, value)?;
            }
        }
        Ok(options)
    };
    let mut options = read().context("the PostgreSQL database cannot be told from the settings")?;
    let kind = if dynamic { SigningKeyKind::Dynamic } else { SigningKeyKind::Static };
    options = options.legacy_signing_key(kind);
    if let Some(schema) = config.table_schema.clone().or(schema_of_uri) {
        options = options.schema(&schema).context("postgresql_table_schema")?;
    }
    if !config.table_names_prefix.is_empty() {
        options = options
            .table_prefix(&config.table_names_prefix)
            .context("postgresql_table_names_prefix")?;
    }
    if let Some(name) = &config.key_value_table_name {
        options = options.key_value_table(name).context("postgresql_key_value_table_name")?;
    }
    if let Some(name) = &config.session_info_table_name {
        options = options.session_info_table(name).context("postgresql_session_info_table_name")?;
    }
    // Reads share a few, and writes need most.
    let readers = (config.connection_pool_size / 4).clamp(1, 4);
    let writers = config.connection_pool_size.saturating_sub(readers).max(1);
    Ok(options.readers(readers).writers(writers))
}

/// Whether the part between the hosts and the attributes is there.
fn names_database(uri: &str) -> bool {
    let rest = uri.split_once("://").map_or("", |(_, rest)| rest);
    let (place, attributes) = rest.split_once('?').unwrap_or((rest, ""));
    let path = place.split_once('/').map_or("", |(_, path)| path);
    !path.is_empty() || attributes.split('&').any(|attribute| attribute.starts_with("dbname="))
}

/// Java's driver takes the schema among the attributes of the URI; libpq knows none.
fn without_schema(uri: &str) -> (String, Option<String>) {
    const NAME: &str = "currentSchema=";
    let Some((place, attributes)) = uri.split_once('?') else { return (uri.to_owned(), None) };
    let schema = attributes.split('&').find_map(|attribute| attribute.strip_prefix(NAME));
    let others: Vec<_> =
        attributes.split('&').filter(|attribute| !attribute.starts_with(NAME)).collect();
    (format!("{place}?{}", others.join("&")), schema.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_told_from_its_schema() {
        for (uri, rest, schema) in [
            ("postgresql://a/b", "postgresql://a/b", None),
            ("postgresql://a/b?currentSchema=s", "postgresql://a/b?", Some("s")),
            (
                "postgresql://a/b?sslmode=require&currentSchema=s&user=u",
                "postgresql://a/b?sslmode=require&user=u",
                Some("s"),
            ),
        ] {
            assert_eq!(without_schema(uri), (rest.to_owned(), schema.map(str::to_owned)));
        }
    }

    #[test]
    fn a_database_is_named_or_not() {
        for (uri, named) in [
            ("postgresql://u:p@a:1/b", true),
            ("postgresql://a?dbname=b", true),
            ("postgresql://a", false),
            ("postgresql://a/", false),
            ("postgresql://a?sslmode=require", false),
        ] {
            assert_eq!(names_database(uri), named, "{uri}");
        }
    }
}
