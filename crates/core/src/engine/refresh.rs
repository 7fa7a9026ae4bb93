//! Refreshing: the usual case in one store call, and what else can be found.

use super::{Engine, access::anti_csrf_matches};
use crate::{
    clock::Timestamp,
    error::{Error, GeneralError, TheftKind, UnauthorisedReason},
    event::{EventKind, RevocationReason},
    json::object_from_text,
    policy::{LateRetry, RotationPolicy},
    refresh_token::{RefreshToken, inner_hash},
    rotation::{self, Child, Judgement, PresentedToken, TokenHash, sha256},
    secret::Secret,
    service::{AntiCsrf, RefreshRequest},
    session::IssuedSession,
    store::{SessionRecord, Store},
};

/// Every miss means that another request moved the session on; that many in a row mean a storm.
const ATTEMPTS: usize = 16;

/// A refresh token that was opened.
struct Presented<'a> {
    text: &'a str,
    token: RefreshToken,
    hashes: PresentedToken,
}

impl<S: Store> Engine<S> {
    pub(super) async fn refresh_session(
        &self,
        request: RefreshRequest<'_>,
    ) -> Result<IssuedSession, Error> {
        let now = self.now();
        let text = request.refresh_token;
        let token =
            self.refresh_token_key.open(text).ok_or(UnauthorisedReason::RefreshTokenInvalid)?;
        if let (AntiCsrf::Token(given), Some(expected)) =
            (request.anti_csrf, token.anti_csrf_token.as_deref())
            && !anti_csrf_matches(Some(expected), given)
        {
            return Err(UnauthorisedReason::AntiCsrfMismatch.into());
        }
        let hashes = token.presented(text);
        let presented = Presented { text, token, hashes };
        // A key that is due is made now: after the rotation, a failure would cost a retry.
        self.signing_key(now).await?;
        for _ in 0..ATTEMPTS {
            if let Some(outcome) = self.try_refresh(&presented, &request, now).await? {
                return Ok(outcome);
            }
        }
        Err(GeneralError::TooMuchContention.into())
    }

    /// One attempt; `None` when the session was moved on meanwhile and must be looked at again.
    async fn try_refresh(
        &self,
        presented: &Presented<'_>,
        request: &RefreshRequest<'_>,
        now: Timestamp,
    ) -> Result<Option<IssuedSession>, Error> {
        let RotationPolicy::Idempotent { grace } = self.policy.rotation;
        let handle = &presented.token.handle;
        let (child, child_text, sealed) = self.new_child(presented, request, now)?;

        let validity = self.policy.refresh_token_validity;
        let rotation = rotation::propose(&presented.hashes, sealed.clone(), validity, now);
        if let Some(row) = self.store().rotate_session(&self.app, handle, rotation).await? {
            return self.refreshed(&row, child_text, child, now).await.map(Some);
        }

        let Some(row) = self.store().get_session(&self.app, handle).await? else {
            return Err(UnauthorisedReason::SessionNotFound.into());
        };
        match rotation::judge(&presented.hashes, &row, grace, now) {
            Judgement::Rotate => Ok(None),
            Judgement::WithinGrace => {
                if let Some((child_text, child)) = self.sealed_child(presented, &row) {
                    return self.reissued(&row, child_text, child, now).await.map(Some);
                }
                let rotation = rotation::replace_child(&presented.hashes, &row, sealed, now);
                match self.store().rotate_session(&self.app, handle, rotation).await? {
                    Some(row) => self.refreshed(&row, child_text, child, now).await.map(Some),
                    None => Ok(None),
                }
            }
            Judgement::LateRetry => Err(self.end(row, TheftKind::LateRetry).await?),
            Judgement::Stale => Err(self.end(row, TheftKind::Stale).await?),
            Judgement::Expired => Err(UnauthorisedReason::SessionExpired.into()),
        }
    }

    fn new_child(
        &self,
        presented: &Presented<'_>,
        request: &RefreshRequest<'_>,
        now: Timestamp,
    ) -> Result<(RefreshToken, Secret, Child), GeneralError> {
        let child = RefreshToken {
            handle: presented.token.handle.clone(),
            user_id: presented.token.user_id.clone(),
            parent: Some(sha256(presented.text.as_bytes())),
            anti_csrf_token: match &presented.token.anti_csrf_token {
                // Front-ends keep it in several places, one after the other: a change would leave
                // an old one beside the new for a moment.
                Some(known) if request.new_anti_csrf_token => Some(known.clone()),
                _ => self.new_anti_csrf_token(request.new_anti_csrf_token)?,
            },
            issued_at: now,
        };
        let text = self.refresh_token_key.seal(&child, self.random())?;
        let hash = TokenHash::of_inner(&inner_hash(text.expose()));
        let sealed = self.refresh_token_key.seal_child(
            presented.text,
            &child.handle,
            &text,
            self.random(),
        )?;
        Ok((child, text, Child { hash, sealed }))
    }

    /// The child that the row keeps for the presented token, if it is there and current.
    fn sealed_child(
        &self,
        presented: &Presented<'_>,
        row: &SessionRecord,
    ) -> Option<(Secret, RefreshToken)> {
        let sealed = row.sealed_child.as_deref()?;
        let text = self.refresh_token_key.open_child(presented.text, &row.handle, sealed)?;
        let is_current = TokenHash::of_inner(&inner_hash(text.expose())) == row.refresh_token_hash;
        let child = self.refresh_token_key.open(text.expose())?;
        is_current.then_some((text, child))
    }

    async fn refreshed(
        &self,
        row: &SessionRecord,
        child_text: Secret,
        child: RefreshToken,
        now: Timestamp,
    ) -> Result<IssuedSession, Error> {
        self.tell(&row.handle, &row.user_id, EventKind::Refreshed);
        let jwt_payload = object_from_text(&row.jwt_payload)?;
        self.issue(row, jwt_payload, child_text, child, now).await
    }

    async fn reissued(
        &self,
        row: &SessionRecord,
        child_text: Secret,
        child: RefreshToken,
        now: Timestamp,
    ) -> Result<IssuedSession, Error> {
        self.tell(&row.handle, &row.user_id, EventKind::Reissued);
        let jwt_payload = object_from_text(&row.jwt_payload)?;
        self.issue(row, jwt_payload, child_text, child, now).await
    }

    /// Ends the session for a replayed token, and gives the error that says so. However many
    /// replays come at once, one ends it and the others find it gone.
    async fn end(&self, row: SessionRecord, kind: TheftKind) -> Result<Error, Error> {
        let removed =
            self.store().remove_sessions(&self.app, std::slice::from_ref(&row.handle)).await?;
        if removed.is_empty() {
            return Ok(UnauthorisedReason::SessionNotFound.into());
        }
        if kind == TheftKind::LateRetry && self.policy.late_retry == LateRetry::Unauthorised {
            let reason = RevocationReason::LateRetry;
            self.tell(&row.handle, &row.user_id, EventKind::Revoked { reason });
            return Ok(UnauthorisedReason::LateRetry.into());
        }
        self.tell(&row.handle, &row.user_id, EventKind::TheftDetected { kind });
        Ok(Error::TokenTheftDetected { session_handle: row.handle, user_id: row.user_id, kind })
    }
}
