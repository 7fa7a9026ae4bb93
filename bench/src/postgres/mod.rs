//! Refreshing durably in PostgreSQL, beside the row alone; and the same calls on many sessions.

mod raw;
mod refreshing;
mod size;

use clap::Args;
use sessile::Sessions;
use sessile_bench::race::Effort;
use sessile_postgres::{PostgresOptions, PostgresStore};
use sessile_postgres_fixture::{Cluster, supertokens::TABLES_OF_USERS};
use tokio::runtime::Handle;
use tokio_postgres::{Client, NoTls};

/// Where to measure, and how much.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// A server and database on which to measure; schemas that begin with `sessile_bench_` are made
    /// in it and removed [default: a server of its own, which waits for its disk]
    #[arg(long)]
    url: Option<String>,
    /// With 10 000 sessions and with a million; takes a few minutes and two gigabytes of disk
    #[arg(long)]
    million: bool,
    /// How many clients refresh at the same time
    #[arg(long, value_delimiter = ',', value_name = "COUNTS", default_values_t = [1, 8, 64, 256])]
    clients: Vec<usize>,
    /// The connections that write, of the store and of the pool that is measured beside it
    #[arg(long, value_name = "COUNT", default_value_t = 4)]
    writers: usize,
    /// Let a thread of the store's own serve the connections, and not the clients' runtime
    #[arg(long)]
    own_thread: bool,
    /// Beside a hundred thousand users of a SuperTokens core, of whom some are linked and some mapped
    #[arg(long)]
    users: bool,
}

impl Arguments {
    /// What is asked of a store that is opened within the runtime that will use it.
    fn options(&self, url: &str) -> anyhow::Result<PostgresOptions> {
        let options = PostgresOptions::from_url(url)?.writers(self.writers);
        Ok(if self.own_thread { options } else { options.runtime(Handle::current()) })
    }
}

pub(crate) fn measure(effort: Effort, arguments: &Arguments) -> anyhow::Result<()> {
    let cluster;
    let url = match &arguments.url {
        Some(url) => url.clone(),
        None => {
            cluster = Cluster::start(&[
                ("fsync", "on"),
                ("max_connections", "600"),
                // No checkpoint comes in the midst of a round.
                ("max_wal_size", "8GB"),
                ("checkpoint_timeout", "1h"),
            ]);
            cluster.database().url()
        }
    };
    refreshing::measure(effort, &url, arguments)?;
    size::measure(effort, &url, arguments)
}

/// A schema of its own for each thing that is measured, empty at first.
struct Schema<'a> {
    url: &'a str,
    name: String,
}

impl<'a> Schema<'a> {
    async fn make(url: &'a str, purpose: &str) -> anyhow::Result<Self> {
        let schema = Self { url, name: format!("sessile_bench_{purpose}") };
        schema.remove().await?;
        Ok(schema)
    }

    async fn remove(&self) -> anyhow::Result<()> {
        let drop = format!("DROP SCHEMA IF EXISTS {} CASCADE", self.name);
        Ok(connect(self.url).await?.batch_execute(&drop).await?)
    }

    async fn sessions(&self, arguments: &Arguments) -> anyhow::Result<Sessions<PostgresStore>> {
        let options = arguments.options(self.url)?.schema(&self.name)?;
        let mut store = options.clone().open().await?;
        if arguments.users {
            let client = connect(self.url).await?;
            client.batch_execute(&format!("SET search_path TO {}", self.name)).await?;
            client.batch_execute(TABLES_OF_USERS).await?;
            client.batch_execute(USERS).await?;
            // Whether there are users is looked for when a store is opened.
            store = options.open().await?;
        }
        Ok(Sessions::builder(store).build().await?)
    }
}

/// Each third is the primary user of the two that follow, and each second has another id outside.
const USERS: &str = "
    INSERT INTO app_id_to_user_id
    SELECT 'public', id, 'emailpassword', id, true
    FROM (SELECT 'user-' || lpad(n::text, 5, '0') AS id FROM generate_series(0, 99999) n) users;
    UPDATE app_id_to_user_id
    SET primary_or_recipe_user_id = 'user-' || lpad((n - n % 3)::text, 5, '0')
    FROM generate_series(0, 99999) n WHERE user_id = 'user-' || lpad(n::text, 5, '0');
    INSERT INTO userid_mapping (app_id, supertokens_user_id, external_user_id)
    SELECT 'public', 'user-' || lpad(n::text, 5, '0'), 'external-' || n
    FROM generate_series(0, 99999, 2) n;
    ANALYZE app_id_to_user_id;
    ANALYZE userid_mapping;";

/// A connection without the store, served by the runtime in which this is called.
pub(crate) async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, driver) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(driver);
    Ok(client)
}
