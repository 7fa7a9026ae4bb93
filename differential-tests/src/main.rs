//! Ten thousand hostile tokens through Sessile, PyJWT and jose: the same tokens, keys and time.
//! Every split verdict must fall into a class of the table in README.md.

#![forbid(unsafe_code)]

mod explanation;
mod peers;
mod report;
mod tokens;

use std::{fs, path::PathBuf};

use anyhow::{Context as _, ensure};
use clap::Parser;
use sessile_mutation::Dice;

use crate::{explanation::Class, report::Report, tokens::Engines};

/// When all tokens are verified, in seconds since the Unix epoch.
const NOW: i64 = 1_800_000_000;

#[derive(Debug, Parser)]
struct Arguments {
    /// How many tokens.
    #[arg(long, default_value_t = 10_000)]
    tokens: usize,
    /// The Python that has PyJWT.
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// Where the tokens and the peers' verdicts are put.
    #[arg(long, default_value = "target/differential-tests")]
    folder: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    fs::create_dir_all(&arguments.folder)?;
    let engines = Engines::start().await?;
    let mut dice = Dice::seeded();
    let tokens = engines.hostile_tokens(arguments.tokens, &mut dice);
    let texts: Vec<&str> = tokens.iter().map(|token| token.text.as_str()).collect();
    let ours = engines.verdicts(&texts).await?;
    let work = engines.work(&texts).await?;
    let peers = [
        peers::pyjwt(&arguments.python, &arguments.folder, &work).context("PyJWT")?,
        peers::jose(&arguments.folder, &work).context("jose")?,
    ];
    let mut report = Report::default();
    for (index, token) in tokens.iter().enumerate() {
        report.add_ours(&ours[index]);
        for peer in &peers {
            let theirs = &peer.verdicts[index];
            report.add_theirs(peer, theirs);
            if let Some(difference) = ours[index].difference(theirs) {
                let class = Class::of(&token.text, &ours[index], theirs, NOW);
                report.add_split(&peer.version, difference, class, token, &ours[index], theirs);
            }
        }
    }
    print!("{report}");
    ensure!(report.unexplained() == 0, "{} verdicts are not explained", report.unexplained());
    ensure!(report.accepted_by_us() > 100, "too few tokens were good for the test to mean much");
    Ok(())
}
