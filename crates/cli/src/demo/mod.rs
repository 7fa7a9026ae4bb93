//! `sessile demo`: a page that shows sessions at work.

mod api;
mod assets;
mod counting_store;
mod devices;
mod state;
mod theft;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::{
    Router,
    middleware::from_fn,
    routing::{delete, get, post, put},
};
use clap::Args;
use sessile::{
    Sessions, WebConfig, WebSessions,
    axum::{SessionLayer, routes},
    policy::Policy,
};
use tokio::net::TcpListener;

use counting_store::{CountingStore, count_store_calls};
use state::DemoState;

const DEFAULT_PORT: u16 = 3568;

/// Access tokens of the demo are this short-lived, so that one can watch them end.
const ACCESS_TOKEN_VALIDITY: Duration = Duration::from_secs(60);

/// What `sessile demo` can be told.
#[derive(Args, Debug)]
pub(crate) struct DemoArguments {
    /// The file that keeps the sessions; it is made if it is not there.
    #[arg(long, value_name = "FILE", default_value = "sessile.db")]
    store: PathBuf,
    /// The port to listen on, on loopback alone; 0 for any free one.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_PORT)]
    port: u16,
}

impl Default for DemoArguments {
    fn default() -> Self {
        Self { store: PathBuf::from("sessile.db"), port: DEFAULT_PORT }
    }
}

/// Runs the demo until it is interrupted.
#[tokio::main]
pub(crate) async fn run(arguments: &DemoArguments) -> anyhow::Result<()> {
    let port = arguments.port;
    // The port first: a second start must not touch the file of the first.
    let listener = TcpListener::bind(("127.0.0.1", port)).await.with_context(|| {
        format!(
            "port {port} of this machine cannot be used; if another demo is running, open \
             http://127.0.0.1:{port}, or else choose a port with --port"
        )
    })?;
    let app = app(arguments).await.with_context(|| {
        format!(
            "the sessions cannot be kept in {}; choose a file with --store",
            arguments.store.display()
        )
    })?;
    println!("Sessile demo: http://{}", listener.local_addr()?);
    println!("Sessions are kept in {}. Stop with Ctrl-C.", arguments.store.display());
    let stop = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    Ok(axum::serve(listener, app).with_graceful_shutdown(stop).await?)
}

async fn app(arguments: &DemoArguments) -> anyhow::Result<Router> {
    let wrapping_key = sessile::wrapping_key_of(&arguments.store)?;
    let store = sessile::sqlite::SqliteStore::open(&arguments.store)?;
    let state = Arc::new(DemoState::default());
    let listener = Arc::clone(&state);
    let policy = Policy { access_token_validity: ACCESS_TOKEN_VALIDITY, ..Policy::default() };
    let sessions = Sessions::builder(CountingStore(store))
        .wrapping_key(wrapping_key)
        .policy(policy)
        .on_event(move |event| listener.note(event))
        .build()
        .await?;
    let web = WebSessions::new(sessions, WebConfig::default())?;
    Ok(Router::new()
        .merge(assets::routes())
        .route("/api/login", post(api::login))
        .route("/api/session", get(api::session))
        .route("/api/payload", put(api::update_payload))
        .route("/api/data", put(api::update_data))
        .route("/api/devices", get(devices::list).post(devices::add).delete(devices::end_all))
        .route("/api/devices/{handle}", delete(devices::end))
        // Below the path of the refresh cookie, which browsers send nowhere else.
        .route("/session/refresh/steal", post(theft::steal))
        .route("/api/theft/replay", post(theft::replay))
        .with_state(state)
        .merge(routes(&web))
        .layer(SessionLayer::new(web).on_general_error(api::general_error))
        .layer(from_fn(count_store_calls))
        .layer(from_fn(assets::security_headers)))
}
