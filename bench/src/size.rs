//! The same calls on a small database and on a large one.

use std::{fs::File, path::Path, sync::Arc, time::Duration};

use rusqlite::{Connection, params};
use sessile::{
    IssuedSession, NewSession, SessionHandle, SessionService, Sessions, TenantScope,
    clock::{ManualClock, Timestamp},
    sqlite::{Durability, SqliteStore},
    to_json_object,
};
use sessile_bench::{
    apps::{jwt_payload, session_data},
    clock,
    race::{Contestant, Effort, Figure, race},
    table::{self, Table},
};

use crate::{
    clients::Clients,
    raw_sqlite::WARM_UP,
    refreshing::{self, Refreshing},
    verification::runtime,
};

pub(crate) const SMALL: usize = 10_000;
pub(crate) const LARGE: usize = 1_000_000;

/// Sessions whose refresh tokens are known, at most. The others are rows alone.
pub(crate) const REFRESHED: usize = 8_192;

/// How long ago the first session was created: handles are ordered by time, and calls must not
/// find all of theirs on neighbouring pages.
pub(crate) const AGE: Duration = Duration::from_secs(30 * 24 * 3600);

/// When all calls are made.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// A database with sessions in it.
struct Database {
    sessions: Sessions<SqliteStore>,
    clock: Arc<ManualClock>,
    /// The names of all sessions.
    handles: Arc<[SessionHandle]>,
    /// Sessions that can be refreshed, from all over the database, for each number of clients.
    issued: [Vec<IssuedSession>; 2],
}

/// When the session of that number was created.
pub(crate) fn creation(index: usize, count: usize) -> Timestamp {
    NOW.minus(AGE).plus(AGE.mul_f64(index as f64 / count as f64))
}

impl Database {
    fn make(path: &Path, count: usize) -> anyhow::Result<Self> {
        let began = clock::wall();
        let clock = Arc::new(ManualClock::at(NOW));
        let refreshed = count.min(REFRESHED);
        let (issued, mut handles) = runtime()?.block_on(async {
            let store = SqliteStore::options().durability(Durability::Normal).open(path)?;
            clock.set(creation(0, count));
            let sessions = Sessions::builder(store).clock(Arc::clone(&clock)).build().await?;
            let (mut issued, mut handles) = ([Vec::new(), Vec::new()], Vec::new());
            for index in 0..refreshed {
                clock.set(creation(index, refreshed));
                let new = NewSession::new(format!("user-{index:07}"))
                    .jwt_payload(jwt_payload())
                    .session_data(session_data());
                let created = sessions.create_session(new).await?;
                handles.push(created.session.handle().clone());
                clock.advance(Duration::from_millis(1));
                let refresh_token = created.refresh_token.token.expose().into();
                issued[index % 2].push(sessions.refresh(refresh_token).await?);
            }
            anyhow::Ok((issued, handles))
        })?;
        handles.extend(add_rows(path, count - refreshed)?);
        clock.set(NOW);
        let sessions = runtime()?.block_on(async {
            let store = SqliteStore::open(path)?;
            anyhow::Ok(Sessions::builder(store).clock(Arc::clone(&clock)).build().await?)
        })?;
        // What the system still has to write must not disturb what is measured.
        File::open(path)?.sync_all()?;
        let seconds = (clock::wall() - began).as_secs_f64();
        eprintln!("{count} sessions were stored in {seconds:.1} s");
        let database = Self { sessions, clock, handles: handles.into(), issued };
        database.callers(64)?.call(WARM_UP, Caller::update)?;
        Ok(database)
    }

    fn callers(&self, clients: u64) -> anyhow::Result<Clients<Caller>> {
        let caller = |seed| Caller {
            sessions: self.sessions.clone(),
            handles: Arc::clone(&self.handles),
            random: fastrand::Rng::with_seed(seed),
            calls: 0,
        };
        Clients::new((0..clients).map(caller).collect())
    }
}

/// Adds rows like those that the store has, in one transaction.
fn add_rows(path: &Path, count: usize) -> anyhow::Result<Vec<SessionHandle>> {
    let mut random = fastrand::Rng::with_seed(1);
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    connection.pragma_update(None, "cache_size", -512 * 1024)?;
    let (payload, data) = (to_json_object(&jwt_payload())?, to_json_object(&session_data())?);
    let (payload, data) = (serde_json::to_string(&payload)?, serde_json::to_string(&data)?);
    let mut handles = Vec::with_capacity(count);
    let transaction = connection.transaction()?;
    {
        let mut statement = transaction.prepare(
            "INSERT INTO sessions (app_id, handle, tenant_id, user_id, refresh_token_hash,
                previous_refresh_token_hash, rotated_at, sealed_child, created_at, expires_at,
                ends_at, jwt_payload, session_data, use_static_key)
            SELECT app_id, ?1, tenant_id, ?2, randomblob(32), randomblob(32), ?3, sealed_child, ?3,
                ?3 + expires_at - created_at, ?3 + ends_at - created_at, ?4, ?5, use_static_key
            FROM (SELECT * FROM sessions LIMIT 1)",
        )?;
        for index in 0..count {
            let created_at = creation(index, count).as_millis();
            let bytes: [u8; 10] = std::array::from_fn(|_| random.u8(..));
            let id = uuid::Builder::from_unix_timestamp_millis(created_at.unsigned_abs(), &bytes);
            let handle = id.into_uuid().to_string();
            let user = format!("user-{:07}", random.usize(..count));
            statement.execute(params![handle, user, created_at, payload, data])?;
            handles.push(SessionHandle::new(&handle));
        }
    }
    transaction.commit()?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(handles)
}

/// A client that calls for any of the sessions.
struct Caller {
    sessions: Sessions<SqliteStore>,
    handles: Arc<[SessionHandle]>,
    random: fastrand::Rng,
    calls: u64,
}

impl Caller {
    fn handle(&mut self) -> SessionHandle {
        self.calls += 1;
        self.handles[self.random.usize(..self.handles.len())].clone()
    }

    fn user_id(&mut self) -> String {
        format!("user-{:07}", self.random.usize(..self.handles.len()))
    }

    async fn read(mut self) -> anyhow::Result<Self> {
        let handle = self.handle();
        self.sessions.get_session_data(&handle).await?;
        Ok(self)
    }

    async fn list(mut self) -> anyhow::Result<Self> {
        let user_id = self.user_id();
        self.sessions.get_sessions_of_user(&user_id, &TenantScope::All).await?;
        Ok(self)
    }

    async fn create_and_revoke(mut self) -> anyhow::Result<Self> {
        let new =
            NewSession::new(self.user_id()).jwt_payload(jwt_payload()).session_data(session_data());
        let created = self.sessions.create_session(new).await?;
        self.sessions.revoke_session(created.session.handle()).await?;
        Ok(self)
    }

    async fn update(mut self) -> anyhow::Result<Self> {
        let handle = self.handle();
        let mut data = to_json_object(&session_data())?;
        data.insert("visits".to_owned(), self.calls.into());
        self.sessions.update_session_data(&handle, data).await?;
        Ok(self)
    }
}

/// What is measured: what it is called, and the number of clients.
const CALLS: [(&str, usize); 8] = [
    ("read data", 1),
    ("list of a user", 1),
    ("update data", 1),
    ("create and revoke", 1),
    ("refresh", 1),
    ("update data", 64),
    ("create and revoke", 64),
    ("refresh", 64),
];

pub(crate) fn measure(effort: Effort, folder: &Path, million: bool) -> anyhow::Result<()> {
    let sizes: &[usize] = if million { &[SMALL, LARGE] } else { &[SMALL] };
    let databases = sizes
        .iter()
        .map(|size| Database::make(&folder.join(format!("{size}.db")), *size))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut table = Table::new(
        "Sessions stored in SQLite: processor time of this process, and calls in a second that \
         passed",
        ["call", "clients", "sessions", "a call", "ratio", "calls in a second", "ratio of times"],
    );
    for (call, clients) in CALLS {
        let figures = measure_call(effort, &databases, call, clients)?;
        for (size, figure) in sizes.iter().zip(&figures) {
            table.row([
                call.to_owned(),
                clients.to_string(),
                table::rate(*size as f64),
                table::cpu(figure),
                table::ratio(figure.ratio(&figures[0])),
                table::rate(figure.per_second()),
                table::ratio(figures[0].rate_ratio(figure)),
            ]);
        }
    }
    table.print();
    Ok(())
}

fn measure_call(
    effort: Effort,
    databases: &[Database],
    call: &str,
    clients: usize,
) -> anyhow::Result<Vec<Figure>> {
    let contestants = databases
        .iter()
        .map(|database| -> anyhow::Result<Contestant<'_>> {
            let mut callers = database.callers(clients as u64)?;
            Ok(match call {
                "read data" => Box::new(move |count| callers.call(count, Caller::read)),
                "list of a user" => Box::new(move |count| callers.call(count, Caller::list)),
                "update data" => Box::new(move |count| callers.call(count, Caller::update)),
                "create and revoke" => {
                    Box::new(move |count| callers.call(count, Caller::create_and_revoke))
                }
                _ => {
                    let issued = database.issued[usize::from(clients == 1)].clone();
                    let mut refreshing = refreshing::clients(&database.sessions, issued, clients)?;
                    Box::new(move |count| {
                        // Time moves on between refreshes, and with it the rows in the index of
                        // expiry.
                        let clock = Arc::clone(&database.clock);
                        refreshing.call(count, move |state: Refreshing<SqliteStore>| {
                            clock.advance(Duration::from_millis(1));
                            state.refresh()
                        })
                    })
                }
            })
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    race(effort.longer(2), contestants)
}
