//! `sessile doctor`: whether a store or a server is ready to be used, and what to do if it is not.

mod database;
mod file;
mod report;
mod server;
mod settings;
mod tables;
mod way_back;

use std::{ffi::OsString, path::Path};

use clap::Args;
use sessile::Secret;
use sessile_server::{ConfigurationError, Settings, Sources};

use self::report::{Finding, Report};
use crate::serve::Place;

/// What `sessile doctor` can be told.
#[derive(Args, Debug)]
pub(crate) struct DoctorArguments {
    /// What keeps the sessions, as `sessile serve` takes it: the URL of a PostgreSQL database, or a
    /// file. Where nothing is said it is what the configuration says. Servers on it may run, and
    /// nothing is changed.
    #[arg(
        long,
        value_name = "URL|FILE",
        value_parser = crate::administration::hidden,
        conflicts_with = "server"
    )]
    store: Option<Secret>,
    /// A file with settings, as `sessile serve` takes it.
    #[arg(long, value_name = "FILE", env = "SESSILE_CONFIG")]
    config: Option<OsString>,
    /// A running server instead, SuperTokens' core or Sessile, by its URL.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// The server's API key. In the environment it is not seen in the list of processes.
    #[arg(
        long,
        value_name = "KEY",
        env = "SESSILE_API_KEY",
        hide_env_values = true,
        value_parser = crate::administration::hidden
    )]
    api_key: Option<Secret>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

impl DoctorArguments {
    /// What `sessile serve` would have for settings.
    fn settings(&self) -> Result<Settings, ConfigurationError> {
        let store = self.store.as_ref().map(|store| ("sessile_store", store.expose().to_owned()));
        Settings::load(Sources {
            file: self.config.as_deref().filter(|path| !path.is_empty()).map(Path::new),
            environment: &|name| std::env::var_os(name),
            arguments: store.as_slice(),
            strict: false,
            test_mode: false,
        })
    }
}

/// Looks, tells what was found, and says whether all is ready.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(arguments: &DoctorArguments) -> anyhow::Result<bool> {
    let report = match &arguments.server {
        Some(url) => server::examine(url, arguments.api_key.clone()).await,
        None => examine_store(&arguments.settings()?).await?,
    };
    report.print(arguments.json)?;
    Ok(report.is_ready())
}

async fn examine_store(settings: &Settings) -> anyhow::Result<Report> {
    Ok(match Place::of(settings)? {
        Place::Postgres(options) => database::examine(*options, &settings.server).await,
        Place::File(path) => file::examine(&path),
        Place::Memory => Report::new(vec![Finding::ok(
            "store",
            "the sessions are kept in memory, and forgotten when the server ends",
        )]),
    })
}
