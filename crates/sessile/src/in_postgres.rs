use sessile_core::{Error, GeneralError, Sessions, SessionsBuilder, WrappingKey};
use sessile_postgres::{PostgresOptions, PostgresStore};

use crate::WRAPPING_KEY_VARIABLE;

/// Sessions in PostgreSQL, in the tables of SuperTokens' core, which are made if they are not
/// there. Processes that share a database share its sessions.
///
/// ```no_run
/// # async fn sessions() -> Result<(), sessile::Error> {
/// let url = "postgresql://sessile:password@db.example/shop?sslmode=verify-full";
/// let sessions = sessile::in_postgres(url).await?.build().await?;
/// # Ok(())
/// # }
/// ```
///
/// Signing keys are sealed in a database of one's own where [`WRAPPING_KEY_VARIABLE`] is set, to the
/// same key in every process; otherwise whoever reads the database can make tokens, as with
/// SuperTokens' core. A database that such a core uses too can have no sealed keys, and needs
/// [`Algorithm::Rs256`](crate::Algorithm::Rs256) and SuperTokens' refresh tokens in the
/// [`Policy`](crate::policy::Policy).
///
/// With other options, open a [`PostgresStore`](crate::postgres::PostgresStore) and give it to
/// [`Sessions::builder`].
///
/// # Errors
/// [`Error::General`]: the URL cannot be read, the database cannot be reached or is of a version
/// that cannot be used, or the wrapping key is none.
pub async fn in_postgres(url: &str) -> Result<SessionsBuilder<PostgresStore>, Error> {
    let options = PostgresOptions::from_url(url)
        .map_err(|problem| GeneralError::Configuration(problem.to_string().into()))?;
    let key = wrapping_key_from_environment()?;
    let builder = Sessions::builder(options.open().await?);
    Ok(match key {
        Some(key) => builder.wrapping_key(key),
        None => builder,
    })
}

/// The wrapping key in [`WRAPPING_KEY_VARIABLE`], as [`in_postgres`] takes it, for who opens the
/// store with other options; `None` where that is not set.
///
/// # Errors
/// [`Error::General`]: it is no such key.
pub fn wrapping_key_from_environment() -> Result<Option<WrappingKey>, Error> {
    match std::env::var(WRAPPING_KEY_VARIABLE) {
        Ok(text) if !text.is_empty() => Ok(Some(WrappingKey::from_text(&text)?)),
        _ => Ok(None),
    }
}
