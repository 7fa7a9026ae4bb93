//! The server that the browser tests talk to: an ordinary application on Sessile, whose clock can
//! be moved and which tells what happened to its sessions.

#![forbid(unsafe_code)]

mod api;
mod control;
mod pages;
mod plain;

use std::{future::IntoFuture as _, io, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::{
    Router,
    http::{HeaderName, HeaderValue, Method, header::CONTENT_TYPE},
    middleware::from_fn_with_state,
};
use clap::{Parser, ValueEnum};
use sessile::{
    AntiCsrfMode, Sessions, SessionsBuilder, WebConfig, WebSessions,
    axum::{SessionLayer, routes},
    memory::MemoryStore,
    policy::Policy,
    store::Store,
    web::{CORS_EXPOSED_HEADERS, CORS_REQUEST_HEADERS},
};
use tokio::sync::{Mutex, oneshot};
use tower_http::cors::CorsLayer;
use tracing::Level;

use control::{Counts, ShiftedClock};

/// A server with sessions, for tests in a browser.
#[derive(Debug, Parser)]
#[command(name = "browser-test-server", version)]
struct Arguments {
    /// How requests of other sites are told from one's own.
    #[arg(long, value_enum, default_value = "fetch-metadata")]
    anti_csrf: AntiCsrf,
    /// Refresh expired access tokens on whichever request carries them.
    #[arg(long)]
    refresh_in_place: bool,
    /// The file that keeps the sessions; memory where none is named.
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// A folder whose files are served under /pages/.
    #[arg(long = "static", value_name = "FOLDER")]
    static_folder: Option<PathBuf>,
    /// How long access tokens are good for.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    access_token_validity: u64,
    /// Another origin whose pages may use the sessions.
    #[arg(long, value_name = "ORIGIN")]
    trusted_origin: Option<String>,
    /// What comes before the paths of the ready-made routes.
    #[arg(long, value_name = "PATH", default_value = "")]
    api_base_path: String,
    /// Stop when the standard input ends, as it does when whoever started this is gone.
    #[arg(long)]
    stop_with_input: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AntiCsrf {
    FetchMetadata,
    Token,
    CustomHeader,
    Off,
}

impl From<AntiCsrf> for AntiCsrfMode {
    fn from(mode: AntiCsrf) -> Self {
        match mode {
            AntiCsrf::FetchMetadata => Self::FetchMetadata,
            AntiCsrf::Token => Self::Token,
            AntiCsrf::CustomHeader => Self::CustomHeader,
            AntiCsrf::Off => Self::Off,
        }
    }
}

/// What the handlers share.
#[derive(Clone, Debug, Default)]
struct TestState {
    clock: Arc<ShiftedClock>,
    counts: Arc<Counts>,
    /// Held while session data is read and written back, so that parallel requests all count.
    data: Arc<Mutex<()>>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt().with_writer(io::stderr).with_max_level(Level::ERROR).init();

    let app = app(&arguments).await?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    // Browsers send `Sec-Fetch-Site` and keep host-only cookies for this name as for any other.
    println!("listening on http://localhost:{}", listener.local_addr()?.port());

    let serve = axum::serve(listener, app).into_future();
    if arguments.stop_with_input {
        tokio::select! {
            result = serve => result?,
            _ = end_of_input() => {}
        }
    } else {
        serve.await?;
    }
    Ok(())
}

/// A thread of its own, because a read from the standard input cannot be given up.
async fn end_of_input() {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let end = io::copy(&mut io::stdin(), &mut io::sink());
        // Nobody waits any more if the server stopped for another reason.
        drop(sender.send(end));
    });
    drop(receiver.await);
}

async fn app(arguments: &Arguments) -> anyhow::Result<Router> {
    let state = TestState::default();
    let config = WebConfig {
        api_base_path: arguments.api_base_path.clone(),
        trusted_origins: arguments.trusted_origin.iter().cloned().collect(),
        anti_csrf: arguments.anti_csrf.into(),
        refresh_in_place: arguments.refresh_in_place,
        ..WebConfig::default()
    };
    let policy = Policy {
        access_token_validity: Duration::from_secs(arguments.access_token_validity),
        ..Policy::default()
    };
    let web = match &arguments.store {
        Some(file) => build(sessile::embedded(file)?, config, policy, &state).await?,
        None => build(Sessions::builder(MemoryStore::new()), config, policy, &state).await?,
    };
    let refresh_path = Arc::from(web.config().refresh_path());
    let mut app = Router::new()
        .merge(api::routes())
        .merge(plain::routes())
        .merge(control::routes())
        .with_state(state.clone())
        .merge(routes(&web))
        .layer(SessionLayer::new(web))
        .layer(from_fn_with_state((state, refresh_path), control::count_refresh_requests));
    if let Some(folder) = &arguments.static_folder {
        let pages = pages::routes(folder)
            .with_context(|| format!("{} cannot be read", folder.display()))?;
        app = app.merge(pages);
    }
    if let Some(origin) = &arguments.trusted_origin {
        app = app.layer(cors(origin)?);
    }
    Ok(app)
}

async fn build<S: Store>(
    builder: SessionsBuilder<S>,
    config: WebConfig,
    policy: Policy,
    state: &TestState,
) -> anyhow::Result<WebSessions> {
    let counts = Arc::clone(&state.counts);
    let sessions = builder
        .policy(policy)
        .clock(Arc::clone(&state.clock))
        .on_event(move |event| counts.note(event.kind))
        .build()
        .await?;
    Ok(WebSessions::new(sessions, config)?)
}

/// What a page on another origin needs to be let through by its browser.
fn cors(origin: &str) -> anyhow::Result<CorsLayer> {
    let allowed = CORS_REQUEST_HEADERS.map(HeaderName::from_static);
    Ok(CorsLayer::new()
        .allow_origin(origin.parse::<HeaderValue>()?)
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::PUT])
        .allow_headers(allowed.into_iter().chain([CONTENT_TYPE]).collect::<Vec<_>>())
        .expose_headers(CORS_EXPOSED_HEADERS.map(HeaderName::from_static)))
}
