//! What clients were answered, and so what a store must have.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sessile_core::clock::Timestamp;

/// What a client asks for.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Change {
    Create,
    Refresh,
    ReplaceData(u64),
    ReplacePayload(u64),
    Revoke,
}

/// The tokens that a client was answered last.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Tokens {
    pub(crate) refresh: String,
    pub(crate) access: String,
}

/// How a change ended, as its client knows.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) enum Outcome {
    /// It was acknowledged, with these tokens.
    Issued { handle: String, tokens: Tokens },
    /// It was acknowledged.
    Done,
    /// It did not happen.
    Refused,
    /// It may have happened.
    Unknown,
}

#[derive(Clone, Deserialize, Serialize)]
pub(crate) enum Step {
    /// The change is asked for; of a session, unless it creates one.
    Begun { handle: Option<String>, change: Change },
    /// The client has its answer.
    Ended(Outcome),
}

/// Something that happened to a client. Each waits for its answer before it asks for more.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Event {
    pub(crate) user: String,
    /// The time, in milliseconds.
    pub(crate) at: i64,
    pub(crate) step: Step,
}

/// Whether a session goes on.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Life {
    Alive,
    Ended,
    Unknown,
}

/// What is known of a session. Of data and payload, the first number is the last that was
/// acknowledged; the others may have been stored.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Known {
    pub(crate) tokens: Tokens,
    pub(crate) data: Vec<u64>,
    pub(crate) payload: Vec<u64>,
    pub(crate) life: Life,
}

/// What a client knows.
#[derive(Clone, Default, Deserialize, Serialize)]
pub(crate) struct Client {
    pub(crate) sessions: BTreeMap<String, Known>,
    /// How many sessions there may be that it was never told of.
    pub(crate) unknown_sessions: usize,
    pending: Option<(Option<String>, Change)>,
}

impl Client {
    pub(crate) fn apply(&mut self, step: Step) {
        match step {
            Step::Begun { handle, change } => {
                assert!(self.pending.is_none(), "a client asks for one thing at a time");
                self.pending = Some((handle, change));
            }
            Step::Ended(outcome) => {
                let (handle, change) = self.pending.take().unwrap();
                self.end(handle, change, outcome);
            }
        }
    }

    fn end(&mut self, handle: Option<String>, change: Change, outcome: Outcome) {
        let known = handle.and_then(|handle| self.sessions.get_mut(&handle));
        match (outcome, change, known) {
            (Outcome::Refused, ..) | (Outcome::Unknown, Change::Refresh, _) => {}
            (Outcome::Issued { tokens, .. }, _, Some(known)) => known.tokens = tokens,
            (Outcome::Issued { handle, tokens }, _, None) => {
                let known = Known { tokens, data: vec![0], payload: vec![0], life: Life::Alive };
                self.sessions.insert(handle, known);
            }
            (Outcome::Unknown, Change::Create, _) => self.unknown_sessions += 1,
            (Outcome::Done, Change::ReplaceData(number), Some(known)) => known.data = vec![number],
            (Outcome::Done, Change::ReplacePayload(number), Some(known)) => {
                known.payload = vec![number];
            }
            (Outcome::Done, Change::Revoke, Some(known)) => known.life = Life::Ended,
            (Outcome::Unknown, Change::ReplaceData(number), Some(known)) => known.data.push(number),
            (Outcome::Unknown, Change::ReplacePayload(number), Some(known)) => {
                known.payload.push(number);
            }
            (Outcome::Unknown, Change::Revoke, Some(known)) => known.life = Life::Unknown,
            (_, change, _) => unreachable!("{change:?} has no such outcome"),
        }
    }
}

/// What all clients of a store know, by their users.
#[derive(Clone, Default, Deserialize, Serialize)]
pub(crate) struct Ledger {
    pub(crate) clients: BTreeMap<String, Client>,
    /// The latest time of which anybody heard, in milliseconds.
    pub(crate) now: i64,
    /// How many changes were acknowledged.
    pub(crate) acknowledged: usize,
    /// How many did not happen, and their clients know it.
    pub(crate) refused: usize,
    /// How many may have happened.
    pub(crate) unknown: usize,
}

impl Ledger {
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        self.now = self.now.max(event.at);
        match event.step {
            Step::Begun { .. } => {}
            Step::Ended(Outcome::Issued { .. } | Outcome::Done) => self.acknowledged += 1,
            Step::Ended(Outcome::Refused) => self.refused += 1,
            Step::Ended(Outcome::Unknown) => self.unknown += 1,
        }
        self.clients.entry(event.user.clone()).or_default().apply(event.step.clone());
    }

    /// Whether any client waits for an answer.
    pub(crate) fn waits_for_answers(&self) -> bool {
        self.clients.values().any(|client| client.pending.is_some())
    }

    /// Nobody waits for an answer any more: what was asked for may have happened.
    pub(crate) fn interrupt(&mut self) {
        for client in self.clients.values_mut() {
            if client.pending.is_some() {
                client.apply(Step::Ended(Outcome::Unknown));
            }
        }
    }
}
