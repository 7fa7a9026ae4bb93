//! Refreshing durably in PostgreSQL, beside the row alone; and the same calls on many sessions.

mod raw;
mod refreshing;
mod size;

use clap::Args;
use sessile::Sessions;
use sessile_bench::race::Effort;
use sessile_postgres::{PostgresOptions, PostgresStore};
use sessile_postgres_fixture::Cluster;
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
    size::measure(effort, &url, arguments.million)
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

    async fn open(&self, writers: usize) -> anyhow::Result<PostgresStore> {
        let options = PostgresOptions::from_url(self.url)?.schema(&self.name)?;
        Ok(options.writers(writers).open().await?)
    }

    async fn sessions(&self, writers: usize) -> anyhow::Result<Sessions<PostgresStore>> {
        Ok(Sessions::builder(self.open(writers).await?).build().await?)
    }
}

/// A connection without the store, served by the runtime in which this is called.
pub(crate) async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, driver) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(driver);
    Ok(client)
}
