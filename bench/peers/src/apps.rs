//! The applications that are compared. All have the routes of Sessile's: `GET /user` looks at the
//! user, `GET /data` reads a count that is kept with the session, and `POST /data` changes it.

mod actix;
mod axum_session;
mod session_guard;
mod tower_sessions;

use std::path::Path;

use anyhow::{Context as _, ensure};
use axum::{Router, body::Body};
use clap::ValueEnum;
use http::{HeaderMap, Request, header};
use sessile_bench::{
    apps::{self, CLIENTS},
    load::browser_headers,
    server::{self, App, Server},
};
use tower_service::Service as _;

/// An application that a server may serve.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum AppName {
    Plain,
    Sessile,
    TowerSessions,
    /// With one connection to the database.
    TowerSessionsSqlx1,
    /// With four.
    TowerSessionsSqlx4,
    AxumSession,
    SessionGuard,
    PlainActix,
    ActixSession,
}

impl AppName {
    /// Serves it. `folder` is where a database is made.
    pub(crate) fn serve(self, folder: Option<&Path>) -> anyhow::Result<()> {
        let folder = || folder.context("there is no folder for the database");
        match self {
            Self::Plain => {
                server::serve(async || Ok(App { router: apps::plain(), cookies: Vec::new() }))
            }
            Self::Sessile => server::serve(apps::in_memory),
            Self::TowerSessions => server::serve(tower_sessions::in_memory),
            Self::TowerSessionsSqlx1 => {
                let folder = folder()?;
                server::serve(async || tower_sessions::in_sqlite(folder, 1).await)
            }
            Self::TowerSessionsSqlx4 => {
                let folder = folder()?;
                server::serve(async || tower_sessions::in_sqlite(folder, 4).await)
            }
            Self::AxumSession => server::serve(axum_session::app),
            Self::SessionGuard => server::serve(session_guard::app),
            Self::PlainActix => actix::serve_plain(),
            Self::ActixSession => actix::serve_with_sessions(),
        }
    }

    /// Starts a server for it, whose files are in `folder`.
    pub(crate) fn start(self, folder: &Path) -> anyhow::Result<Server> {
        let value = self.to_possible_value().context("an application without a name")?;
        Server::start(["--folder", &*folder.to_string_lossy(), "serve", value.get_name()])
    }
}

/// The path that logs a client in.
const LOGIN: &str = "/login/{user}";

/// Logs so many users in, one after another, through `POST /login/{user}`. Gives the `Cookie`
/// header of each.
async fn log_in(router: &mut Router) -> anyhow::Result<Vec<String>> {
    let mut cookies = Vec::new();
    for index in 0..CLIENTS {
        let mut request = Request::post(format!("/login/user-{index:05}"));
        for (name, value) in browser_headers("").into_iter().filter(|(name, _)| *name != "Cookie") {
            request = request.header(name, value);
        }
        let response = router.call(request.body(Body::empty())?).await?;
        ensure!(response.status().is_success(), "a login was answered {}", response.status());
        cookies.push(cookie(response.headers())?);
    }
    Ok(cookies)
}

/// The `Cookie` header of a client that got these headers.
fn cookie(headers: &HeaderMap) -> anyhow::Result<String> {
    let pair = |set: &header::HeaderValue| {
        Ok(set.to_str()?.split(';').next().unwrap_or_default().to_owned())
    };
    let pairs = headers.get_all(header::SET_COOKIE).iter().map(pair);
    let pairs = pairs.collect::<anyhow::Result<Vec<_>>>()?;
    ensure!(!pairs.is_empty(), "a login without a cookie");
    Ok(pairs.join("; "))
}
