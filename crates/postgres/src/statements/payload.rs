use std::slice;

use sessile_core::{AppId, SessionHandle, clock::Timestamp, store::SessionRecord};

use crate::{
    batch::{Gathered, Key, Patience, each, place_of, waiting_no_longer_than},
    connection::{Connection, Template},
    failure::{Failure, Task},
    lane::Lane,
    record::{columns, same_session, session},
    shared::Shared,
};

/// A new payload for a session.
pub(crate) struct ReplacePayload {
    key: Key,
    jwt_payload: String,
    now: Timestamp,
}

impl ReplacePayload {
    pub(crate) fn new(
        app: &AppId,
        handle: &SessionHandle,
        jwt_payload: String,
        now: Timestamp,
    ) -> Self {
        Self { key: Key::new(app, handle), jwt_payload, now }
    }
}

pub(crate) static REPLACE: Template = Template {
    name: "replace_payload",
    text: concat!(
        "UPDATE {session_info} s SET jwt_user_payload = i.payload
        FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[]) WITH ORDINALITY
            AS i (app_id, tenant_id, session_handle, now, payload, place)
        LEFT JOIN {sessile_session} e ON ",
        same_session!("e", "i"),
        " WHERE ",
        same_session!("s", "i"),
        " AND s.expires_at > i.now AND ",
        waiting_no_longer_than!("$6"),
        " RETURNING i.place, ",
        columns!()
    ),
};

impl Gathered for ReplacePayload {
    type Answer = Option<SessionRecord>;

    const TASK: Task = Task::Write("replacing a payload");
    const IS_FOLLOWED: bool = true;

    fn lane(shared: &Shared) -> &Lane<Self> {
        &shared.lanes.payload
    }

    fn keys(&self) -> &[Key] {
        slice::from_ref(&self.key)
    }

    fn size(&self) -> usize {
        self.jwt_payload.len()
    }

    async fn run(
        batch: &[&Self],
        connection: &Connection,
        _: &Shared,
        patience: Patience,
    ) -> Result<Vec<Self::Answer>, Failure> {
        let rows = connection
            .query(
                &REPLACE,
                &[
                    &each(batch, |work| work.key.app.as_str()),
                    &each(batch, |work| work.key.tenant.as_str()),
                    &each(batch, |work| work.key.handle.as_str()),
                    &each(batch, |work| work.now.as_millis()),
                    &each(batch, |work| work.jwt_payload.as_str()),
                    &patience.lock_timeout(),
                ],
            )
            .await?;
        let mut answers: Vec<Self::Answer> = batch.iter().map(|_| None).collect();
        for row in &rows {
            answers[place_of(row, batch.len())?] = Some(session(row, 1)?);
        }
        Ok(answers)
    }
}
