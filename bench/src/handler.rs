//! A handler with a session, beside the same handler without: in this process, and over sockets.

use std::{hint::black_box, path::Path};

use anyhow::ensure;
use axum::{Router, body::Body, extract::Request};
use clap::ValueEnum;
use sessile_bench::{
    apps,
    load::{Client, browser_headers},
    race::{self, Effort, Figure, Measured, Round, rounds},
    server::{App, Server},
    table::{self, Table},
};
use tower_layer::Identity;
use tower_service::Service as _;

use crate::{allocations, verification::runtime};

/// An application that a server may serve.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum AppName {
    Plain,
    InMemory,
    InSqlite,
}

impl AppName {
    pub(crate) async fn make(self, folder: &Path) -> anyhow::Result<App> {
        match self {
            Self::Plain => Ok(App { router: apps::plain(), cookies: Vec::new() }),
            Self::InMemory => apps::in_memory().await,
            Self::InSqlite => apps::in_sqlite(folder).await,
        }
    }

    /// Starts a server for it, whose files are in `folder`.
    pub(crate) fn start(self, folder: &Path) -> anyhow::Result<Server> {
        let app = match self {
            Self::Plain => "plain",
            Self::InMemory => "in-memory",
            Self::InSqlite => "in-sqlite",
        };
        let folder = folder.to_string_lossy();
        Server::start(["--folder", &*folder, "serve", app])
    }
}

pub(crate) fn measure(effort: Effort, folder: &Path) -> anyhow::Result<()> {
    measure_in_process(effort)?;
    measure_over_sockets(effort, folder)
}

/// Something that is compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Handler {
    Plain,
    BelowIdleLayer,
    BelowSessionLayer,
    WithSession,
}

impl Handler {
    /// What is compared over sockets, too: all but the layer that does nothing.
    const OVER_SOCKETS: [Self; 3] = [Self::Plain, Self::BelowSessionLayer, Self::WithSession];
    const ALL: [Self; 4] =
        [Self::Plain, Self::BelowIdleLayer, Self::BelowSessionLayer, Self::WithSession];

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "without sessions",
            Self::BelowIdleLayer => "below a layer that does nothing",
            Self::BelowSessionLayer => "below `SessionLayer`, without an extractor",
            Self::WithSession => "below `SessionLayer`, with `Session`",
        }
    }

    fn path(self) -> &'static str {
        if self == Self::BelowSessionLayer { "/nobody" } else { "/user" }
    }

    fn router(self, with_sessions: &Router) -> Router {
        match self {
            Self::Plain => apps::plain(),
            Self::BelowIdleLayer => apps::plain().layer(Identity::new()),
            Self::BelowSessionLayer | Self::WithSession => with_sessions.clone(),
        }
    }

    fn has_sessions(self) -> bool {
        matches!(self, Self::BelowSessionLayer | Self::WithSession)
    }
}

/// Requests that are made before the clock runs, and served while it does.
const BATCH: usize = 500;

fn requests(path: &str, cookies: &[String]) -> anyhow::Result<Vec<Request>> {
    let make = |cookie: &String| {
        let mut request = Request::get(path).header("Host", "127.0.0.1:8080");
        for (name, value) in browser_headers(cookie) {
            request = request.header(name, value);
        }
        Ok(request.body(Body::empty())?)
    };
    cookies.iter().cycle().take(BATCH).map(make).collect()
}

async fn serve(router: &mut Router, requests: Vec<Request>) -> anyhow::Result<()> {
    for request in requests {
        let response = router.call(request).await?;
        ensure!(response.status().is_success(), "a request was answered {}", response.status());
        black_box(response);
    }
    Ok(())
}

fn measure_in_process(effort: Effort) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let App { router, cookies } = runtime.block_on(apps::in_memory())?;
    let mut routers = Handler::ALL.map(|handler| handler.router(&router));
    let mut figures = [const { Figure::new() }; Handler::ALL.len()];
    for round in rounds(effort) {
        for (index, handler) in Handler::ALL.into_iter().enumerate() {
            let mut sum = Round::default();
            while sum.cpu < effort.round_time() {
                let requests = requests(handler.path(), &cookies)?;
                sum += race::round(BATCH as u64, || {
                    runtime.block_on(serve(&mut routers[index], requests))
                })?;
            }
            if round == Measured::Yes {
                figures[index].push(sum);
            }
        }
    }
    let mut table = Table::new(
        "A handler, called in this process: processor time",
        ["handler", "a request", "requests in a second", "of those without", "allocations"],
    );
    for (index, handler) in Handler::ALL.into_iter().enumerate() {
        let requests = requests(handler.path(), &cookies)?;
        let allocations = allocations::per_operation(BATCH as u64, || {
            runtime.block_on(serve(&mut routers[index], requests))
        })?;
        table.row([
            handler.name().to_owned(),
            table::cpu(&figures[index]),
            table::rate(figures[index].per_cpu_second()),
            table::share(figures[0].ratio(&figures[index])),
            format!("{allocations:.1}"),
        ]);
    }
    table.print();
    Ok(())
}

/// Connections that the client keeps busy at once.
const CONNECTIONS: usize = 32;

fn measure_over_sockets(effort: Effort, folder: &Path) -> anyhow::Result<()> {
    let mut plain = AppName::Plain.start(folder)?;
    let mut app = AppName::InMemory.start(folder)?;
    let cookies = app.cookies().to_vec();
    let mut clients = Handler::OVER_SOCKETS
        .into_iter()
        .map(|handler| {
            let port = if handler.has_sessions() { app.port() } else { plain.port() };
            Client::connect(port, CONNECTIONS, "GET", handler.path(), &cookies)
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut figures = [const { Figure::new() }; Handler::OVER_SOCKETS.len()];
    for measured in rounds(effort) {
        for (index, handler) in Handler::OVER_SOCKETS.into_iter().enumerate() {
            let server = if handler.has_sessions() { &mut app } else { &mut plain };
            let round = server.round(&mut clients[index], effort.round_time() * 3)?;
            if measured == Measured::Yes {
                figures[index].push(round);
            }
        }
    }
    let mut table = Table::new(
        "A handler, over 32 connections on this machine: processor time of the server",
        ["handler", "a request", "requests in a second", "of those without", "memory"],
    );
    for (index, handler) in Handler::OVER_SOCKETS.into_iter().enumerate() {
        let server = if handler.has_sessions() { &mut app } else { &mut plain };
        table.row([
            handler.name().to_owned(),
            table::cpu(&figures[index]),
            table::rate(figures[index].per_cpu_second()),
            table::share(figures[0].ratio(&figures[index])),
            format!("{:.1} MB", server.memory()? as f64 / 1e6),
        ]);
    }
    table.print();
    Ok(())
}
