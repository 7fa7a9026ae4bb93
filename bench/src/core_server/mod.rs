//! `sessile serve` under load, and what its HTTP costs beside the engine called directly.

mod client;
mod cost;
mod load;
mod process;

use std::path::{Path, PathBuf};

use anyhow::ensure;
use clap::Args;
use sessile_bench::race::Effort;

/// How the server is loaded.
#[derive(Args, Clone, Debug)]
pub(crate) struct LoadArguments {
    /// The program that is measured [default: `sessile` beside this program]
    #[arg(long)]
    program: Option<PathBuf>,
    /// Connections that are open at once
    #[arg(long, default_value_t = 256)]
    connections: usize,
    /// How long the load lasts, in seconds
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

pub(crate) fn measure(
    effort: Effort,
    folder: &Path,
    arguments: &LoadArguments,
) -> anyhow::Result<()> {
    let program = match &arguments.program {
        Some(program) => program.clone(),
        None => std::env::current_exe()?.with_file_name("sessile"),
    };
    ensure!(
        program.is_file(),
        "{} is not there; build it with: cargo build --release -p sessile-cli",
        program.display()
    );
    load::measure(effort, folder, &program, arguments)?;
    cost::measure(effort, &program)
}
