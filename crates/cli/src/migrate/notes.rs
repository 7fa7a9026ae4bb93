//! What is noted in both stores, so that a move is known again.

use std::collections::BTreeSet;

use anyhow::Context as _;
use aws_lc_rs::digest::{SHA256, digest};
use sessile::{
    random::{RandomSource as _, SystemRandom},
    store::StoredSecret,
};

/// A name for a move, which no other one has.
fn new_name() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    SystemRandom.fill(&mut bytes).context("there is no randomness")?;
    Ok(hexadecimal(&bytes))
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

/// What the target keeps: by which move sessions came to it last, and until that is finished, what was
/// put there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Arrival {
    pub(super) name: String,
    pub(super) is_unfinished: bool,
    /// The fingerprints of secrets.
    pub(super) put: BTreeSet<String>,
}

impl Arrival {
    /// That of a move which is about to begin, with what an earlier one may have left.
    pub(super) fn after(text: Option<&str>) -> anyhow::Result<Self> {
        let before = Self::from_text(text.unwrap_or_default());
        Ok(Self { name: new_name()?, ..before })
    }

    pub(super) fn finished(name: &str) -> Self {
        Self { name: name.to_owned(), is_unfinished: false, put: BTreeSet::new() }
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = self.name.clone();
        if self.is_unfinished {
            text.push_str(UNFINISHED);
            for fingerprint in &self.put {
                text.push(' ');
                text.push_str(fingerprint);
            }
        }
        text
    }

    pub(super) fn from_text(text: &str) -> Self {
        match text.split_once(UNFINISHED) {
            Some((name, put)) => Self {
                name: name.to_owned(),
                is_unfinished: true,
                put: put.split_whitespace().map(str::to_owned).collect(),
            },
            None => Self::finished(text),
        }
    }
}

const UNFINISHED: &str = " unfinished";

/// By which a secret is known again. It is as random as the secret is, so it gives nothing away.
pub(super) fn fingerprint(secret: &StoredSecret) -> String {
    hexadecimal(digest(&SHA256, secret.value.as_bytes()).as_ref())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_as_they_were_written() {
        let departure = Departure { name: "0a", place: "database 'shop' at one:1" };
        let text = departure.to_text();
        assert_eq!(Departure::from_text(&text), Some(departure));
        for put in [&[][..], &["1b", "2c"]] {
            let put = put.iter().map(|text| (*text).to_owned()).collect();
            let arrival = Arrival { name: "0a".into(), is_unfinished: true, put };
            assert_eq!(Arrival::from_text(&arrival.to_text()), arrival);
        }
        let finished = Arrival::finished("0a");
        assert_eq!(Arrival::from_text(&finished.to_text()), finished);
    }
}
