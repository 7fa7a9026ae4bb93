//! Signing keys, in the tables of SuperTokens' core where that can read them, and otherwise in one
//! of Sessile's own.

use std::sync::Arc;

use sessile_core::{
    AppId,
    clock::Timestamp,
    store::{StoreError, StoredSigningKey},
};

use super::tenants;
use crate::{
    connection::{Connection, LockClass, Template},
    failure::Failure,
    ownership::Ownership,
    record::{can_be_kept, column_of},
    shared::{Manner, Shared},
};

/// The beginning of a key or secret that is sealed under a wrapping key.
pub(super) const SEALED: &str = "sealed1:";

/// The newest key first.
///
/// SuperTokens' tables have the time of creation and no other order. A key of Sessile's own comes
/// after all of them that were there before it; the newest of those is its `after`.
pub(crate) static ALL: Template = Template {
    name: "signing_keys",
    text: "SELECT key_id, algorithm, created_at_time, material, is_static, after FROM (
            SELECT 'd-' || created_at_time AS key_id, 'RS256' AS algorithm, created_at_time,
                value AS material, false AS is_static, created_at_time AS after, 1 AS kind,
                0 AS sequence
            FROM {session_access_token_signing_keys} WHERE app_id = $1 AND value IS NOT NULL
            UNION ALL
            SELECT key_id, algorithm, coalesce(created_at, 0), key_string, true,
                coalesce(created_at, 0), 0, 0
            FROM {jwt_signing_keys} WHERE app_id = $1 AND algorithm = 'RS256'
            UNION ALL
            SELECT key_id, algorithm, created_at_time, material, is_static, after, 2, sequence
            FROM {sessile_signing_key} WHERE app_id = $1
        ) AS keys
        ORDER BY after DESC, kind DESC, sequence DESC, key_id DESC",
};

/// As SuperTokens' core does before it looks whether a key is due.
pub(crate) static LOCK_DYNAMIC: Template = Template {
    name: "lock_signing_keys",
    text: "SELECT created_at_time FROM {session_access_token_signing_keys} WHERE app_id = $1
        ORDER BY created_at_time FOR UPDATE",
};

pub(crate) static ADD_DYNAMIC: Template = Template {
    name: "add_dynamic_signing_key",
    text: "INSERT INTO {session_access_token_signing_keys} (app_id, created_at_time, value)
        VALUES ($1, $2, $3)",
};

pub(crate) static ADD_STATIC: Template = Template {
    name: "add_static_signing_key",
    text: "INSERT INTO {jwt_signing_keys} (app_id, key_id, algorithm, created_at, key_string)
        VALUES ($1, $2, 'RS256', $3, $4)",
};

pub(crate) static ADD_OWN: Template = Template {
    name: "add_own_signing_key",
    text: "INSERT INTO {sessile_signing_key}
            (app_id, key_id, algorithm, created_at_time, material, is_static, after)
        VALUES ($1, $2, $3, $4, $5, $6, $7)",
};

struct Listed {
    key: StoredSigningKey,
    after: i64,
}

async fn list(connection: &Connection, app: &AppId) -> Result<Vec<Listed>, Failure> {
    let rows = connection.query(&ALL, &[&app.as_str()]).await?;
    let listed = rows.iter().map(|row| {
        Ok(Listed {
            key: StoredSigningKey {
                key_id: column_of(row, 0)?,
                algorithm: column_of(row, 1)?,
                created_at: Timestamp::from_millis(column_of(row, 2)?),
                material: column_of(row, 3)?,
                is_static: column_of(row, 4)?,
            },
            after: column_of(row, 5)?,
        })
    });
    listed.collect()
}

pub(crate) async fn all(
    connection: &Connection,
    app: &AppId,
) -> Result<Vec<StoredSigningKey>, Failure> {
    Ok(list(connection, app).await?.into_iter().map(|listed| listed.key).collect())
}

pub(crate) async fn add(
    shared: &Arc<Shared>,
    app: &AppId,
    key: StoredSigningKey,
    newest: Option<&str>,
) -> Result<Vec<StoredSigningKey>, StoreError> {
    let ownership = shared.ownership;
    let arguments = (app.clone(), key, newest.map(str::to_owned));
    shared
        .write(
            Manner::repeatable("adding a signing key"),
            arguments,
            move |connection, arguments| async move {
                let (app, key, newest) = &*arguments;
                let adding = add_after(&connection, app, key, newest.as_deref(), ownership);
                connection.transaction((LockClass::Keys, app.as_str()), adding).await
            },
        )
        .await
}

/// Whoever has the lock of the app's keys is the only one who adds.
pub(super) async fn add_after(
    connection: &Connection,
    app: &AppId,
    key: &StoredSigningKey,
    newest: Option<&str>,
    ownership: Ownership,
) -> Result<Vec<StoredSigningKey>, Failure> {
    connection.query(&LOCK_DYNAMIC, &[&app.as_str()]).await?;
    let listed = list(connection, app).await?;
    if listed.first().map(|listed| listed.key.key_id.as_str()) == newest {
        if listed.iter().any(|listed| listed.key.key_id == key.key_id) {
            return Err(Failure::AlreadyExists("a signing key with this id exists already"));
        }
        let newest = listed.iter().map(|listed| listed.after).max();
        insert(connection, app, key, newest, ownership).await?;
    }
    all(connection, app).await
}

async fn insert(
    connection: &Connection,
    app: &AppId,
    key: &StoredSigningKey,
    newest: Option<i64>,
    ownership: Ownership,
) -> Result<(), Failure> {
    let created_at = key.created_at.as_millis();
    // In SuperTokens' tables, a key that is not younger than all others would not be the newest.
    let is_newest = newest.is_none_or(|newest| newest < created_at);
    let (app_name, id, material) = (app.as_str(), key.key_id.as_str(), key.material.as_str());
    if ownership == Ownership::Own {
        tenants::make(connection, app, sessile_core::TenantId::default().as_str()).await?;
    }
    if is_newest && is_supertokens_key(key) {
        if key.is_static {
            connection.query(&ADD_STATIC, &[&app_name, &id, &created_at, &material]).await?;
        } else {
            connection.query(&ADD_DYNAMIC, &[&app_name, &created_at, &material]).await?;
        }
        return Ok(());
    }
    if ownership == Ownership::Shared {
        return Err(Failure::Incompatible(refusal(key)));
    }
    if ![id, material, &key.algorithm].into_iter().all(can_be_kept) {
        return Err(Failure::Value("PostgreSQL cannot keep a text with a NUL character"));
    }
    let after = newest.unwrap_or(i64::MIN);
    let (algorithm, is_static) = (key.algorithm.as_str(), key.is_static);
    connection
        .query(&ADD_OWN, &[&app_name, &id, &algorithm, &created_at, &material, &is_static, &after])
        .await?;
    Ok(())
}

/// Whether SuperTokens' core reads such a key: RS256, its halves in the open, and named as it names
/// them.
pub(crate) fn is_supertokens_key(key: &StoredSigningKey) -> bool {
    let is_plain = key.material.contains('|')
        && !key.material.starts_with(SEALED)
        && can_be_kept(&key.material);
    let has_its_name = match key.is_static {
        true => key.key_id.starts_with("s-") && key.key_id.len() <= 255 && can_be_kept(&key.key_id),
        false => key.key_id == format!("d-{}", key.created_at.as_millis()),
    };
    key.algorithm == "RS256" && is_plain && has_its_name
}

/// What is wrong with a key for a database that is shared.
pub(crate) fn refusal(key: &StoredSigningKey) -> String {
    let problem = if key.algorithm != "RS256" {
        "it reads no keys but those of RS256: let that be the algorithm of access tokens"
    } else if key.material.starts_with(SEALED) {
        "it cannot read sealed keys: go without a wrapping key"
    } else {
        "this key has not the name or the time that it would have there"
    };
    format!(
        "this database is shared with a SuperTokens core, and {problem}; or, if no such core uses \
         it any more, open it as Sessile's own"
    )
}
