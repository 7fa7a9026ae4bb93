//! What keeps the sessions of a server.

use std::{fmt, path::PathBuf};

use anyhow::bail;
use sessile::{
    Secret, Sessions, SessionsBuilder, WRAPPING_KEY_VARIABLE, WrappingKey,
    postgres::{PostgresOptions, PostgresStore},
    sqlite::SqliteStore,
};
use sessile_server::{CommitStatistics, PostgresConfig, Server, Settings};

use super::database;

/// What keeps the sessions where nothing is said.
const DEFAULT_STORE: &str = "sessile.db";

/// What keeps the sessions.
pub(crate) enum Place {
    File(PathBuf),
    Memory,
    Postgres(Box<PostgresOptions>),
}

impl Place {
    /// What the settings name. No two things are named for that.
    pub(crate) fn of(settings: &Settings) -> anyhow::Result<Self> {
        let postgres = &settings.postgres;
        let dynamic = settings.server.app.access_token_signing_key_dynamic;
        let Some(store) = settings.store.as_ref().map(Secret::expose) else {
            return if postgres.is_complete() {
                Ok(Self::Postgres(Box::new(database::options(postgres, dynamic)?)))
            } else {
                warn_of_incomplete(postgres);
                Ok(Self::File(DEFAULT_STORE.into()))
            };
        };
        if postgres.is_complete() {
            bail!(
                "both sessile_store (--store) and postgresql_user or postgresql_connection_uri \
                 are set: take one of them out"
            );
        }
        Self::named(store, settings)
    }

    /// What a text names: a URL, a file or `memory`. The settings say the rest of a database.
    pub(crate) fn named(store: &str, settings: &Settings) -> anyhow::Result<Self> {
        let postgres = &settings.postgres;
        let dynamic = settings.server.app.access_token_signing_key_dynamic;
        match store {
            "memory" => {
                warn_of_incomplete(postgres);
                Ok(Self::Memory)
            }
            url if url.contains("://") => {
                let uri = Some(Secret::new(url.to_owned()));
                let named = PostgresConfig { connection_uri: uri, ..postgres.clone() };
                Ok(Self::Postgres(Box::new(database::options(&named, dynamic)?)))
            }
            file => {
                warn_of_incomplete(postgres);
                Ok(Self::File(file.into()))
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(formatter),
            Self::Memory => formatter.write_str("memory"),
            Self::Postgres(_) => formatter.write_str("PostgreSQL"),
        }
    }
}

fn warn_of_incomplete(postgres: &PostgresConfig) {
    if *postgres != PostgresConfig::default() {
        tracing::warn!(
            "the keys postgresql_* have no effect without postgresql_user or \
             postgresql_connection_uri"
        );
    }
}

/// The sessions in a database; their keys are sealed where a wrapping key is given.
pub(super) fn in_postgres(store: PostgresStore) -> anyhow::Result<SessionsBuilder<PostgresStore>> {
    let builder = Sessions::builder(store);
    match std::env::var(WRAPPING_KEY_VARIABLE) {
        Ok(text) if !text.is_empty() => Ok(builder.wrapping_key(WrappingKey::from_text(&text)?)),
        _ => Ok(builder),
    }
}

/// Has the commits of SQLite counted with everything else.
pub(super) fn measure_commits(server: &Server<SqliteStore>) {
    let store = server.store().clone();
    server.measure_commits(move || {
        let statistics = store.statistics();
        let sizes = std::iter::successors(Some(1), |size| Some(size * 2));
        CommitStatistics {
            commits: statistics.commits,
            writes: statistics.writes,
            by_size: sizes.zip(statistics.commits_by_size).collect(),
        }
    });
}
