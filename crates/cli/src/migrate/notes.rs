//! What is noted in both stores, so that a move is known again.

use std::fmt::Write as _;

use anyhow::Context as _;
use sessile::random::{RandomSource as _, SystemRandom};

/// A name for a move, which no other one has.
pub(super) fn new_name() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    SystemRandom.fill(&mut bytes).context("there is no randomness")?;
    let mut name = String::new();
    for byte in bytes {
        write!(name, "{byte:02x}")?;
    }
    Ok(name)
}

/// What the source keeps: by which move its sessions went, and where to, for people.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Departure<'a> {
    pub(super) name: &'a str,
    pub(super) place: &'a str,
}

impl<'a> Departure<'a> {
    pub(super) fn to_text(&self) -> String {
        format!("{} {}", self.name, self.place)
    }

    pub(super) fn from_text(text: &'a str) -> Option<Self> {
        let (name, place) = text.split_once(' ')?;
        Some(Self { name, place })
    }
}

/// By which move sessions came to the target last.
pub(super) fn name_of_arrival(text: &str) -> &str {
    text
}
