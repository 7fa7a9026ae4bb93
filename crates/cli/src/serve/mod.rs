//! `sessile serve`: a core server for the SDKs of SuperTokens.

mod database;
mod place;
mod upkeep;

use std::{ffi::OsString, future::pending, io, net::SocketAddr, path::Path};

use anyhow::Context as _;
use clap::Args;
use sessile::{Secret, Sessions, SessionsBuilder, memory::MemoryStore, store::TenantStore};
use sessile_server::{ConfigurationError, PlainText, Server, Settings, Sources};
use tokio::{net::TcpListener, runtime::Handle, sync::watch};

use crate::{logging, started::Started, tls::Tls};
pub(crate) use place::Place;
use place::measure_commits;

/// What `sessile serve` can be told. The rest is told by a file and the environment.
#[derive(Args, Debug)]
pub(crate) struct ServeArguments {
    /// A file with settings, as SuperTokens' config.yaml. The environment overrides it, and the
    /// options here override both.
    #[arg(long, value_name = "FILE", env = "SESSILE_CONFIG")]
    config: Option<OsString>,
    /// The name or address to listen on; localhost where nothing is said.
    #[arg(long)]
    host: Option<String>,
    /// The port to listen on, 0 for any free one; 3567 where nothing is said.
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// What keeps the sessions: the URL of a PostgreSQL database, postgresql://…; a file, which is
    /// made if it is not there; or `memory`, which forgets them at the end. Where nothing is said it
    /// is sessile.db.
    #[arg(long, value_name = "URL|FILE|memory", value_parser = hidden)]
    store: Option<Secret>,
    /// Does not start where the file has a key that is not known.
    #[arg(long)]
    strict: bool,
    /// Takes lifetimes and intervals as short as the tests of SDKs want them.
    #[arg(long)]
    test_mode: bool,
    /// A SuperTokens core that answers what Sessile does not serve: users, roles, dashboard and so
    /// on. Such requests go there as they are, and the answers back.
    #[arg(long, value_name = "URL")]
    forward: Option<String>,
    /// Where `/metrics` is served, instead of beside the other routes.
    #[arg(long, value_name = "HOST:PORT")]
    metrics_address: Option<String>,
    /// How the log is written: `text`, or `json` with an object on each line.
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// How much is logged: `warn` has what somebody should look at, thefts of tokens for instance;
    /// `info` also sessions that are ended, and new keys; `debug` also every request.
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Prints every key that the file and the environment may have, and ends.
    #[arg(long)]
    list_keys: bool,
}

impl ServeArguments {
    /// All settings, of which those here count most.
    fn settings(&self) -> Result<Settings, ConfigurationError> {
        let arguments = [
            ("host", self.host.clone()),
            ("port", self.port.map(|port| port.to_string())),
            ("sessile_store", self.store.as_ref().map(|store| store.expose().to_owned())),
            ("sessile_forward", self.forward.clone()),
            ("sessile_metrics_address", self.metrics_address.clone()),
            ("sessile_log_format", self.log_format.clone()),
            ("log_level", self.log_level.clone()),
        ];
        let arguments: Vec<_> =
            arguments.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        Settings::load(Sources {
            // An empty variable is none, as for every key.
            file: self.config.as_deref().filter(|path| !path.is_empty()).map(Path::new),
            environment: &|name| std::env::var_os(name),
            arguments: &arguments,
            strict: self.strict,
            test_mode: self.test_mode,
        })
    }
}

/// A URL may have a password.
#[expect(clippy::unnecessary_wraps, reason = "the type that clap wants")]
fn hidden(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text.to_owned()))
}

/// Serves until the process is told to stop.
#[tokio::main]
pub(crate) async fn run(arguments: &ServeArguments) -> anyhow::Result<()> {
    if arguments.list_keys {
        print!("{}", sessile_server::describe_keys());
        return Ok(());
    }
    let settings = arguments.settings()?;
    logging::start(settings.log_level, settings.log_format);
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let place = Place::of(&settings)?;
    let tls = Tls::of(&settings)?;
    // The port first: a second start must not touch the file of the first.
    let (host, port) = (settings.host.as_str(), settings.port);
    let listener = bind(host, port).await.with_context(|| {
        format!("{host}:{port} cannot be listened on; choose another with --host or --port")
    })?;
    let opened = Opened { settings, tls, listener, place: place.to_string() };
    match place {
        Place::Memory => opened.serve(Sessions::builder(MemoryStore::new()), |_| {}).await,
        Place::File(path) => {
            let sessions = sessile::embedded(&path).with_context(|| {
                let path = path.display();
                format!("the sessions cannot be kept in {path}; choose a file with --store")
            })?;
            opened.serve(sessions, measure_commits).await
        }
        Place::Postgres(options) => {
            let options = options.runtime(Handle::current());
            let store = options.open().await.context("PostgreSQL cannot be used")?;
            opened.serve(place::in_postgres(store)?, |_| {}).await
        }
    }
}

/// Listens on an address of the host, an IPv4 one if there is one: clients try `localhost` so.
async fn bind(host: &str, port: u16) -> io::Result<TcpListener> {
    let mut addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    TcpListener::bind(addresses.as_slice()).await
}

/// All that a server needs beside its sessions.
struct Opened {
    settings: Settings,
    tls: Option<Tls>,
    listener: TcpListener,
    /// What keeps the sessions, for people.
    place: String,
}

impl Opened {
    async fn serve<S: TenantStore>(
        self,
        sessions: SessionsBuilder<S>,
        measure: impl FnOnce(&Server<S>),
    ) -> anyhow::Result<()> {
        let Self { settings, tls, listener, place } = self;
        let Settings { server: config, host, started_folder, .. } = settings;
        let operations = match &config.metrics_address {
            Some(address) => Some(TcpListener::bind(address).await.with_context(|| {
                format!("{address} cannot be listened on; choose another with --metrics-address")
            })?),
            None => None,
        };
        let (base_path, has_keys) = (config.base_path.clone(), !config.app.api_keys.is_empty());
        let server =
            Server::start(config, sessions).await.context("the server cannot be started")?;
        measure(&server);
        let mut stopping = stop_signal()?;
        let upkeep = upkeep::begin(&server);
        let address = listener.local_addr()?;
        if !has_keys {
            warn_beyond_loopback(address);
        }
        // Until the end of this function.
        let _started = match &started_folder {
            Some(folder) => Some(Started::tell(folder, &host, address.port(), &base_path)?),
            None => None,
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        println!("Sessile serves on {scheme}://{address}, with its sessions in {place}");
        // It outlives the rest, to say until the end that the server is not ready.
        let operations = operations.map(|listener| {
            let server = server.clone();
            tokio::spawn(async move { server.serve_operations(listener, pending()).await })
        });

        let stop = async move { drop(stopping.wait_for(|stop| *stop).await) };
        match tls {
            Some(tls) => server.serve(listener, tls, stop).await,
            None => server.serve(listener, PlainText, stop).await,
        }
        for task in upkeep.into_iter().chain(operations) {
            task.abort();
        }
        Ok(())
    }
}

fn warn_beyond_loopback(address: SocketAddr) {
    if !address.ip().is_loopback() {
        tracing::warn!(
            "whoever reaches {address} can create sessions and sign JWTs there: set api_keys"
        );
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
