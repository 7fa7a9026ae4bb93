//! `sessile keys`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    Target,
    output::{print_json, print_table, readable, time},
};

/// What `sessile keys` can be told.
#[derive(Args, Debug)]
pub(crate) struct KeysArguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the signing keys, newest first.
    List {
        #[command(flatten)]
        target: Target,
    },
    /// Makes the next signing key now. It is published at once and signs a minute later; what older
    /// keys signed stays good. Servers on the store take it up within a minute.
    Rotate {
        #[command(flatten)]
        target: Target,
    },
}

/// Does what was asked.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(arguments: &KeysArguments) -> anyhow::Result<()> {
    match &arguments.command {
        Command::List { target } => {
            let keys = target.open()?.keys().await?;
            if target.json {
                return print_json(&keys);
            }
            let rows = keys.iter().map(|key| {
                [
                    readable(&key.key_id),
                    key.algorithm.clone(),
                    key.kind.to_owned(),
                    time(key.created_at),
                    key.state.clone().unwrap_or_default(),
                ]
            });
            print_table(["KEY", "ALGORITHM", "KIND", "CREATED", "STATE"], rows);
        }
        Command::Rotate { target } => {
            let made = target.open()?.rotate_key().await?;
            if target.json {
                return print_json(&json!({ "made": made }));
            }
            println!(
                "{}",
                if made { "made a new key" } else { "the next key is published already" }
            );
        }
    }
    Ok(())
}
