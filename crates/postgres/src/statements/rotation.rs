use std::{slice, sync::LazyLock};

use sessile_core::{AppId, SessionHandle, rotation::Rotation, store::SessionRecord};
use tokio_postgres::{Row, types::ToSql};

use super::reading;
use crate::{
    batch::{Gathered, Key, Patience, each, place_of, waiting_no_longer_than},
    connection::{Connection, Parameters, Template},
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
}

/// `RotationGuard::holds` and `RotationChange::apply` in SQL, for `{requests}`.
///
/// Rows are found, and thereby locked, in the order in which the requests are given. Where another
/// transaction has just changed one, the guard is looked at in what is there then. `ends_at` and
/// `client_label` never change, so it does not matter that they are read as they were when the
/// statement began.
const TEXT: &str = concat!(
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
        FROM {requests} LEFT JOIN {sessile_session} e ON ",
    same_session!("e", "i"),
    "   WHERE ",
    same_session!("s", "i"),
    "       AND (s.refresh_token_hash_2 = i.current OR s.refresh_token_hash_2 = i.or_current)
            AND (i.previous IS NULL OR s.prev_refresh_token_hash_2 = i.previous)
            AND s.expires_at >= i.alive_at
            AND ",
    waiting_no_longer_than!("{patience}"),
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
    ){unsealed}
    SELECT place, ",
    column_names!(),
    " FROM rotated"
);

/// A child is written with the hash of its token, so where none is written an older one need only
/// be cleared if it has the same.
const UNSEALED: &str = concat!(
    ", unsealed AS (
        UPDATE {sessile_session} e SET sealed_child = NULL, sealed_child_hash = NULL
        FROM rotated r
        WHERE ",
    same_session!("e", "r"),
    "   AND r.new_child IS NULL AND e.sealed_child_hash = r.refresh_token_hash
    )"
);

/// What a request has, and its type, in the order of [`Request::parameters`].
const COLUMNS: [(&str, &str); 13] = [
    ("app_id", "text"),
    ("tenant_id", "text"),
    ("session_handle", "text"),
    ("current", "text"),
    ("or_current", "text"),
    ("previous", "text"),
    ("alive_at", "bigint"),
    ("new_current", "text"),
    ("new_previous", "text"),
    ("new_rotated_at", "bigint"),
    ("new_expires_at", "bigint"),
    ("new_use_static_key", "boolean"),
    ("new_child", "bytea"),
];

/// So many requests at most have a statement for their number, with a parameter for each value: the
/// server needs less time for them than for arrays, which take any number.
const FEW: usize = 8;

/// By the number of requests, the first for any number; without and with what clears a child.
static STATEMENTS: LazyLock<Vec<[Template; 2]>> =
    LazyLock::new(|| (0..=FEW).map(|count| [false, true].map(|is| template(count, is))).collect());

fn template(count: usize, unseals: bool) -> Template {
    let names = COLUMNS.map(|(name, _)| name).join(", ");
    let numbered = |first: usize, array: &str| {
        let values = COLUMNS.iter().zip(first..);
        values.map(|((_, of), number)| format!("${number}::{of}{array}")).collect::<Vec<_>>()
    };
    let requests = if count == 0 {
        format!("unnest({}) WITH ORDINALITY AS i ({names}, place)", numbered(1, "[]").join(", "))
    } else {
        let request = |index| {
            let values = numbered(1 + index * COLUMNS.len(), "").join(", ");
            format!("({values}, {}::bigint)", index + 1)
        };
        let requests = (0..count).map(request).collect::<Vec<_>>().join(", ");
        format!("(VALUES {requests}) AS i ({names}, place)")
    };
    let text = TEXT
        .replace("{requests}", &requests)
        .replace("{patience}", &format!("${}", 1 + count.max(1) * COLUMNS.len()))
        .replace("{unsealed}", if unseals { UNSEALED } else { "" });
    let name = format!("rotate_{count}{}", if unseals { "_unsealing" } else { "" });
    // Made once, and kept as long as the program runs.
    Template { name: name.leak(), text: text.leak() }
}

/// All statements, with the number of parameters of each.
#[cfg(test)]
pub(super) fn statements() -> impl Iterator<Item = (&'static Template, usize)> {
    let counted = STATEMENTS.iter().enumerate();
    counted.flat_map(|(count, statements)| {
        let parameters = 1 + count.max(1) * COLUMNS.len();
        statements.iter().map(move |statement| (statement, parameters))
    })
}

/// The values of one request.
struct Request<'a> {
    key: [&'a str; 3],
    current: String,
    or_current: Option<String>,
    previous: Option<String>,
    alive_at: i64,
    new_current: String,
    new_previous: Option<String>,
    new_rotated_at: Option<i64>,
    new_expires_at: Option<i64>,
    new_use_static_key: Option<bool>,
    new_child: Option<&'a [u8]>,
}

impl<'a> Request<'a> {
    fn new(work: &'a Rotate) -> Self {
        let Rotate { key, rotation: Rotation { guard, change } } = work;
        let advance = change.advance.as_ref();
        Self {
            key: [key.app.as_str(), &key.tenant, key.handle.as_str()],
            current: hash_to_text(&guard.current),
            or_current: guard.or_current.as_ref().map(hash_to_text),
            previous: guard.previous.as_ref().map(hash_to_text),
            alive_at: guard.alive_at.as_millis(),
            new_current: hash_to_text(&change.current),
            new_previous: advance.map(|to| hash_to_text(&to.previous)),
            new_rotated_at: advance.map(|to| to.rotated_at.as_millis()),
            new_expires_at: advance.map(|to| to.expires_at.as_millis()),
            new_use_static_key: change.use_static_key,
            new_child: change.sealed_child.as_deref(),
        }
    }

    fn parameters(&self) -> [&(dyn ToSql + Sync); COLUMNS.len()] {
        [
            &self.key[0],
            &self.key[1],
            &self.key[2],
            &self.current,
            &self.or_current,
            &self.previous,
            &self.alive_at,
            &self.new_current,
            &self.new_previous,
            &self.new_rotated_at,
            &self.new_expires_at,
            &self.new_use_static_key,
            &self.new_child,
        ]
    }
}

async fn rotate(
    batch: &[&Rotate],
    connection: &Connection,
    patience: Patience,
) -> Result<Vec<Row>, Failure> {
    let requests: Vec<Request<'_>> = batch.iter().map(|work| Request::new(work)).collect();
    let unseals = requests.iter().any(|request| request.new_child.is_none());
    let lock_timeout = patience.lock_timeout();
    let [statement, unsealing] = match STATEMENTS.get(batch.len()) {
        Some(statements) => statements,
        None => &STATEMENTS[0],
    };
    let statement = if unseals { unsealing } else { statement };
    if requests.len() <= FEW {
        let mut parameters: Vec<_> = requests.iter().flat_map(Request::parameters).collect();
        parameters.push(&lock_timeout);
        return connection.query(statement, &parameters).await;
    }
    let requests: Vec<&Request<'_>> = requests.iter().collect();
    let parameters: Parameters<'_> = &[
        &each(&requests, |request| request.key[0]),
        &each(&requests, |request| request.key[1]),
        &each(&requests, |request| request.key[2]),
        &each(&requests, |request| &request.current),
        &each(&requests, |request| &request.or_current),
        &each(&requests, |request| &request.previous),
        &each(&requests, |request| request.alive_at),
        &each(&requests, |request| &request.new_current),
        &each(&requests, |request| &request.new_previous),
        &each(&requests, |request| request.new_rotated_at),
        &each(&requests, |request| request.new_expires_at),
        &each(&requests, |request| request.new_use_static_key),
        &each(&requests, |request| request.new_child),
        &lock_timeout,
    ];
    connection.query(statement, parameters).await
}

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
        let rows = rotate(batch, connection, patience).await?;
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
