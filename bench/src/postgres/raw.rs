//! PostgreSQL alone: the same table, and what moves the row of a session.

use std::sync::Arc;

use tokio::sync::{Mutex, Semaphore};
use tokio_postgres::{Client, Statement};

use super::{Schema, connect};

/// How the row is moved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Manner {
    /// By one statement.
    Statement,
    /// As SuperTokens' core does it: locked and read, then moved, in a transaction.
    Transaction,
}

/// A connection on which the row of one session after the other is moved.
pub(crate) struct Connection {
    client: Client,
    manner: Manner,
    select: Statement,
    update: Statement,
}

impl Connection {
    async fn open(schema: &Schema<'_>, manner: Manner) -> anyhow::Result<Self> {
        let client = connect(schema.url).await?;
        let select = format!(
            "SELECT user_id, refresh_token_hash_2, jwt_user_payload, session_data, expires_at
            FROM {}.session_info
            WHERE app_id = 'public' AND tenant_id = 'public' AND session_handle = $1 FOR UPDATE",
            schema.name
        );
        let select = client.prepare(&select).await?;
        let update = format!(
            "UPDATE {}.session_info SET
                refresh_token_hash_2 = $2, prev_refresh_token_hash_2 = refresh_token_hash_2,
                refresh_token_rotated_at = $3, expires_at = $3 + 8640000000
            WHERE app_id = 'public' AND tenant_id = 'public' AND session_handle = $1",
            schema.name
        );
        let update = client.prepare(&update).await?;
        Ok(Self { client, manner, select, update })
    }

    async fn rotate(&self, handle: &str, call: i64) -> anyhow::Result<()> {
        let hash = format!("{call:064x}");
        let now = 1_800_000_000_000 + call;
        let is_transaction = self.manner == Manner::Transaction;
        if is_transaction {
            self.client.batch_execute("BEGIN").await?;
            self.client.query_one(&self.select, &[&handle]).await?;
        }
        self.client.execute(&self.update, &[&handle, &hash, &now]).await?;
        if is_transaction {
            self.client.batch_execute("COMMIT").await?;
        }
        Ok(())
    }
}

/// Connections that clients take turns at.
pub(crate) struct Pool {
    turns: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    pub(crate) async fn open(
        schema: &Schema<'_>,
        manner: Manner,
        count: usize,
    ) -> anyhow::Result<Arc<Self>> {
        let mut idle = Vec::new();
        for _ in 0..count {
            idle.push(Connection::open(schema, manner).await?);
        }
        Ok(Arc::new(Self { turns: Semaphore::new(count), idle: Mutex::new(idle) }))
    }
}

/// A client's sessions, whose rows it moves in turn.
pub(crate) struct Rotating {
    pub(crate) pool: Arc<Pool>,
    pub(crate) handles: Vec<String>,
    pub(crate) next: usize,
}

impl Rotating {
    pub(crate) async fn rotate(mut self) -> anyhow::Result<Self> {
        let handle = &self.handles[self.next % self.handles.len()];
        let turn = self.pool.turns.acquire().await?;
        let connection = self.pool.idle.lock().await.pop();
        let Some(connection) = connection else { anyhow::bail!("a turn without a connection") };
        connection.rotate(handle, i64::try_from(self.next)?).await?;
        self.pool.idle.lock().await.push(connection);
        drop(turn);
        self.next += 1;
        Ok(self)
    }
}
