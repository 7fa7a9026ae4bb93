//! One client's calls on a small table and on a large one.

use std::{sync::Arc, time::Duration};

use sessile::{
    IssuedSession, NewSession, SessionHandle, SessionService, Sessions, TenantScope,
    clock::ManualClock, to_json_object,
};
use sessile_bench::{
    apps::{jwt_payload, session_data},
    clock,
    race::{Effort, Figure, Measured, Round, rounds},
    table::{self, Table},
};
use sessile_postgres::PostgresStore;

use super::{Arguments, Schema, connect};
use crate::size::{AGE, LARGE, NOW, REFRESHED, SMALL, creation};

/// The calls, in the order in which a client makes them again and again.
const CALLS: [&str; 7] = [
    "read data",
    "list of a user",
    "change data",
    "change the payload",
    "refresh",
    "create",
    "revoke",
];

/// What a call waits for.
const MANNERS: [(&str, &str); 2] = [("the disk", "on"), ("nothing", "off")];

pub(crate) fn measure(effort: Effort, url: &str, arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let sizes: &[usize] = if arguments.million { &[SMALL, LARGE] } else { &[SMALL] };
        let mut databases = Vec::new();
        for size in sizes {
            databases.push(Database::make(url, arguments, *size).await?);
        }
        let mut table = Table::new(
            "Sessions stored in PostgreSQL: the time that passes in one client's call",
            ["a commit waits for", "call", "sessions", "a call", "ratio"],
        );
        for (manner, (waits_for, _)) in MANNERS.iter().enumerate() {
            let figures = measure_manner(effort, &mut databases, manner).await?;
            for (call, name) in CALLS.iter().enumerate() {
                for (size, of_size) in sizes.iter().zip(&figures) {
                    let (first, figure) = (&figures[0][call], &of_size[call]);
                    let (least, most) = first.rate_ratio_range(figure);
                    table.row([
                        (*waits_for).to_owned(),
                        (*name).to_owned(),
                        table::rate(*size as f64),
                        table::time(1e9 / figure.per_second()),
                        table::ratio_with_range(first.rate_ratio(figure), (least, most)),
                    ]);
                }
            }
        }
        for database in &databases {
            database.schema.remove().await?;
        }
        table.print();
        Ok(())
    })
}

/// Each call's figure, for each database.
async fn measure_manner(
    effort: Effort,
    databases: &mut [Database<'_>],
    manner: usize,
) -> anyhow::Result<Vec<[Figure; CALLS.len()]>> {
    let mut figures = vec![[const { Figure::new() }; CALLS.len()]; databases.len()];
    let time = effort.longer(5).round_time();
    for measured in rounds(effort) {
        for (database, figures) in databases.iter_mut().zip(&mut figures) {
            let mut sums = [Round::default(); CALLS.len()];
            let end = clock::wall() + time;
            while clock::wall() < end {
                database.make_calls(manner, &mut sums).await?;
            }
            if measured == Measured::Yes {
                for (figure, sum) in figures.iter_mut().zip(sums) {
                    figure.push(sum);
                }
            }
        }
    }
    Ok(figures)
}

/// A table with sessions in it.
struct Database<'a> {
    schema: Schema<'a>,
    clock: Arc<ManualClock>,
    /// The same sessions, for each manner of waiting.
    sessions: Vec<Sessions<PostgresStore>>,
    handles: Vec<SessionHandle>,
    users: usize,
    /// Sessions that can be refreshed, from all over the table.
    issued: Vec<IssuedSession>,
    calls: usize,
    random: fastrand::Rng,
}

impl<'a> Database<'a> {
    async fn make(url: &'a str, arguments: &Arguments, count: usize) -> anyhow::Result<Self> {
        let began = clock::wall();
        let schema = Schema::make(url, &format!("size_{count}")).await?;
        let clock = Arc::new(ManualClock::at(creation(0, count)));
        let mut sessions = Vec::new();
        for (_, waits) in MANNERS {
            let options = arguments
                .options(url)?
                .setting("options", &format!("-c synchronous_commit={waits}"))?
                .schema(&schema.name)?;
            let builder = Sessions::builder(options.open().await?).clock(Arc::clone(&clock));
            sessions.push(builder.build().await?);
        }
        let refreshed = count.min(REFRESHED);
        let mut issued = Vec::new();
        let quick = sessions.last().unwrap_or(&sessions[0]);
        for index in 0..refreshed {
            clock.set(creation(index, refreshed));
            let created = quick.create_session(new_session(index)).await?;
            clock.advance(Duration::from_millis(1));
            let refresh_token = created.refresh_token.token.expose().into();
            issued.push(quick.refresh(refresh_token).await?);
        }
        let handles = add_rows(&schema, count, count - refreshed).await?;
        clock.set(NOW);
        let random = fastrand::Rng::with_seed(1);
        eprintln!("{count} sessions were stored in {:.1} s", (clock::wall() - began).as_secs_f64());
        Ok(Self { schema, clock, sessions, handles, users: count, issued, calls: 0, random })
    }

    /// Makes each call once, and adds what it took.
    async fn make_calls(
        &mut self,
        manner: usize,
        sums: &mut [Round; CALLS.len()],
    ) -> anyhow::Result<()> {
        let sessions = self.sessions[manner].clone();
        self.calls += 1;
        let mut handle = || self.handles[self.random.usize(..self.handles.len())].clone();
        let (read, changed, described) = (handle(), handle(), handle());
        let user = self.random.usize(..self.users);
        let mut data = to_json_object(&session_data())?;
        data.insert("visits".to_owned(), self.calls.into());
        let mut payload = to_json_object(&jwt_payload())?;
        payload.insert("visits".to_owned(), self.calls.into());
        let index = self.calls % self.issued.len();
        self.clock.advance(Duration::from_millis(1));

        let mut sums = sums.iter_mut();
        macro_rules! timed {
            ($call:expr) => {{
                let (cpu, wall) = (clock::cpu(), clock::wall());
                let answer = $call.await?;
                let (cpu, wall) = (clock::cpu() - cpu, clock::wall() - wall);
                if let Some(sum) = sums.next() {
                    *sum += Round { operations: 1, cpu, wall };
                }
                answer
            }};
        }
        timed!(sessions.get_session_data(&read));
        timed!(sessions.get_sessions_of_user(&user_id(user), &TenantScope::All));
        timed!(sessions.update_session_data(&changed, data));
        timed!(sessions.update_jwt_payload(&described, payload));
        let refresh_token = self.issued[index].refresh_token.token.expose().into();
        self.issued[index] = timed!(sessions.refresh(refresh_token));
        let created = timed!(sessions.create_session(new_session(user)));
        timed!(sessions.revoke_session(created.session.handle()));
        Ok(())
    }
}

fn user_id(number: usize) -> String {
    format!("user-{number:07}")
}

fn new_session(user: usize) -> NewSession {
    NewSession::new(user_id(user)).jwt_payload(jwt_payload()).session_data(session_data())
}

/// Adds rows like those that are there until there are so many, has the server put its house in
/// order, and gives the names of some sessions from all over the table.
async fn add_rows(
    schema: &Schema<'_>,
    users: usize,
    count: usize,
) -> anyhow::Result<Vec<SessionHandle>> {
    /// More than are called for in any round.
    const NAMES: i64 = 100_000;
    let client = connect(schema.url).await?;
    let (payload, data) = (jwt_payload().to_string(), session_data().to_string());
    let (count, users) = (i64::try_from(count)?, i64::try_from(users)?);
    let (end, age) = (NOW.as_millis(), i64::try_from(AGE.as_millis())?);
    let name = &schema.name;
    client.batch_execute("SET synchronous_commit = off; SET jit = off").await?;
    // Handles are ordered by time, as those of the store.
    let sessions = format!(
        "INSERT INTO {name}.session_info (app_id, tenant_id, session_handle, user_id,
            refresh_token_hash_2, prev_refresh_token_hash_2, refresh_token_rotated_at,
            jwt_user_payload, session_data, created_at_time, expires_at, use_static_key)
        SELECT 'public', 'public',
            left(t, 8) || '-' || substr(t, 9, 4) || '-7' || left(r, 3) || '-8' || substr(r, 4, 3)
                || '-' || substr(r, 7, 12),
            'user-' || lpad((floor(random() * $1::bigint))::text, 7, '0'), r || r, r || r, created,
            $2, $3, created, created + 8640000000, false
        FROM (
            SELECT created, lpad(to_hex(created), 12, '0') AS t, md5(n::text) AS r FROM (
                SELECT n, ($4::bigint - $5::bigint + n * ($5::bigint / greatest($6::bigint, 1)))
                    AS created
                FROM generate_series(1, $6::bigint) AS n
            ) AS times
        ) AS rows"
    );
    client.execute(&sessions, &[&users, &payload, &data, &end, &age, &count]).await?;
    let extended = format!(
        "INSERT INTO {name}.sessile_session (app_id, tenant_id, session_handle, sealed_child,
            sealed_child_hash, ends_at)
        SELECT s.app_id, s.tenant_id, s.session_handle, like_this.sealed_child,
            s.refresh_token_hash_2, s.created_at_time + 31536000000
        FROM {name}.session_info s, (SELECT sealed_child FROM {name}.sessile_session
            WHERE sealed_child IS NOT NULL LIMIT 1) AS like_this
        ON CONFLICT DO NOTHING"
    );
    client.execute(&extended, &[]).await?;
    let vacuum = format!("VACUUM (ANALYZE) {name}.session_info, {name}.sessile_session");
    client.batch_execute(&vacuum).await?;
    // Not everybody may order one.
    drop(client.batch_execute("CHECKPOINT").await);
    let names =
        format!("SELECT session_handle FROM {name}.session_info ORDER BY random() LIMIT $1");
    let rows = client.query(&names, &[&NAMES]).await?;
    Ok(rows.iter().map(|row| SessionHandle::new(row.get::<_, &str>(0))).collect())
}
