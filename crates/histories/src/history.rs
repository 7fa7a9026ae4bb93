//! What was called and answered, when, and what happened.

use std::{collections::HashMap, fmt, fs, io, path::Path};

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use sessile_core::{
    event::{EventKind, RevocationReason},
    policy::{Policy, RotationPolicy},
    rotation::TokenHash,
};

use crate::signature::Signature;

/// A refresh token by its hash, as the store keeps it: 16 hexadecimal digits of it.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct TokenId(String);

impl TokenId {
    /// Of the token itself.
    pub fn of(token: &str) -> Self {
        let inner = hexadecimal(digest(&SHA256, token.as_bytes()).as_ref());
        Self::of_hash(&TokenHash::of_inner(&inner))
    }

    /// Of what the store keeps.
    pub fn of_hash(hash: &TokenHash) -> Self {
        Self(hexadecimal(&hash.as_bytes()[..8]))
    }

    #[cfg(test)]
    pub(crate) fn named(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Names an operation in all processes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct OperationId {
    /// The process that called.
    pub process: u32,
    /// Which of its calls it was.
    pub number: u32,
}

impl fmt::Display for OperationId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.process, self.number)
    }
}

/// What was asked.
///
/// Session data is a list of the writes that made it: a login and an overwrite begin a list with
/// their own name, and whoever changes the data adds its name at the end. So every value tells
/// what it was made from.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields are what they are called")]
pub enum Call {
    /// Creates a session.
    LogIn { user: String },
    /// Presents a refresh token.
    Refresh { handle: String, token: TokenId },
    /// Verifies an access token, with [`Revocation::Immediate`](sessile_core::policy::Revocation).
    /// `token` is the refresh token that came with it.
    Verify { handle: String, token: TokenId, signature: Signature },
    /// Presents an access token that names a key which nobody has made.
    VerifyForged { key: String },
    /// Reads the public keys, as whoever verifies access tokens elsewhere does.
    ReadKeys,
    /// Removes sessions that expired and keys that retired.
    Sweep,
    /// Ends a session by its handle.
    Revoke { handle: String },
    /// Ends all sessions of a user, but one.
    RevokeAll { user: String, except: Option<String> },
    /// Lists the sessions of a user.
    List { user: String },
    /// Reads the data of a session.
    ReadData { handle: String },
    /// Replaces the data by a list that begins with this operation.
    Overwrite { handle: String },
    /// Adds this operation to the data, again if another was first.
    Append { handle: String },
    /// Replaces the data by `base` and this operation, if it still is `base`.
    CompareAndSwap { handle: String, base: Vec<String> },
}

impl Call {
    /// The one session that it is about.
    pub fn handle(&self) -> Option<&str> {
        match self {
            Self::LogIn { .. }
            | Self::RevokeAll { .. }
            | Self::List { .. }
            | Self::VerifyForged { .. }
            | Self::ReadKeys
            | Self::Sweep => None,
            Self::Refresh { handle, .. }
            | Self::Verify { handle, .. }
            | Self::Revoke { handle }
            | Self::ReadData { handle }
            | Self::Overwrite { handle }
            | Self::Append { handle }
            | Self::CompareAndSwap { handle, .. } => Some(handle),
        }
    }
}

/// What was answered.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields are what they are called")]
pub enum Outcome {
    /// A session was created.
    LoggedIn { handle: String, token: TokenId },
    /// The user has as many sessions as may be.
    TooManySessions,
    /// The next refresh token was given.
    Refreshed { token: TokenId },
    /// The access token is good, and its session is there. Where it was `replaced`, the refresh
    /// token that came with it is current.
    Verified { replaced: bool },
    /// The access token is not good by itself.
    Refused { reason: String },
    /// The access token is of a generation that was rotated out.
    RotatedOut,
    /// These are the public keys, which may be cached for so many milliseconds.
    Keys { keys: Vec<String>, max_age: u64 },
    /// Whatever was over is removed.
    Swept,
    /// These sessions were ended.
    Revoked { handles: Vec<String> },
    /// These are the sessions of the user.
    Listed { handles: Vec<String> },
    /// This is the data, after the change where there was one.
    Data { writes: Vec<String> },
    /// The data was overwritten.
    Overwritten,
    /// The data is not what it was; nothing was changed.
    Conflict,
    /// There is no such session (any more).
    SessionNotFound,
    /// The refresh token was a replaced one, and the session was ended for it: as a theft, or as
    /// no more than unauthorised.
    Ended { theft: bool, kind: String },
    /// The refresh token was a replaced one, and the session goes on.
    TheftReported { kind: String },
    /// The store was away, and what the call did is unknown.
    Unavailable { error: String },
    /// Something else went wrong, and what the call did is unknown.
    Failed { error: String },
}

/// A call, with its answer if there was one.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its name.
    pub id: OperationId,
    /// Which client of the process called.
    pub client: u32,
    /// When it was called, in nanoseconds.
    pub invoked_at: u64,
    /// What was asked.
    pub call: Call,
    /// What was answered, and when; `None` if the client went away or the process died before.
    pub answer: Option<Answer>,
}

/// The answer to a call.
#[derive(Clone, Debug)]
pub struct Answer {
    /// When it was there, in nanoseconds.
    pub at: u64,
    /// What it was.
    pub outcome: Outcome,
}

impl Operation {
    /// What the call is known to have done, and by when. A failure says as little as no answer.
    pub fn known(&self) -> Option<(u64, &Outcome)> {
        let Answer { at, outcome } = self.answer.as_ref()?;
        let says_little = matches!(outcome, Outcome::Unavailable { .. } | Outcome::Failed { .. });
        (!says_little).then_some((*at, outcome))
    }

    /// When it was answered, or never.
    pub fn answered_at(&self) -> u64 {
        self.known().map_or(NEVER, |(at, _)| at)
    }
}

/// Later than everything.
pub const NEVER: u64 = u64::MAX;

/// What happened to a session, as the engine told it.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Told {
    /// It was created.
    Created,
    /// Its refresh token was exchanged.
    Refreshed,
    /// Its previous refresh token was given the same next one again.
    Reissued,
    /// It was ended for a theft of this kind.
    TheftDetected(String),
    /// It was ended for this reason.
    Revoked(String),
}

impl Told {
    /// Whether the session began with it.
    pub fn is_created(&self) -> bool {
        *self == Self::Created
    }

    /// Whether the session ended with it.
    pub fn is_end(&self, policy: &Policy) -> bool {
        match self {
            Self::TheftDetected(_) => policy.rotation != RotationPolicy::OnUse,
            Self::Revoked(_) => true,
            _ => false,
        }
    }

    /// Whether the session was ended to make room for another one.
    pub fn is_eviction(&self) -> bool {
        matches!(self, Self::Revoked(reason) if *reason == RevocationReason::Evicted.code())
    }
}

impl From<EventKind> for Told {
    fn from(kind: EventKind) -> Self {
        match kind {
            EventKind::Created => Self::Created,
            EventKind::Refreshed => Self::Refreshed,
            EventKind::Reissued => Self::Reissued,
            EventKind::TheftDetected { kind } => Self::TheftDetected(kind.code().to_owned()),
            EventKind::Revoked { reason } => Self::Revoked(reason.code().to_owned()),
            // A kind that is not known here fails the comparison with the answer.
            other => Self::Revoked(format!("{other:?}")),
        }
    }
}

/// An event, and the operation that caused it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RecordedEvent {
    /// The operation in whose task it was told.
    pub operation: OperationId,
    /// When it was told, in nanoseconds.
    pub at: u64,
    /// The session.
    pub handle: String,
    /// Whose session it is.
    pub user: String,
    /// What happened.
    pub kind: Told,
}

/// A line of a process's record.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) enum Line {
    Invoked { id: OperationId, client: u32, at: u64, call: Call },
    Answered { id: OperationId, at: u64, outcome: Outcome },
    Event(RecordedEvent),
    KeysRead { by: OperationId },
}

/// All operations and events of a run, of all processes.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The operations, in the order in which they were called.
    pub operations: Vec<Operation>,
    /// The events, in the order in which they were told.
    pub events: Vec<RecordedEvent>,
    /// The operations that had the signing keys read from the store, once for each time.
    pub key_reads: Vec<OperationId>,
}

impl History {
    /// Reads the records that the processes of a run have left.
    ///
    /// # Errors
    /// When a record cannot be read, or has a line that is none. A last line that its process
    /// did not finish is left out: nothing had followed from it.
    pub fn read(records: &[impl AsRef<Path>]) -> io::Result<Self> {
        let mut history = Self::default();
        for record in records {
            history.add(&fs::read_to_string(record)?)?;
        }
        history.operations.sort_by_key(|operation| operation.invoked_at);
        history.events.sort_by_key(|event| event.at);
        Ok(history)
    }

    fn add(&mut self, record: &str) -> io::Result<()> {
        let finished = record.rsplit_once('\n').map_or("", |(lines, _)| lines);
        let mut places = HashMap::new();
        for line in finished.lines() {
            match serde_json::from_str(line)? {
                Line::Invoked { id, client, at, call } => {
                    places.insert(id, self.operations.len());
                    let operation = Operation { id, client, invoked_at: at, call, answer: None };
                    self.operations.push(operation);
                }
                Line::Answered { id, at, outcome } => {
                    let place = places.get(&id).and_then(|place| self.operations.get_mut(*place));
                    let missing = || io::Error::other(format!("{id} is answered but not called"));
                    place.ok_or_else(missing)?.answer = Some(Answer { at, outcome });
                }
                Line::Event(event) => self.events.push(event),
                Line::KeysRead { by } => self.key_reads.push(by),
            }
        }
        Ok(())
    }

    /// The failures that were answered, other than that the store was away: there should be none.
    pub fn failures(&self) -> impl Iterator<Item = (OperationId, &str)> {
        self.answers().filter_map(|(id, answer)| match &answer.outcome {
            Outcome::Failed { error } | Outcome::Unavailable { error } => Some((id, &**error)),
            _ => None,
        })
    }

    /// The failures other than that the store was away: where it may be, there is none.
    pub fn unexplained_failures(&self) -> impl Iterator<Item = (OperationId, &str)> {
        self.answers().filter_map(|(id, answer)| match &answer.outcome {
            Outcome::Failed { error } => Some((id, &**error)),
            _ => None,
        })
    }

    fn answers(&self) -> impl Iterator<Item = (OperationId, &Answer)> {
        self.operations.iter().filter_map(|one| Some((one.id, one.answer.as_ref()?)))
    }

    /// What is known of every operation that was answered: when, and what.
    pub(crate) fn known(&self) -> impl Iterator<Item = (&Operation, u64, &Outcome)> {
        self.operations.iter().filter_map(|operation| {
            let (at, outcome) = operation.known()?;
            Some((operation, at, outcome))
        })
    }

    /// The operations whose outcome is unknown.
    pub(crate) fn unknown(&self) -> impl Iterator<Item = &Operation> {
        self.operations.iter().filter(|operation| operation.known().is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVOKED: &str = r#"{"Invoked":{"id":{"process":1,"number":0},"client":2,"at":5,"call":{"Revoke":{"handle":"a"}}}}"#;
    const ANSWERED: &str =
        r#"{"Answered":{"id":{"process":1,"number":0},"at":9,"outcome":"SessionNotFound"}}"#;

    fn read(record: &str) -> io::Result<History> {
        let mut history = History::default();
        history.add(record)?;
        Ok(history)
    }

    #[test]
    fn a_record_is_read_up_to_where_its_process_died() {
        let whole = read(&format!("{INVOKED}\n{ANSWERED}\n")).unwrap();
        assert_eq!(whole.operations[0].known(), Some((9, &Outcome::SessionNotFound)));
        for end in [0, 20, ANSWERED.len()] {
            let torn = read(&format!("{INVOKED}\n{}", &ANSWERED[..end])).unwrap();
            assert_eq!(torn.operations.len(), 1);
            assert_eq!(torn.operations[0].answered_at(), NEVER);
        }
        assert!(read(&INVOKED[..30]).unwrap().operations.is_empty());
    }

    #[test]
    fn a_record_that_makes_no_sense_is_refused() {
        assert!(read(&format!("{ANSWERED}\n")).is_err());
        assert!(read(&format!("{}\n{ANSWERED}\n", &INVOKED[..30])).is_err());
    }

    #[test]
    fn a_token_is_named_as_the_store_keeps_it() {
        // printf %s token | sha256sum | cut -c-64 | tr -d '\n' | sha256sum
        assert_eq!(TokenId::of("token").to_string(), "db37d21181592000");
    }
}
