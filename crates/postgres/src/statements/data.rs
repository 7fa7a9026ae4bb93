use std::slice;

use sessile_core::{
    AppId, SessionHandle,
    clock::Timestamp,
    store::{DataReplacement, DataVersion},
};

use crate::{
    batch::{Gathered, Key, Patience, each, place_of, waiting_no_longer_than},
    connection::{Connection, Template},
    failure::{Failure, Task},
    lane::Lane,
    record::{column_of, same_session},
    shared::Shared,
};

/// New data for a session, perhaps only in place of a certain version.
pub(crate) struct ReplaceData {
    key: Key,
    session_data: String,
    expected: Option<DataVersion>,
    now: Timestamp,
}

impl ReplaceData {
    pub(crate) fn new(
        app: &AppId,
        handle: &SessionHandle,
        session_data: String,
        expected: Option<DataVersion>,
        now: Timestamp,
    ) -> Self {
        Self { key: Key::new(app, handle), session_data, expected, now }
    }
}

/// `DataVersion::of` in SQL, of what is there once the row is locked.
pub(crate) static REPLACE: Template = Template {
    name: "replace_data",
    text: concat!(
        "WITH found AS (
            SELECT i.*, locked.is_expected FROM unnest($1::text[], $2::text[], $3::text[],
                $4::bigint[], $5::text[], $6::bytea[]) WITH ORDINALITY AS i (app_id, tenant_id,
                session_handle, now, data, expected, place)
            CROSS JOIN LATERAL (
                SELECT i.expected IS NULL
                    OR sha256(convert_to(coalesce(s.session_data, '{}'), 'UTF8')) = i.expected
                    AS is_expected
                FROM {session_info} s
                WHERE ",
        same_session!("s", "i"),
        "       AND s.expires_at > i.now
                FOR NO KEY UPDATE
            ) locked
            WHERE ",
        waiting_no_longer_than!("$7"),
        "), replaced AS (
            UPDATE {session_info} s SET session_data = f.data FROM found f
            WHERE f.is_expected AND ",
        same_session!("s", "f"),
        ")
        SELECT place, is_expected FROM found"
    ),
};

impl Gathered for ReplaceData {
    type Answer = DataReplacement;

    const TASK: Task = Task::Write("replacing session data");
    const IS_FOLLOWED: bool = true;

    fn lane(shared: &Shared) -> &Lane<Self> {
        &shared.lanes.data
    }

    fn keys(&self) -> &[Key] {
        slice::from_ref(&self.key)
    }

    fn size(&self) -> usize {
        self.session_data.len()
    }

    async fn run(
        batch: &[&Self],
        connection: &Connection,
        _: &Shared,
        patience: Patience,
    ) -> Result<Vec<Self::Answer>, Failure> {
        let expected = |work: &'_ Self| work.expected.map(|version| version.as_bytes().to_vec());
        let rows = connection
            .query(
                &REPLACE,
                &[
                    &each(batch, |work| work.key.app.as_str()),
                    &each(batch, |work| work.key.tenant.as_str()),
                    &each(batch, |work| work.key.handle.as_str()),
                    &each(batch, |work| work.now.as_millis()),
                    &each(batch, |work| work.session_data.as_str()),
                    &each(batch, expected),
                    &patience.lock_timeout(),
                ],
            )
            .await?;
        let mut answers = vec![DataReplacement::NoSession; batch.len()];
        for row in &rows {
            answers[place_of(row, batch.len())?] = match column_of(row, 1)? {
                true => DataReplacement::Replaced,
                false => DataReplacement::Conflict,
            };
        }
        Ok(answers)
    }
}
