use sessile_core::{AppId, SessionHandle, store::RemovedSession};

use crate::{
    batch::{Gathered, Key, Patience, each, place_of, waiting_no_longer_than},
    connection::{Connection, Template},
    failure::{Failure, Task},
    lane::Lane,
    record::{can_be_kept, column_of, same_session},
    shared::Shared,
};

/// The removal of sessions by their names.
pub(crate) struct Remove {
    keys: Vec<Key>,
}

impl Remove {
    pub(crate) fn new(app: &AppId, handles: &[SessionHandle]) -> Self {
        let handles = handles.iter().filter(|handle| can_be_kept(handle.as_str()));
        let mut keys: Vec<_> = handles.map(|handle| Key::new(app, handle)).collect();
        keys.sort();
        keys.dedup();
        Self { keys }
    }
}

pub(crate) static REMOVE: Template = Template {
    name: "remove",
    text: concat!(
        "WITH found AS (
            SELECT i.* FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY
                AS i (app_id, tenant_id, session_handle, place)
            CROSS JOIN LATERAL (
                SELECT FROM {session_info} s
                WHERE ",
        same_session!("s", "i"),
        "       FOR UPDATE
            ) locked
            WHERE ",
        waiting_no_longer_than!("$4"),
        ")
        DELETE FROM {session_info} s USING found f
        WHERE ",
        same_session!("s", "f"),
        " RETURNING f.place, {known_user|s.app_id|s.user_id}"
    ),
};

impl Gathered for Remove {
    type Answer = Vec<RemovedSession>;

    const TASK: Task = Task::Write("removing sessions");
    const IS_FOLLOWED: bool = false;

    fn lane(shared: &Shared) -> &Lane<Self> {
        &shared.lanes.remove
    }

    fn keys(&self) -> &[Key] {
        &self.keys
    }

    fn size(&self) -> usize {
        // Names count here, because one request may have any number of them.
        self.keys.len() * 64
    }

    async fn run(
        batch: &[&Self],
        connection: &Connection,
        _: &Shared,
        patience: Patience,
    ) -> Result<Vec<Self::Answer>, Failure> {
        let keys = batch.iter().enumerate();
        let keys = keys.flat_map(|(request, work)| work.keys.iter().map(move |key| (key, request)));
        let mut keys: Vec<(&Key, usize)> = keys.collect();
        keys.sort();
        let names: Vec<&Key> = keys.iter().map(|(key, _)| *key).collect();
        let rows = connection
            .query(
                &REMOVE,
                &[
                    &each(&names, |key| key.app.as_str()),
                    &each(&names, |key| key.tenant.as_str()),
                    &each(&names, |key| key.handle.as_str()),
                    &patience.lock_timeout(),
                ],
            )
            .await?;
        let mut answers = vec![Vec::new(); batch.len()];
        for row in &rows {
            let (key, request) = keys[place_of(row, keys.len())?];
            let user_id = column_of(row, 1)?;
            answers[request].push(RemovedSession { handle: key.handle.clone(), user_id });
        }
        Ok(answers)
    }
}
