//! What `Idempotent` promises to clients, held against what they are answered, whatever the model
//! says.
//!
//! Under `Idempotent` alone the refresh tokens of a session are a line: each generation is one
//! token, which every holder of the one before was given.

use sessile_core::{TheftKind, rotation::TokenHash, store::SessionRecord};

use crate::{
    outcomes::Outcome,
    steps::{ABSOLUTE, GRACE, IDLE},
    support::stored_hash,
};

/// What a client may expect of a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Claim {
    /// It is of the newest generation.
    Newest,
    /// It is of the generation before, whose window lasts.
    InWindow,
    /// It is of the generation before, whose window is over.
    Late,
    /// It is older.
    Old,
}

/// What somebody was told who presented a token, and what became of the row.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) outcome: Outcome,
    pub(crate) child: Option<&'a str>,
    pub(crate) before: Option<&'a SessionRecord>,
    pub(crate) after: Option<&'a SessionRecord>,
    pub(crate) now: u64,
    pub(crate) late_is_theft: bool,
}

/// One session's.
#[derive(Debug)]
pub(crate) struct Promises {
    /// One token each, the oldest first.
    generations: Vec<TokenHash>,
    created_at: u64,
    newest_since: u64,
    has_ended: bool,
}

impl Promises {
    pub(crate) fn at_login(refresh_token: &str, now: u64) -> Self {
        let generations = vec![stored_hash(refresh_token)];
        Self { generations, created_at: now, newest_since: now, has_ended: false }
    }

    pub(crate) fn claim(&self, refresh_token: &str, now: u64) -> Claim {
        let hash = stored_hash(refresh_token);
        let position = self.generations.iter().position(|known| *known == hash).unwrap();
        match self.generations.len() - 1 - position {
            0 => Claim::Newest,
            1 if now <= self.newest_since + GRACE => Claim::InWindow,
            1 => Claim::Late,
            _ => Claim::Old,
        }
    }

    pub(crate) fn is_over(&self, now: u64) -> bool {
        now > (self.newest_since + IDLE).min(self.created_at + ABSOLUTE)
    }

    pub(crate) fn newest(&self) -> TokenHash {
        self.generations[self.generations.len() - 1]
    }

    /// Takes down which token is the newest now.
    pub(crate) fn follow(&mut self, newest: TokenHash, now: u64) {
        if newest != self.newest() {
            self.generations.push(newest);
            self.newest_since = now;
        }
    }

    /// Ends the session, which happens once.
    pub(crate) fn end(&mut self) {
        assert!(!self.has_ended, "a session ends once");
        self.has_ended = true;
    }

    /// Fails where a promise to who presented the token was not kept.
    pub(crate) fn check(&mut self, presented: &str, answer: &Answer<'_>) {
        let &Answer { outcome, child, before, after, now, late_is_theft } = answer;
        if before.is_none() {
            assert!(matches!(outcome, Outcome::NotFound | Outcome::Fault));
            return;
        }
        if self.is_over(now) {
            assert!(matches!(outcome, Outcome::SessionExpired | Outcome::Fault));
            return;
        }
        let claim = self.claim(presented, now);
        let ended = match claim {
            Claim::Newest | Claim::InWindow => {
                let good = [Outcome::NewChild, Outcome::SameChild, Outcome::Fault];
                assert!(good.contains(&outcome), "no honest client is turned away: {outcome:?}");
                let newest = self.newest();
                let row = after.unwrap();
                self.follow(row.refresh_token_hash, now);
                assert!(claim == Claim::Newest || self.newest() == newest, "a retry moves nothing");
                if let Some(child) = child {
                    assert!(stored_hash(child) == self.newest(), "everybody gets the same child");
                }
                return;
            }
            Claim::Late => Outcome::Ended(TheftKind::LateRetry, late_is_theft),
            Claim::Old => Outcome::Ended(TheftKind::Stale, true),
        };
        assert!(outcome == ended || outcome == Outcome::Fault, "{claim:?}: {outcome:?}");
        assert!(after.is_none() || outcome == Outcome::Fault, "a replay ends the session");
    }
}
