use std::slice;

use sessile_core::{
    AppId, SessionHandle,
    rotation::{Advance, Rotation},
    store::SessionRecord,
};

use super::reading;
use crate::{
    batch::{Gathered, Key, Patience, each, place_of, waiting_no_longer_than},
    connection::{Connection, Template},
    failure::{Failure, Task},
    lane::Lane,
    record::{column_names, columns, hash_to_text, same_session, session},
    shared::Shared,
};

/// A conditional change of refresh token.
pub(crate) struct Rotate {
    key: Key,
    rotation: Rotation,
}

impl Rotate {
    pub(crate) fn new(app: &AppId, handle: &SessionHandle, rotation: Rotation) -> Self {
        Self { key: Key::new(app, handle), rotation }
    }

    fn advance(&self) -> Option<&Advance> {
        self.rotation.change.advance.as_ref()
    }
}

/// `RotationGuard::holds` and `RotationChange::apply` in SQL.
///
/// Rows are found, and thereby locked, in the order in which the requests are given. Where another
/// transaction has just changed one, the guard is looked at in what is there then. `ends_at` and
/// `client_label` never change, so it does not matter that they are read as they were when the
/// statement began. A child is written with the hash of its token, so where none is written an
/// older one need only be cleared if it has the same.
pub(crate) static ROTATE: Template = Template {
    name: "rotate",
    text: concat!(
        "WITH rotated (place, ",
        column_names!(),
        ", app_id, tenant_id, new_child) AS (
            UPDATE {session_info} s SET
                refresh_token_hash_2 = i.new_current,
                prev_refresh_token_hash_2 = coalesce(i.new_previous, s.prev_refresh_token_hash_2),
                refresh_token_rotated_at = coalesce(i.new_rotated_at, s.refresh_token_rotated_at),
                expires_at = CASE WHEN i.new_expires_at IS NULL THEN s.expires_at
                    ELSE least(i.new_expires_at, e.ends_at) END,
                use_static_key = coalesce(i.new_use_static_key, s.use_static_key)
            FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                $7::bigint[], $8::text[], $9::text[], $10::bigint[], $11::bigint[], $12::boolean[],
                $13::bytea[]) WITH ORDINALITY AS i (app_id, tenant_id, session_handle, current,
                or_current, previous, alive_at, new_current, new_previous, new_rotated_at,
                new_expires_at, new_use_static_key, new_child, place)
            LEFT JOIN {sessile_session} e ON ",
        same_session!("e", "i"),
        "   WHERE ",
        same_session!("s", "i"),
        "       AND (s.refresh_token_hash_2 = i.current OR s.refresh_token_hash_2 = i.or_current)
                AND (i.previous IS NULL OR s.prev_refresh_token_hash_2 = i.previous)
                AND s.expires_at >= i.alive_at
                AND ",
        waiting_no_longer_than!("$14"),
        "   RETURNING i.place, ",
        columns!(),
        ", i.app_id, i.tenant_id, i.new_child
        ), sealed AS (
            INSERT INTO {sessile_session}
                (app_id, tenant_id, session_handle, sealed_child, sealed_child_hash)
            SELECT app_id, tenant_id, session_handle, new_child, refresh_token_hash FROM rotated
            WHERE new_child IS NOT NULL
            ON CONFLICT (app_id, tenant_id, session_handle) DO UPDATE SET
                sealed_child = excluded.sealed_child,
                sealed_child_hash = excluded.sealed_child_hash
        ), unsealed AS (
            UPDATE {sessile_session} e SET sealed_child = NULL, sealed_child_hash = NULL
            FROM rotated r
            WHERE ",
        same_session!("e", "r"),
        "   AND r.new_child IS NULL AND e.sealed_child_hash = r.refresh_token_hash
        )
        SELECT place, ",
        column_names!(),
        " FROM rotated"
    ),
};

impl Gathered for Rotate {
    type Answer = Option<SessionRecord>;

    const TASK: Task = Task::Write("rotating a session");
    const IS_FOLLOWED: bool = true;

    fn lane(shared: &Shared) -> &Lane<Self> {
        &shared.lanes.rotate
    }

    fn keys(&self) -> &[Key] {
        slice::from_ref(&self.key)
    }

    fn size(&self) -> usize {
        self.rotation.change.sealed_child.as_ref().map_or(0, Vec::len)
    }

    async fn run(
        batch: &[&Self],
        connection: &Connection,
        _: &Shared,
        patience: Patience,
    ) -> Result<Vec<Self::Answer>, Failure> {
        let rows = connection
            .query(
                &ROTATE,
                &[
                    &each(batch, |work| work.key.app.as_str()),
                    &each(batch, |work| work.key.tenant.as_str()),
                    &each(batch, |work| work.key.handle.as_str()),
                    &each(batch, |work| hash_to_text(&work.rotation.guard.current)),
                    &each(batch, |work| work.rotation.guard.or_current.as_ref().map(hash_to_text)),
                    &each(batch, |work| work.rotation.guard.previous.as_ref().map(hash_to_text)),
                    &each(batch, |work| work.rotation.guard.alive_at.as_millis()),
                    &each(batch, |work| hash_to_text(&work.rotation.change.current)),
                    &each(batch, |work| work.advance().map(|to| hash_to_text(&to.previous))),
                    &each(batch, |work| work.advance().map(|to| to.rotated_at.as_millis())),
                    &each(batch, |work| work.advance().map(|to| to.expires_at.as_millis())),
                    &each(batch, |work| work.rotation.change.use_static_key),
                    &each(batch, |work| work.rotation.change.sealed_child.as_deref()),
                    &patience.lock_timeout(),
                ],
            )
            .await?;
        let mut answers: Vec<Self::Answer> = batch.iter().map(|_| None).collect();
        for row in &rows {
            let place = place_of(row, batch.len())?;
            // What was read beside the session is what was there before.
            let sealed_child = batch[place].rotation.change.sealed_child.clone();
            answers[place] = Some(SessionRecord { sealed_child, ..session(row, 1)? });
        }
        Ok(answers)
    }

    /// The hash of a new token is nobody else's: where it is current, the rotation has happened.
    async fn repeat(
        &self,
        connection: &Connection,
        shared: &Shared,
    ) -> Option<Result<Self::Answer, Failure>> {
        let Rotation { guard, change } = &self.rotation;
        let repeated = async {
            if let Some(Some(row)) =
                Self::run(&[self], connection, shared, Patience::LONG).await?.pop()
            {
                return Ok(Some(row));
            }
            let found = reading::get(connection, &self.key.app, &self.key.handle).await?;
            let is_new = change.current != guard.current;
            Ok(found.filter(|row| is_new && row.refresh_token_hash == change.current))
        };
        Some(repeated.await)
    }
}
