//! The other verifiers, each a program of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::ensure;
use serde::Deserialize;
use serde_json::Value;

/// What a verifier says of a token.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) accepted: bool,
    /// Why not.
    pub(crate) reason: String,
    /// Some claims as the verifier reads them: the text of a JSON object.
    #[serde(default)]
    claims: String,
}

/// In which way another verifier differs.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Difference {
    OnlySessileRefuses,
    OnlySessileAccepts,
    OtherClaims,
}

impl Verdict {
    pub(crate) fn accepted(claims: &Value) -> Self {
        Self { accepted: true, reason: String::new(), claims: claims.to_string() }
    }

    pub(crate) fn refused(reason: &str) -> Self {
        Self { accepted: false, reason: reason.to_owned(), claims: String::new() }
    }

    pub(crate) fn difference(&self, theirs: &Self) -> Option<Difference> {
        match (self.accepted, theirs.accepted) {
            (false, true) => Some(Difference::OnlySessileRefuses),
            (true, false) => Some(Difference::OnlySessileAccepts),
            (true, true) if self.read_claims() != theirs.read_claims() => {
                Some(Difference::OtherClaims)
            }
            _ => None,
        }
    }

    fn read_claims(&self) -> Option<Value> {
        serde_json::from_str(&self.claims).ok()
    }
}

/// A verifier's answer to all tokens.
#[derive(Debug, Deserialize)]
pub(crate) struct Peer {
    /// Its name and version.
    pub(crate) version: String,
    pub(crate) verdicts: Vec<Verdict>,
}

pub(crate) fn pyjwt(python: &Path, folder: &Path, work: &Value) -> anyhow::Result<Peer> {
    run(Command::new(python).arg(script("verify.py")), folder, "pyjwt", work)
}

pub(crate) fn jose(folder: &Path, work: &Value) -> anyhow::Result<Peer> {
    run(Command::new("node").arg(script("verify.mjs")), folder, "jose", work)
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn run(command: &mut Command, folder: &Path, name: &str, work: &Value) -> anyhow::Result<Peer> {
    let input = folder.join("tokens.json");
    let output = folder.join(format!("{name}.json"));
    fs::write(&input, serde_json::to_vec(work)?)?;
    let status = command.arg(&input).arg(&output).status()?;
    ensure!(status.success(), "it ended with {status}");
    let peer: Peer = serde_json::from_slice(&fs::read(&output)?)?;
    let tokens = work["tokens"].as_array().map_or(0, Vec::len);
    ensure!(peer.verdicts.len() == tokens, "{} verdicts", peer.verdicts.len());
    Ok(peer)
}
