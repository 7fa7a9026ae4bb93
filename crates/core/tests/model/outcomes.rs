//! What a call is answered, in the words of the model.

use sessile_core::{
    Error, TheftKind, TryRefreshReason, UnauthorisedReason,
    event::{EventKind, RevocationReason},
};

/// What a call is expected to say, and what it said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    NewChild,
    SameChild,
    Accepted,
    /// As `Accepted`, and whether the stored payload is another one.
    AcceptedWith(bool),
    Replaced,
    RotatedOut,
    Expired,
    SessionExpired,
    NotFound,
    /// The session ends, and is it called a theft?
    Ended(TheftKind, bool),
    /// A theft that ends nothing.
    Reported,
    Fault,
}

pub(crate) fn outcome_of_error(error: &Error) -> Outcome {
    match error {
        Error::Unauthorised { reason } => match reason {
            UnauthorisedReason::SessionNotFound => Outcome::NotFound,
            UnauthorisedReason::SessionExpired => Outcome::SessionExpired,
            UnauthorisedReason::RotatedOut => Outcome::RotatedOut,
            UnauthorisedReason::LateRetry => Outcome::Ended(TheftKind::LateRetry, false),
            UnauthorisedReason::OrphanedBranch => Outcome::Ended(TheftKind::OrphanedBranch, false),
            other => panic!("nothing that the model knows: {other}"),
        },
        Error::TryRefreshToken { reason: TryRefreshReason::Expired } => Outcome::Expired,
        Error::TokenTheftDetected { kind, session_ended: true, .. } => Outcome::Ended(*kind, true),
        Error::TokenTheftDetected { kind: TheftKind::Stale, .. } => Outcome::Reported,
        Error::General(_) => Outcome::Fault,
        other => panic!("nothing that the model knows: {other}"),
    }
}

/// What is told of a refresh that ended so.
pub(crate) fn events_of(outcome: Outcome) -> Vec<EventKind> {
    match outcome {
        Outcome::NewChild => vec![EventKind::Refreshed],
        Outcome::SameChild => vec![EventKind::Reissued],
        Outcome::Ended(kind, true) => vec![EventKind::TheftDetected { kind }],
        Outcome::Ended(TheftKind::LateRetry, false) => {
            vec![EventKind::Revoked { reason: RevocationReason::LateRetry }]
        }
        Outcome::Ended(_, false) => {
            vec![EventKind::Revoked { reason: RevocationReason::OrphanedBranch }]
        }
        Outcome::Reported => vec![EventKind::TheftDetected { kind: TheftKind::Stale }],
        _ => Vec::new(),
    }
}
