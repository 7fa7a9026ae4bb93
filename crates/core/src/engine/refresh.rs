//! Refreshing: the usual case in one store call, and what else can be found.

use super::{Engine, access::anti_csrf_matches};
use crate::{
    clock::Timestamp,
    error::{Error, GeneralError, TheftKind, UnauthorisedReason},
    event::{EventKind, RevocationReason},
    json::object_from_text,
    policy::{LateRetry, RotationPolicy, SigningKeyKind},
    refresh_token::{RefreshToken, inner_hash},
    rotation::{
        self, Child, Judgement, PresentedToken, Rotation, RotationChange, RotationGuard, TokenHash,
        sha256,
    },
    secret::Secret,
    service::{AntiCsrf, RefreshRequest},
    session::IssuedSession,
    store::{SessionRecord, Store},
};

/// Every miss means that another request moved the session on; that many in a row mean a storm.
const ATTEMPTS: usize = 16;

/// The next refresh token, before it is anything.
struct NewChild {
    token: RefreshToken,
    text: Secret,
    sealed: Child,
}

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
            self.refresh_tokens.open(text).ok_or(UnauthorisedReason::RefreshTokenInvalid)?;
        if let (AntiCsrf::Token(given), Some(expected)) =
            (request.anti_csrf, token.anti_csrf_token.as_deref())
            && !anti_csrf_matches(Some(expected), given)
        {
            return Err(UnauthorisedReason::AntiCsrfMismatch.into());
        }
        let hashes = token.presented(text);
        let presented = Presented { text, token, hashes };
        self.check_options(request.issue)?;
        // A key that is due is made now: after the rotation, a failure would cost a retry.
        let kind = request.issue.signing_key_kind.unwrap_or(self.policy.signing_key_kind);
        self.signing_key(kind, now).await?;
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
        let policy = request.rotation.unwrap_or(self.policy.rotation);
        let handle = &presented.token.handle;
        let child_of_presented = Some(sha256(presented.text.as_bytes()));
        let child = self.new_child(presented, child_of_presented, request, now)?;

        // Where a refresh rotates, the usual case is one call, and the row is read on a miss.
        if policy != RotationPolicy::OnUse {
            let validity = self.policy.refresh_token_validity;
            let mut rotation =
                rotation::propose(&presented.hashes, child.sealed.clone(), validity, now);
            rotation.change.use_static_key = use_static_key(request);
            if let Some(row) = self.store().rotate_session(&self.app, handle, rotation).await? {
                return self.refreshed(&row, child, None, request, now).await.map(Some);
            }
        }

        let Some(row) = self.store().get_session(&self.app, handle).await? else {
            return Err(UnauthorisedReason::SessionNotFound.into());
        };
        match rotation::judge(&presented.hashes, &row, policy, now) {
            Judgement::Rotate => Ok(None),
            Judgement::WithinGrace => match self.sealed_child(presented, &row) {
                Some(known) => self.reissued(row, known, request, now).await,
                None if row.previous_refresh_token_hash == Some(presented.hashes.hash) => {
                    self.replace_child(&row, child, request, now).await
                }
                None => {
                    // It is the presented token's sibling, so that it is known as a child of the
                    // previous one should it be displaced in its turn.
                    let parent = presented.token.parent;
                    let sibling = self.new_child(presented, parent, request, now)?;
                    self.replace_child(&row, sibling, request, now).await
                }
            },
            Judgement::ReplaceChild => self.replace_child(&row, child, request, now).await,
            Judgement::HandOut => self.hand_out(presented, row, child, request, now).await,
            Judgement::Promote => {
                let validity = self.policy.refresh_token_validity;
                if let Some(promotion) =
                    rotation::propose_promotion(&presented.hashes, validity, now, now)
                {
                    self.store().rotate_session(&self.app, handle, promotion).await?;
                }
                Ok(None)
            }
            Judgement::Stale if policy == RotationPolicy::OnUse => Err(self.report_theft(row)),
            Judgement::LateRetry => Err(self.end(row, TheftKind::LateRetry).await?),
            Judgement::OrphanedBranch => Err(self.end(row, TheftKind::OrphanedBranch).await?),
            Judgement::Stale => Err(self.end(row, TheftKind::Stale).await?),
            Judgement::Expired => Err(UnauthorisedReason::SessionExpired.into()),
        }
    }

    async fn replace_child(
        &self,
        row: &SessionRecord,
        child: NewChild,
        request: &RefreshRequest<'_>,
        now: Timestamp,
    ) -> Result<Option<IssuedSession>, Error> {
        let mut rotation = rotation::replace_child(row, child.sealed.clone(), now);
        rotation.change.use_static_key = use_static_key(request);
        match self.store().rotate_session(&self.app, &row.handle, rotation).await? {
            Some(row) => self.refreshed(&row, child, None, request, now).await.map(Some),
            None => Ok(None),
        }
    }

    /// Gives a child of the current token, which stays current until the child is used.
    async fn hand_out(
        &self,
        presented: &Presented<'_>,
        row: SessionRecord,
        child: NewChild,
        request: &RefreshRequest<'_>,
        now: Timestamp,
    ) -> Result<Option<IssuedSession>, Error> {
        let Some(mut row) = self.with_wanted_key(row, request, now).await? else {
            return Ok(None);
        };
        let parent = Some(inner_hash(presented.text));
        // Its client is told the expiry that the session has once the child is used.
        row.expires_at = now.plus(self.policy.refresh_token_validity).min(row.ends_at);
        self.refreshed(&row, child, parent, request, now).await.map(Some)
    }

    /// Lets the kind of key that the request names sign for the session, where nothing else of the
    /// row changes; `None` when the session was moved on meanwhile.
    async fn with_wanted_key(
        &self,
        row: SessionRecord,
        request: &RefreshRequest<'_>,
        now: Timestamp,
    ) -> Result<Option<SessionRecord>, Error> {
        let wanted = use_static_key(request);
        if wanted.is_none_or(|wanted| wanted == row.use_static_key) {
            return Ok(Some(row));
        }
        let rotation = Rotation {
            guard: RotationGuard::unmoved(&row, now),
            change: RotationChange {
                current: row.refresh_token_hash,
                sealed_child: row.sealed_child,
                advance: None,
                use_static_key: wanted,
            },
        };
        Ok(self.store().rotate_session(&self.app, &row.handle, rotation).await?)
    }

    fn new_child(
        &self,
        presented: &Presented<'_>,
        parent: Option<[u8; 32]>,
        request: &RefreshRequest<'_>,
        now: Timestamp,
    ) -> Result<NewChild, GeneralError> {
        let policy = request.rotation.unwrap_or(self.policy.rotation);
        let token = RefreshToken {
            handle: presented.token.handle.clone(),
            user_id: presented.token.user_id.clone(),
            parent,
            anti_csrf_token: match &presented.token.anti_csrf_token {
                // Front-ends keep it in several places, one after the other: a change would leave
                // an old one beside the new for a moment. SuperTokens' core changes it.
                Some(known)
                    if request.new_anti_csrf_token
                        && matches!(policy, RotationPolicy::Idempotent { .. }) =>
                {
                    Some(known.clone())
                }
                _ => self.new_anti_csrf_token(request.new_anti_csrf_token)?,
            },
            issued_at: Some(now),
        };
        let text = self.refresh_tokens.seal(&token, self.random())?;
        let hash = TokenHash::of_inner(&inner_hash(text.expose()));
        let sealed =
            self.refresh_tokens.seal_child(presented.text, &token.handle, &text, self.random())?;
        Ok(NewChild { token, text, sealed: Child { hash, sealed } })
    }

    /// The child that the row keeps for the presented token, if it is there and current.
    fn sealed_child(
        &self,
        presented: &Presented<'_>,
        row: &SessionRecord,
    ) -> Option<(Secret, RefreshToken)> {
        let sealed = row.sealed_child.as_deref()?;
        let text = self.refresh_tokens.open_child(presented.text, &row.handle, sealed)?;
        let is_current = TokenHash::of_inner(&inner_hash(text.expose())) == row.refresh_token_hash;
        let child = self.refresh_tokens.open(text.expose())?;
        is_current.then_some((text, child))
    }

    async fn refreshed(
        &self,
        row: &SessionRecord,
        child: NewChild,
        parent: Option<String>,
        request: &RefreshRequest<'_>,
        now: Timestamp,
    ) -> Result<IssuedSession, Error> {
        self.tell(&row.handle, row.user(), EventKind::Refreshed);
        let jwt_payload = object_from_text(&row.jwt_payload)?;
        self.issue(row, jwt_payload, child.text, child.token, parent, request.issue, now).await
    }

    async fn reissued(
        &self,
        row: SessionRecord,
        (text, mut child): (Secret, RefreshToken),
        request: &RefreshRequest<'_>,
        now: Timestamp,
    ) -> Result<Option<IssuedSession>, Error> {
        let Some(row) = self.with_wanted_key(row, request, now).await? else {
            return Ok(None);
        };
        self.tell(&row.handle, row.user(), EventKind::Reissued);
        let jwt_payload = object_from_text(&row.jwt_payload)?;
        child.issued_at = child.issued_at.or(row.rotated_at);
        self.issue(&row, jwt_payload, text, child, None, request.issue, now).await.map(Some)
    }

    /// Ends the session for a replayed token, and gives the error that says so. However many
    /// replays come at once, one ends it and the others find it gone.
    async fn end(&self, row: SessionRecord, kind: TheftKind) -> Result<Error, Error> {
        // What may be a lost answer is a theft where the policy says so.
        let doubtful = match kind {
            TheftKind::LateRetry => {
                Some((RevocationReason::LateRetry, UnauthorisedReason::LateRetry))
            }
            TheftKind::OrphanedBranch => {
                Some((RevocationReason::OrphanedBranch, UnauthorisedReason::OrphanedBranch))
            }
            TheftKind::Stale => None,
        };
        let doubtful = doubtful.filter(|_| self.policy.late_retry == LateRetry::Unauthorised);
        let event = match doubtful {
            Some((reason, _)) => EventKind::Revoked { reason },
            None => EventKind::TheftDetected { kind },
        };
        let end = End { engine: self, row: &row, event };
        let removed =
            self.store().remove_sessions(&self.app, std::slice::from_ref(&row.handle)).await;
        match removed {
            Ok(removed) if !removed.is_empty() => drop(end),
            outcome => {
                // Somebody else has ended it and told so, or nobody knows.
                std::mem::forget(end);
                outcome?;
                return Ok(UnauthorisedReason::SessionNotFound.into());
            }
        }
        match doubtful {
            Some((_, unauthorised)) => Ok(unauthorised.into()),
            None => Ok(theft(row, kind, true)),
        }
    }

    /// Reports a theft and leaves the session to who asked.
    fn report_theft(&self, row: SessionRecord) -> Error {
        let kind = TheftKind::Stale;
        self.tell(&row.handle, row.user(), EventKind::TheftDetected { kind });
        theft(row, kind, false)
    }
}

/// The end of a session for a replayed token, told when this is dropped: also when its caller goes
/// away before the store has answered, or a thief had only to hang up to go unnoticed.
struct End<'a, S: Store> {
    engine: &'a Engine<S>,
    row: &'a SessionRecord,
    event: EventKind,
}

impl<S: Store> Drop for End<'_, S> {
    fn drop(&mut self) {
        self.engine.tell(&self.row.handle, self.row.user(), self.event);
    }
}

fn theft(row: SessionRecord, kind: TheftKind, session_ended: bool) -> Error {
    Error::TokenTheftDetected {
        session_handle: row.handle,
        user_id: row.primary_user_id.unwrap_or_else(|| row.user_id.clone()),
        recipe_user_id: row.user_id,
        kind,
        session_ended,
    }
}

/// What the request says about the kind of signing key, as a store keeps it.
fn use_static_key(request: &RefreshRequest<'_>) -> Option<bool> {
    request.issue.signing_key_kind.map(|kind| kind == SigningKeyKind::Static)
}
