use std::slice;

use sessile_core::{
    AppId,
    clock::Timestamp,
    store::{Owner, SessionRecord, StoreError},
};
use tokio_postgres::types::ToSql;

use super::{reading, tenants};
use crate::{
    batch::{Gathered, Key, Patience, each, place_of, waiting_no_longer_than},
    connection::{Connection, LockClass, Template},
    failure::{Failure, Task},
    lane::Lane,
    ownership::Ownership,
    record::{can_be_kept, hash_to_text, owner},
    shared::Shared,
};

/// A new session.
pub(crate) struct Insert {
    pub(crate) key: Key,
    pub(super) session: SessionRecord,
}

pub(crate) const TAKEN: Failure =
    Failure::AlreadyExists("a session with this handle exists already");

/// The longest names that the tables have room for, in characters.
const LONGEST_HANDLE: usize = 255;
const LONGEST_USER_ID: usize = 128;

impl Insert {
    /// # Errors
    /// When the database cannot keep the session.
    pub(crate) fn new(app: &AppId, session: SessionRecord) -> Result<Self, StoreError> {
        let texts = [
            session.handle.as_str(),
            &session.user_id,
            &session.jwt_payload,
            &session.session_data,
        ];
        let label = session.client_label.as_deref().unwrap_or_default();
        let problem = if !texts.into_iter().chain([label]).all(can_be_kept) {
            "PostgreSQL cannot keep a text with a NUL character"
        } else if session.handle.as_str().chars().count() > LONGEST_HANDLE {
            "a session handle must not be longer than 255 characters"
        } else if session.user_id.chars().count() > LONGEST_USER_ID {
            "a user id must not be longer than 128 characters"
        } else {
            return Ok(Self { key: Key::new(app, &session.handle), session });
        };
        Err(Failure::Value(problem).report(Self::TASK))
    }

    /// Whether anything has to be kept beside what SuperTokens' core keeps.
    fn has_more(&self) -> bool {
        let session = &self.session;
        session.sealed_child.is_some()
            || session.client_label.is_some()
            || session.ends_at != Timestamp::MAX
    }

    fn ends_at(&self) -> Option<i64> {
        let ends_at = self.session.ends_at;
        (ends_at != Timestamp::MAX).then_some(ends_at.as_millis())
    }
}

/// The names of the parameters' columns.
macro_rules! new_sessions {
    () => {
        "unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], \
         $7::bigint[], $8::bytea[], $9::text[], $10::text[], $11::bigint[], $12::bigint[], \
         $13::bigint[], $14::text[], $15::boolean[], $16::boolean[]) WITH ORDINALITY AS i \
         (app_id, tenant_id, session_handle, user_id, hash, previous_hash, rotated_at, \
         sealed_child, payload, data, created_at, expires_at, ends_at, client_label, \
         use_static_key, has_more, place)"
    };
}

/// The parts of a `WITH` that insert what `new` has: `inserted` has those whose names were free. A
/// test for truth keeps the planner from making a join of it, in which each would be compared with
/// each.
macro_rules! insert_new {
    () => {
        "inserted AS (
            INSERT INTO {session_info} (app_id, tenant_id, session_handle, user_id,
                refresh_token_hash_2, prev_refresh_token_hash_2, refresh_token_rotated_at,
                jwt_user_payload, session_data, created_at_time, expires_at, use_static_key)
            SELECT app_id, tenant_id, session_handle, account, hash, previous_hash, rotated_at,
                payload, data, created_at, expires_at, use_static_key
            FROM new
            ON CONFLICT DO NOTHING
            RETURNING app_id, tenant_id, session_handle
        ), extended AS (
            INSERT INTO {sessile_session} (app_id, tenant_id, session_handle, sealed_child,
                sealed_child_hash, ends_at, client_label)
            SELECT app_id, tenant_id, session_handle, sealed_child,
                CASE WHEN sealed_child IS NOT NULL THEN hash END, ends_at, client_label
            FROM new
            WHERE has_more AND ((app_id, tenant_id, session_handle) IN
                (SELECT app_id, tenant_id, session_handle FROM inserted)) IS TRUE
        )"
    };
}

pub(super) use {insert_new, new_sessions};

/// Whoever ends all sessions of a user has the lock of the user, and no session is added meanwhile:
/// what is added is either there before all of them end, and ends as well, or there after. Users
/// are locked in one order, so that nobody waits for somebody who waits for him.
macro_rules! insert {
    ($name:literal, $account:literal, $primary_user:literal) => {
        Template {
            name: $name,
            text: concat!(
                "WITH locked AS MATERIALIZED (
                    SELECT pg_advisory_xact_lock_shared($17::integer, name) FROM (
                        SELECT DISTINCT hashtext(app_id || '/' || ",
                $account,
                ") AS name
                        FROM unnest($1::text[], $4::text[]) AS i (app_id, user_id) ORDER BY name
                    ) AS users WHERE ",
                waiting_no_longer_than!("$18"),
                "), new AS (
                    SELECT *, ",
                $account,
                " AS account FROM ",
                new_sessions!(),
                "   WHERE (SELECT count(*) FROM locked) > 0
                ), ",
                insert_new!(),
                " SELECT place, account, ",
                $primary_user,
                " FROM new WHERE ((app_id, tenant_id, session_handle) IN
                    (SELECT app_id, tenant_id, session_handle FROM inserted)) IS TRUE"
            ),
        }
    };
}

pub(crate) static INSERT: Template =
    insert!("insert", "{account|i.app_id|i.user_id}", "{primary_user|new.app_id|new.account}");

/// The same with the ids of the accounts as they are given.
pub(crate) static INSERT_AS_IS: Template = insert!("insert_as_is", "i.user_id", "NULL::text");

/// The parameters of [`new_sessions`].
pub(super) fn parameters(batch: &[&Insert]) -> [Box<dyn ToSql + Send + Sync>; 16] {
    macro_rules! owned {
        ($value:expr) => {
            Box::new(each(batch, $value))
        };
    }
    [
        owned!(|work| work.key.app.as_str().to_owned()),
        owned!(|work| work.key.tenant.clone()),
        owned!(|work| work.key.handle.as_str().to_owned()),
        owned!(|work| work.session.user_id.clone()),
        owned!(|work| hash_to_text(&work.session.refresh_token_hash)),
        owned!(|work| work.session.previous_refresh_token_hash.as_ref().map(hash_to_text)),
        owned!(|work| work.session.rotated_at.map(Timestamp::as_millis)),
        owned!(|work| work.session.sealed_child.clone()),
        owned!(|work| work.session.jwt_payload.clone()),
        owned!(|work| work.session.session_data.clone()),
        owned!(|work| work.session.created_at.as_millis()),
        owned!(|work| work.session.expires_at.as_millis()),
        owned!(Insert::ends_at),
        owned!(|work| work.session.client_label.clone()),
        owned!(|work| work.session.use_static_key),
        owned!(Insert::has_more),
    ]
}

/// The same as they are handed to a connection.
pub(super) fn borrowed(
    parameters: &[Box<dyn ToSql + Send + Sync>; 16],
) -> Vec<&(dyn ToSql + Sync)> {
    parameters.iter().map(|parameter| &**parameter as &(dyn ToSql + Sync)).collect()
}

/// Makes the tenants of these sessions, where an insertion failed because one was missing and the
/// database is Sessile's own.
///
/// # Errors
/// The failure, where that was not the reason or has been tried often enough: a tenant that is made
/// here may be removed again before the next attempt.
pub(super) async fn make_tenants(
    failure: Failure,
    attempt: usize,
    batch: &[&Insert],
    connection: &Connection,
    ownership: Ownership,
) -> Result<(), Failure> {
    if !failure.is_missing_reference() || ownership == Ownership::Shared || attempt == ATTEMPTS {
        return Err(failure);
    }
    for work in batch {
        tenants::make(connection, &work.key.app, &work.key.tenant).await?;
    }
    Ok(())
}

/// How often an insertion is tried for which tenants had to be made.
const ATTEMPTS: usize = 4;

impl Gathered for Insert {
    /// Whose session it is; `None` where the name was not free.
    type Answer = Option<Owner>;

    const TASK: Task = Task::Write("inserting a session");
    const IS_FOLLOWED: bool = false;

    fn lane(shared: &Shared) -> &Lane<Self> {
        &shared.lanes.insert
    }

    fn keys(&self) -> &[Key] {
        slice::from_ref(&self.key)
    }

    fn size(&self) -> usize {
        self.session.jwt_payload.len() + self.session.session_data.len()
    }

    async fn run(
        batch: &[&Self],
        connection: &Connection,
        shared: &Shared,
        patience: Patience,
    ) -> Result<Vec<Self::Answer>, Failure> {
        let parameters = parameters(batch);
        let mut parameters = borrowed(&parameters);
        let (class, lock_timeout) = (LockClass::User as i32, patience.lock_timeout());
        parameters.push(&class);
        parameters.push(&lock_timeout);
        let mut attempt = 1;
        let rows = loop {
            match connection.query(&INSERT, &parameters).await {
                Ok(rows) => break rows,
                Err(failure) => {
                    make_tenants(failure, attempt, batch, connection, shared.ownership).await?;
                }
            }
            attempt += 1;
        };
        let mut answers = vec![None; batch.len()];
        for row in &rows {
            answers[place_of(row, batch.len())?] = Some(owner(row, 1, 2)?);
        }
        Ok(answers)
    }

    /// Nobody else has the hash of its first token: where that is there, so is this session.
    async fn repeat(
        &self,
        connection: &Connection,
        shared: &Shared,
    ) -> Option<Result<Self::Answer, Failure>> {
        let repeated = async {
            if let Some(Some(owner)) =
                Self::run(&[self], connection, shared, Patience::LONG).await?.pop()
            {
                return Ok(Some(owner));
            }
            let found = reading::get(connection, &self.key.app, &self.key.handle).await?;
            let found =
                found.filter(|row| row.refresh_token_hash == self.session.refresh_token_hash);
            Ok(found
                .map(|row| Owner { user_id: row.user_id, primary_user_id: row.primary_user_id }))
        };
        Some(repeated.await)
    }
}
