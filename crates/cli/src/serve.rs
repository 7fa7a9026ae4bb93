//! `sessile serve`: a core server for the SDKs of SuperTokens.

use std::{fmt, future::pending, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use anyhow::Context as _;
use axum::http::Uri;
use clap::Args;
use sessile::{
    Sessions, SessionsBuilder, memory::MemoryStore, sqlite::SqliteStore, store::TenantStore,
};
use sessile_server::{CommitStatistics, PlainText, Server, ServerConfig};
use tokio::{net::TcpListener, sync::watch};

use crate::logging::LogArguments;

/// How often sessions that expired and keys that retired are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3600);

/// How often apps and tenants are read that other processes may have changed.
const SYNCHRONISATION_INTERVAL: Duration = Duration::from_secs(60);

/// What `sessile serve` can be told.
#[derive(Args, Debug)]
pub(crate) struct ServeArguments {
    /// The name or address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// The port to listen on; 0 for any free one.
    #[arg(long, value_name = "N", default_value_t = 3567)]
    port: u16,
    /// The file that keeps the sessions, which is made if it is not there; or `memory`, which
    /// forgets them at the end.
    #[arg(long, value_name = "FILE|memory", default_value = "sessile.db")]
    store: StoreArgument,
    /// Takes lifetimes and intervals as short as the tests of SDKs want them.
    #[arg(long)]
    test_mode: bool,
    /// A SuperTokens core that answers what Sessile does not serve: users, roles, dashboard and so
    /// on. Such requests go there as they are, and the answers back.
    #[arg(long, value_name = "URL")]
    forward: Option<Uri>,
    /// Where `/metrics` is served, instead of beside the other routes.
    #[arg(long, value_name = "HOST:PORT")]
    metrics_address: Option<String>,
    #[command(flatten)]
    pub(crate) log: LogArguments,
}

#[derive(Clone, Debug)]
enum StoreArgument {
    File(PathBuf),
    Memory,
}

impl FromStr for StoreArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("name a file, or memory".to_owned()),
            "memory" => Ok(Self::Memory),
            url if url.contains("://") => {
                Err("databases with a URL cannot be used yet: name a file, or memory".to_owned())
            }
            file => Ok(Self::File(file.into())),
        }
    }
}

impl fmt::Display for StoreArgument {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(formatter),
            Self::Memory => formatter.write_str("memory"),
        }
    }
}

/// Serves until the process is told to stop.
#[tokio::main]
pub(crate) async fn run(arguments: &ServeArguments) -> anyhow::Result<()> {
    let (host, port) = (arguments.host.as_str(), arguments.port);
    // The port first: a second start must not touch the file of the first.
    let listener = TcpListener::bind((host, port)).await.with_context(|| {
        format!("{host}:{port} cannot be listened on; choose another with --host or --port")
    })?;
    match &arguments.store {
        StoreArgument::Memory => {
            serve(arguments, listener, Sessions::builder(MemoryStore::new()), |_| {}).await
        }
        StoreArgument::File(path) => {
            let sessions = sessile::embedded(path).with_context(|| {
                let path = path.display();
                format!("the sessions cannot be kept in {path}; choose a file with --store")
            })?;
            serve(arguments, listener, sessions, measure_commits).await
        }
    }
}

async fn serve<S: TenantStore>(
    arguments: &ServeArguments,
    listener: TcpListener,
    sessions: SessionsBuilder<S>,
    measure: impl FnOnce(&Server<S>),
) -> anyhow::Result<()> {
    let config = ServerConfig {
        test_mode: arguments.test_mode,
        forward: arguments.forward.clone(),
        metrics_address: arguments.metrics_address.clone(),
        ..ServerConfig::default()
    };
    let operations = match &config.metrics_address {
        Some(address) => Some(TcpListener::bind(address).await.with_context(|| {
            format!("{address} cannot be listened on; choose another with --metrics-address")
        })?),
        None => None,
    };
    let server = Server::start(config, sessions).await.context("the server cannot be started")?;
    measure(&server);
    let mut stopping = stop_signal()?;
    let sweeping = tokio::spawn(sweep_for_ever(server.clone()));
    let synchronising = tokio::spawn(synchronise_for_ever(server.clone()));
    let address = listener.local_addr()?;
    warn_beyond_loopback(address);
    println!("Sessile serves on http://{address}, with its sessions in {}", arguments.store);
    // It outlives the rest, to say until the end that the server is not ready.
    let operations = operations.map(|listener| {
        let server = server.clone();
        tokio::spawn(async move { server.serve_operations(listener, pending()).await })
    });

    let stop = async move { drop(stopping.wait_for(|stop| *stop).await) };
    server.serve(listener, PlainText, stop).await;
    sweeping.abort();
    synchronising.abort();
    if let Some(operations) = operations {
        operations.abort();
    }
    Ok(())
}

/// Has the commits of SQLite counted with everything else.
fn measure_commits(server: &Server<SqliteStore>) {
    let store = server.store().clone();
    server.measure_commits(move || {
        let statistics = store.statistics();
        let sizes = std::iter::successors(Some(1), |size| Some(size * 2));
        CommitStatistics {
            commits: statistics.commits,
            writes: statistics.writes,
            by_size: sizes.zip(statistics.commits_by_size).collect(),
        }
    });
}

fn warn_beyond_loopback(address: SocketAddr) {
    if !address.ip().is_loopback() {
        tracing::warn!("whoever reaches {address} can create sessions and sign JWTs there");
    }
}

/// Becomes true when the process is told to stop.
fn stop_signal() -> anyhow::Result<watch::Receiver<bool>> {
    let (sender, receiver) = watch::channel(false);
    #[cfg(unix)]
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::spawn(async move {
        #[cfg(unix)]
        tokio::select! {
            result = tokio::signal::ctrl_c() => result.unwrap_or_default(),
            _ = terminated.recv() => {}
        }
        #[cfg(not(unix))]
        tokio::signal::ctrl_c().await.unwrap_or_default();
        let _ = sender.send(true);
    });
    Ok(receiver)
}

async fn sweep_for_ever<S: TenantStore>(server: Server<S>) {
    let mut interval = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        interval.tick().await;
        match server.apps().await {
            Ok(apps) => {
                for sessions in apps {
                    if let Err(error) = sessions.sweep_all().await {
                        let app = sessions.app();
                        tracing::warn!(%app, %error, "what has expired was not removed");
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "what has expired was not removed"),
        }
    }
}

async fn synchronise_for_ever<S: TenantStore>(server: Server<S>) {
    let mut interval = tokio::time::interval(SYNCHRONISATION_INTERVAL);
    // The start has done it just now.
    interval.tick().await;
    loop {
        interval.tick().await;
        if let Err(error) = server.synchronise().await {
            tracing::warn!(%error, "apps and tenants were not read again");
        }
    }
}
