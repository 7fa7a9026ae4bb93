//! The PostgreSQL database of a configuration.

use sessile_core::Secret;

/// Where and how SuperTokens' core keeps everything in PostgreSQL, as the keys `postgresql_*` say.
/// `Debug` shows neither password nor connection URI.
///
/// Parts that are given for themselves override those of the URI; what neither says, the names of
/// the fields say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PostgresConfig {
    /// `postgresql://[user[:password]@]host[:port][/database][?attributes]`.
    pub connection_uri: Option<Secret>,
    /// The host; or else `localhost`.
    pub host: Option<String>,
    /// The port; or else 5432.
    pub port: Option<u16>,
    /// The user.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// The database; or else `supertokens`.
    pub database_name: Option<String>,
    /// The schema of the tables; or else the URI's attribute `currentSchema`, or `public`.
    pub table_schema: Option<String>,
    /// What the names of tables begin with, before a `_`; empty for nothing.
    pub table_names_prefix: String,
    /// The name of the table `key_value`, where it has another; without the prefix.
    pub key_value_table_name: Option<String>,
    /// The name of the table `session_info`, where it has another; without the prefix.
    pub session_info_table_name: Option<String>,
    /// How many connections there are at most: 10.
    pub connection_pool_size: usize,
}

impl Default for PostgresConfig {
    fn default() -> Self {
        Self {
            connection_uri: None,
            host: None,
            port: None,
            user: None,
            password: None,
            database_name: None,
            table_schema: None,
            table_names_prefix: String::new(),
            key_value_table_name: None,
            session_info_table_name: None,
            connection_pool_size: 10,
        }
    }
}

impl PostgresConfig {
    /// Whether a database is meant. As in SuperTokens' core that takes a user or a connection URI.
    pub fn is_complete(&self) -> bool {
        self.user.is_some() || self.connection_uri.is_some()
    }
}
