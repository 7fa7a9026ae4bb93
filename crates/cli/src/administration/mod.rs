//! `sessile sessions` and `sessile keys`: what operators ask of a store or of a running server.

mod backend;
mod keys;
mod output;
mod server;
mod sessions;
mod store;

pub(crate) use keys::{KeysArguments, run as manage_keys};
pub(crate) use output::{print_json, readable};
pub(crate) use server::RunningServer;
pub(crate) use sessions::{SessionsArguments, run as manage_sessions};

use std::path::PathBuf;

use clap::Args;
use sessile::{AppId, Secret};

use backend::Backend;

/// Where the sessions are.
#[derive(Args, Debug)]
struct Target {
    /// The file that keeps the sessions. Servers on it may run.
    #[arg(long, value_name = "FILE", default_value = "sessile.db", conflicts_with = "server")]
    store: PathBuf,
    /// A running server instead, by its URL.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// The server's API key. In the environment it is not seen in the list of processes.
    #[arg(
        long,
        value_name = "KEY",
        env = "SESSILE_API_KEY",
        hide_env_values = true,
        requires = "server",
        value_parser = hidden
    )]
    api_key: Option<Secret>,
    /// The app whose sessions and keys are meant.
    #[arg(long, value_name = "ID", default_value_t)]
    app: AppId,
    /// Prints JSON, with times in milliseconds.
    #[arg(long)]
    json: bool,
}

#[expect(clippy::unnecessary_wraps, reason = "the type that clap wants")]
pub(crate) fn hidden(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text.to_owned()))
}

impl Target {
    fn open(&self) -> anyhow::Result<Backend> {
        match &self.server {
            Some(url) => Backend::of_server(url, self.api_key.clone(), &self.app),
            None => Backend::of_store(&self.store, self.app.clone()),
        }
    }
}
