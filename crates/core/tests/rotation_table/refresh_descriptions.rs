//! What was observed, in the words of the document.

use sessile_core::{
    Error,
    clock::Timestamp,
    event::EventKind,
    policy::RotationPolicy,
    rotation::{self, Child, Judgement, PresentedToken, TokenHash},
    store::SessionRecord,
};

use crate::{
    lineage::REFRESH_TOKEN_VALIDITY,
    refresh_scene::Held,
    refreshes::{Period, Token},
    support::{MILLISECOND, refresh_token, stored_hash},
};

pub(crate) const OTHER: TokenHash = TokenHash::from_bytes([9; 32]);

impl Held {
    /// What the rules decide by themselves, without an engine.
    pub(crate) fn decision(
        &self,
        policy: RotationPolicy,
        row: &SessionRecord,
        now: Timestamp,
    ) -> String {
        let presented = PresentedToken {
            hash: stored_hash(refresh_token(&self.issued)),
            parent: self.parent.as_deref().map(stored_hash),
        };
        let judgement = rotation::judge(&presented, row, policy, now);
        let validity = REFRESH_TOKEN_VALIDITY;
        let proposal = rotation::propose(&presented, child(), validity, now);
        assert_eq!(
            proposal.guard.holds(row),
            matches!(judgement, Judgement::Rotate | Judgement::HandOut | Judgement::Promote),
            "the guard of the usual case and the judgement agree"
        );
        let promotion = rotation::propose_promotion(&presented, validity, now, now);
        let promotes = promotion.is_some_and(|promotion| promotion.guard.holds(row));
        assert_eq!(promotes, self.token == Token::ChildOfCurrent && row.expires_at >= now);
        if matches!(judgement, Judgement::WithinGrace | Judgement::ReplaceChild) {
            check_replacement(&presented, row, now);
        }
        format!("`{judgement:?}`")
    }
}

/// A replacement within the window is right for this row, and for none that has moved since.
fn check_replacement(presented: &PresentedToken, row: &SessionRecord, now: Timestamp) {
    let guard = rotation::replace_child(row, child(), now).guard;
    assert!(guard.holds(row));
    for moved in [
        SessionRecord { refresh_token_hash: OTHER, ..row.clone() },
        SessionRecord { refresh_token_hash: presented.hash, ..row.clone() },
        SessionRecord { previous_refresh_token_hash: Some(OTHER), ..row.clone() },
        SessionRecord { previous_refresh_token_hash: None, ..row.clone() },
        SessionRecord { expires_at: now.minus(MILLISECOND), ..row.clone() },
    ] {
        assert!(!guard.holds(&moved));
    }
    assert!(guard.holds(&SessionRecord { expires_at: now, ..row.clone() }));
}

fn child() -> Child {
    Child { hash: TokenHash::from_bytes([1; 32]), sealed: vec![1] }
}

pub(crate) fn period(row: &SessionRecord, now: Timestamp) -> Period {
    let milliseconds_since = |then: Timestamp| now.as_millis() - then.as_millis();
    if milliseconds_since(row.expires_at) > 0 {
        Period::Expired
    } else if row.rotated_at.is_some_and(|then| milliseconds_since(then) <= 30_000) {
        Period::InWindow
    } else {
        Period::AfterWindow
    }
}

pub(crate) fn describe_error(
    error: &Error,
    before: Option<&SessionRecord>,
    after: Option<&SessionRecord>,
) -> String {
    let what = match error {
        Error::Unauthorised { reason } => format!("unauthorised `{}`", reason.code()),
        Error::TokenTheftDetected { kind, user_id, session_handle, session_ended, .. } => {
            assert_eq!(*session_ended, after.is_none());
            assert_eq!(user_id, "alice");
            assert_eq!(Some(session_handle), before.map(|row| &row.handle));
            format!("theft `{}`", kind.code())
        }
        other => panic!("not an answer to a refresh token: {other}"),
    };
    if before.is_some() && after.is_none() {
        return format!("{what}; the session ends");
    }
    assert!(before == after, "a refusal changes nothing");
    match error {
        Error::TokenTheftDetected { .. } => format!("{what}; the session goes on"),
        _ => what,
    }
}

pub(crate) fn describe_event(kind: EventKind) -> String {
    match kind {
        EventKind::Revoked { reason } => format!("`Revoked` (`{}`)", reason.code()),
        EventKind::TheftDetected { kind } => format!("`TheftDetected` (`{}`)", kind.code()),
        plain => format!("`{plain:?}`"),
    }
}
