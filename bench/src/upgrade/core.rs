//! What a SuperTokens core from 9.0 to 12.0 asks of its database.

use std::{sync::Arc, time::Duration};

use anyhow::ensure;
use tokio::{
    task::{JoinHandle, JoinSet},
    time::sleep,
};
use tokio_postgres::{Client, Statement};

use super::{
    Load,
    database::{CHANGED, ENDING, FIRST_END},
    waits::{Request, Waiting},
};
use crate::postgres::connect;

/// Connections that make short requests.
const QUICK: usize = 13;

/// Connections whose transactions stay open for a while.
const SLOW: usize = 2;

/// How long a connection rests between requests.
const REST: Duration = Duration::from_millis(10);

/// How far the time goes between two deletions of what has ended, in milliseconds.
const STEP: i64 = 10_000;

/// Asks for nothing that is in a table, as long as the load goes on.
pub(super) async fn probe(
    url: &str,
    load: &Arc<Load>,
) -> anyhow::Result<JoinHandle<anyhow::Result<Vec<Request>>>> {
    let connection = Connection::open(url, Vec::new()).await?;
    Ok(tokio::spawn(connection.ask_for_nothing(Arc::clone(load))))
}

/// The connections of a core, 16 in all.
pub(super) async fn start(
    url: &str,
    load: &Arc<Load>,
) -> anyhow::Result<JoinSet<anyhow::Result<Vec<Request>>>> {
    let client = connect(url).await?;
    let sql = "SELECT session_handle FROM session_info WHERE user_id = $1 ORDER BY random()";
    let rows = client.query(sql, &[&CHANGED]).await?;
    let handles: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    ensure!(handles.len() >= QUICK + SLOW, "there are too few sessions: take more rows");
    let mut tasks = JoinSet::new();
    for place in 0..QUICK + SLOW {
        // Each changes sessions of its own: no one waits for another's row.
        let own = handles.iter().skip(place).step_by(QUICK + SLOW).cloned().collect();
        let connection = Connection::open(url, own).await?;
        let load = Arc::clone(load);
        if place < QUICK {
            tasks.spawn(connection.be_quick(load));
        } else {
            tasks.spawn(connection.be_slow(load));
        }
    }
    let connection = Connection::open(url, Vec::new()).await?;
    tasks.spawn(connection.delete_what_has_ended(Arc::clone(load)));
    Ok(tasks)
}

struct Connection {
    client: Client,
    handles: Vec<String>,
    lock: Statement,
    rotate: Statement,
    read: Statement,
    change: Statement,
    insert: Statement,
    delete: Statement,
    delete_ended: Statement,
    waiting: Waiting,
    random: fastrand::Rng,
}

impl Connection {
    async fn open(url: &str, handles: Vec<String>) -> anyhow::Result<Self> {
        const READ: &str = "SELECT user_id, refresh_token_hash_2, session_data, jwt_user_payload,
                created_at_time, expires_at, use_static_key
            FROM session_info
            WHERE app_id = 'public' AND tenant_id = 'public' AND session_handle = $1";
        const ONE: &str =
            "WHERE app_id = 'public' AND tenant_id = 'public' AND session_handle = $1";
        let client = connect(url).await?;
        let update = |change: &str| format!("UPDATE session_info SET {change} {ONE}");
        Ok(Self {
            handles,
            lock: client.prepare(&format!("{READ} FOR UPDATE")).await?,
            rotate: client.prepare(&update("refresh_token_hash_2 = $2, expires_at = $3")).await?,
            read: client.prepare(READ).await?,
            change: client.prepare(&update("session_data = $2")).await?,
            insert: client
                .prepare(&format!(
                    "INSERT INTO session_info (app_id, tenant_id, session_handle, user_id,
                        refresh_token_hash_2, session_data, expires_at, jwt_user_payload,
                        created_at_time, use_static_key)
                    VALUES ('public', 'public', $1, '{CHANGED}', $2, '{{}}', $3, '{{}}', 1, false)"
                ))
                .await?,
            delete: client.prepare(&format!("DELETE FROM session_info {ONE}")).await?,
            delete_ended: client.prepare("DELETE FROM session_info WHERE expires_at <= $1").await?,
            client,
            waiting: Waiting::default(),
            random: fastrand::Rng::new(),
        })
    }

    fn new_hash(&mut self) -> String {
        format!("{:064x}", self.random.u128(..))
    }

    fn new_end(&mut self) -> i64 {
        4_000_000_000_000 + i64::from(self.random.u32(..))
    }

    async fn be_quick(mut self, load: Arc<Load>) -> anyhow::Result<Vec<Request>> {
        let mut number = 0;
        while load.goes_on() {
            let handle = self.handles[number % self.handles.len()].clone();
            number += 1;
            let (hash, end) = (self.new_hash(), self.new_end());
            let client = &self.client;
            let refreshing = async {
                client.batch_execute("BEGIN").await?;
                client.query_one(&self.lock, &[&handle]).await?;
                client.execute(&self.rotate, &[&handle, &hash, &end]).await?;
                client.batch_execute("COMMIT").await
            };
            self.waiting.on(refreshing).await?;
            sleep(REST).await;
            self.waiting.on(client.query_one(&self.read, &[&handle])).await?;
            sleep(REST).await;
            let data = format!("{{\"visits\":{number}}}");
            let changed = async { client.execute(&self.change, &[&handle, &data]).await };
            ensure!(self.waiting.on(changed).await? == 1, "a session is gone");
            sleep(REST).await;
            let inserted = async { client.execute(&self.insert, &[&hash, &hash, &end]).await };
            self.waiting.on(inserted).await?;
            sleep(REST).await;
            let deleted = async { client.execute(&self.delete, &[&hash]).await };
            ensure!(self.waiting.on(deleted).await? == 1, "a new session is gone");
            sleep(REST).await;
        }
        Ok(self.waiting.0)
    }

    /// Refreshes, and does something else before it commits.
    async fn be_slow(mut self, load: Arc<Load>) -> anyhow::Result<Vec<Request>> {
        let mut number = 0;
        while load.goes_on() {
            let handle = self.handles[number % self.handles.len()].clone();
            number += 1;
            let (hash, end) = (self.new_hash(), self.new_end());
            let open_for = Duration::from_millis(self.random.u64(200..=500));
            let client = &self.client;
            let beginning = async {
                client.batch_execute("BEGIN").await?;
                client.query_one(&self.lock, &[&handle]).await
            };
            self.waiting.on(beginning).await?;
            sleep(open_for).await;
            let ending = async {
                client.execute(&self.rotate, &[&handle, &hash, &end]).await?;
                client.batch_execute("COMMIT").await
            };
            self.waiting.on(ending).await?;
            sleep(open_for / 2).await;
        }
        Ok(self.waiting.0)
    }

    /// Asks for nothing that is in a table, to see how long the machine alone lets one wait.
    async fn ask_for_nothing(mut self, load: Arc<Load>) -> anyhow::Result<Vec<Request>> {
        while load.goes_on() {
            self.waiting.on(self.client.batch_execute("SELECT 1")).await?;
            sleep(REST).await;
        }
        Ok(self.waiting.0)
    }

    /// What a core does once in twelve hours, every second.
    async fn delete_what_has_ended(mut self, load: Arc<Load>) -> anyhow::Result<Vec<Request>> {
        let sql = "SELECT coalesce(min(expires_at), $2) FROM session_info WHERE user_id = $1";
        let row = self.client.query_one(sql, &[&ENDING, &FIRST_END]).await?;
        let mut now: i64 = row.get(0);
        while load.goes_on() {
            now += STEP;
            self.waiting.on(self.client.execute(&self.delete_ended, &[&now])).await?;
            sleep(Duration::from_secs(1)).await;
        }
        Ok(self.waiting.0)
    }
}
