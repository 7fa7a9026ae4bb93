//! What came of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use sessile_hostile_tokens::HostileToken;

use crate::{
    explanation::Class,
    peers::{Difference, Peer, Verdict},
};

/// Counts, and the tokens that nobody can explain.
#[derive(Debug, Default)]
pub(crate) struct Report {
    tokens: usize,
    accepted: BTreeMap<String, usize>,
    splits: BTreeMap<(Class, String, Difference), usize>,
    /// What a verifier said where it alone refused, for each class.
    reasons: BTreeMap<(Class, String), BTreeSet<String>>,
    unexplained: Vec<String>,
}

const US: &str = "Sessile";

impl Report {
    pub(crate) fn add_ours(&mut self, verdict: &Verdict) {
        self.tokens += 1;
        *self.accepted.entry(US.to_owned()).or_default() += usize::from(verdict.accepted);
    }

    pub(crate) fn add_theirs(&mut self, peer: &Peer, verdict: &Verdict) {
        *self.accepted.entry(peer.version.clone()).or_default() += usize::from(verdict.accepted);
    }

    pub(crate) fn add_split(
        &mut self,
        peer: &str,
        difference: Difference,
        class: Class,
        token: &HostileToken,
        ours: &Verdict,
        theirs: &Verdict,
    ) {
        *self.splits.entry((class, peer.to_owned(), difference)).or_default() += 1;
        if !theirs.accepted {
            let reason: String = theirs.reason.chars().take(60).collect();
            self.reasons.entry((class, peer.to_owned())).or_default().insert(reason);
        }
        if class == Class::Unexplained {
            self.unexplained.push(format!(
                "{peer}: {difference:?}, {}: ours {:?}, theirs {:?}\n  {}",
                token.class, ours.reason, theirs.reason, token.text
            ));
        }
    }

    pub(crate) fn unexplained(&self) -> usize {
        self.unexplained.len()
    }

    pub(crate) fn accepted_by_us(&self) -> usize {
        self.accepted.get(US).copied().unwrap_or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{} tokens", self.tokens)?;
        for (name, number) in &self.accepted {
            writeln!(formatter, "  accepted by {name:14} {number:>6}")?;
        }
        for ((class, peer, difference), number) in &self.splits {
            let name = class.name();
            writeln!(formatter, "  {name:26} {peer:14} {difference:?} {number:>6}")?;
            let reasons = self.reasons.get(&(*class, peer.clone()));
            for reason in reasons.into_iter().flatten().take(4) {
                writeln!(formatter, "      {reason}")?;
            }
        }
        for text in self.unexplained.iter().take(20) {
            writeln!(formatter, "unexplained: {text}")?;
        }
        Ok(())
    }
}
