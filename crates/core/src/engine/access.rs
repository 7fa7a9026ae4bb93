//! Creation and verification.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::Engine;
use crate::{
    access_token::{ReadError, check_payload, read},
    clock::Timestamp,
    error::{Error, GeneralError, TryRefreshReason, UnauthorisedReason},
    event::{EventKind, RevocationReason},
    identifier::SessionHandle,
    json::{data_to_text, payload_to_text},
    policy::{Revocation, RotationPolicy, SigningKeyKind},
    refresh_token::{RefreshToken, inner_hash},
    rotation::TokenHash,
    secret::Secret,
    service::{AntiCsrf, NewSession, VerifyRequest},
    session::{IssuedSession, VerifiedSession},
    store::{LimitedInsertion, Owner, SessionRecord, Store},
};

impl<S: Store> Engine<S> {
    pub(super) async fn create(&self, new: NewSession) -> Result<IssuedSession, Error> {
        let now = self.now();
        check_user_id(&new.user_id)?;
        let (jwt_payload, session_data) = (new.jwt_payload?, new.session_data?);
        let version = new.issue.access_token_version.unwrap_or(self.policy.access_token_version);
        // V2 tokens keep the payload apart from their own claims.
        if !version.is_legacy() {
            check_payload(version, &jwt_payload)?;
        }

        let handle = SessionHandle::generate(&new.tenant, now, self.random())?;
        let refresh_token = RefreshToken {
            handle: handle.clone(),
            user_id: new.user_id.clone(),
            parent: None,
            anti_csrf_token: self.new_anti_csrf_token(new.anti_csrf_token)?,
            issued_at: Some(now),
        };
        let text = self.refresh_tokens.seal(&refresh_token, self.random())?;
        let ends_at =
            self.policy.absolute_lifetime.map_or(Timestamp::MAX, |lifetime| now.plus(lifetime));
        let kind = new.issue.signing_key_kind.unwrap_or(self.policy.signing_key_kind);
        let row = SessionRecord {
            handle,
            user_id: new.user_id,
            primary_user_id: None,
            refresh_token_hash: TokenHash::of_inner(&inner_hash(text.expose())),
            previous_refresh_token_hash: None,
            rotated_at: None,
            sealed_child: None,
            jwt_payload: payload_to_text(&jwt_payload)?,
            session_data: data_to_text(&session_data)?,
            created_at: now,
            expires_at: now.plus(self.policy.refresh_token_validity).min(ends_at),
            ends_at,
            client_label: new.client_label,
            use_static_key: kind == SigningKeyKind::Static,
        };
        // A payload that does not fit is refused before anything is stored; signed is the token
        // that names the primary user, whom the store knows.
        let pair =
            self.prepare(&row, jwt_payload, text, refresh_token, None, new.issue, now).await?;
        let handle = row.handle.clone();
        let owner = self.insert(row, now).await?;
        match self.complete_for(owner, pair) {
            Ok(issued) => {
                self.tell(&handle, issued.session.user_id(), EventKind::Created);
                Ok(issued)
            }
            Err(error) => {
                self.store().remove_sessions(&self.app, &[handle]).await?;
                Err(error.into())
            }
        }
    }

    /// Adds the session, within the limit if there is one.
    async fn insert(&self, row: SessionRecord, now: Timestamp) -> Result<Owner, Error> {
        let Some(limit) = self.policy.session_limit else {
            return Ok(self.store().insert_session(&self.app, row).await?);
        };
        match self.store().insert_session_within(&self.app, row, limit, now).await? {
            LimitedInsertion::Inserted { owner, ended } => {
                let reason = RevocationReason::Evicted;
                let user_id = owner.primary_user_id.as_deref().unwrap_or(&owner.user_id);
                for handle in &ended {
                    self.tell(handle, user_id, EventKind::Revoked { reason });
                }
                Ok(owner)
            }
            LimitedInsertion::Refused => {
                let maximum = limit.maximum.get();
                Err(GeneralError::TooManySessions { maximum }.into())
            }
        }
    }

    /// Verifies a token without the store; `None` where the store has a say.
    pub(super) fn verify_locally(
        &self,
        request: &VerifyRequest<'_>,
    ) -> Option<Result<VerifiedSession, Error>> {
        let revocation = request.revocation.unwrap_or(self.policy.revocation);
        if revocation == Revocation::Immediate || request.login_within.is_some() {
            return None;
        }
        let now = self.now();
        let session = match self.read_with_known_keys(request.access_token, now).1 {
            Ok(session) => session,
            Err(ReadError::UnknownKey) => return None,
            Err(ReadError::Bad(reason)) => return Some(Err(reason.into())),
        };
        if let Err(reason) = check(&session, request, now) {
            return Some(Err(reason.into()));
        }
        let rotation = request.rotation.unwrap_or(self.policy.rotation);
        let may_be_first_use = rotation == RotationPolicy::OnUse
            && session.token.claims.parent_refresh_token_inner_hash.is_some();
        (!may_be_first_use).then_some(Ok(session))
    }

    pub(super) async fn verify_token(
        &self,
        request: VerifyRequest<'_>,
    ) -> Result<VerifiedSession, Error> {
        if let Some(result) = self.verify_locally(&request) {
            return result;
        }
        let now = self.now();
        let session = self.read_access_token(request.access_token, now).await?;
        check(&session, &request, now)?;
        if let Some(within) = request.login_within {
            self.check_login(session.handle(), within, now).await?;
        }
        let revocation = request.revocation.unwrap_or(self.policy.revocation);
        let immediate = revocation == Revocation::Immediate;
        match request.rotation.unwrap_or(self.policy.rotation) {
            RotationPolicy::Idempotent { .. } if immediate => {
                match self.store().get_session(&self.app, session.handle()).await? {
                    None => Err(UnauthorisedReason::SessionNotFound.into()),
                    Some(row) if row.is_expired(now) => {
                        Err(UnauthorisedReason::SessionExpired.into())
                    }
                    Some(_) => Ok(session),
                }
            }
            RotationPolicy::OnRefresh { .. } if immediate => self.check_lineage(session).await,
            RotationPolicy::OnUse => self.verify_on_use(session, immediate, now).await,
            _ => Ok(session),
        }
    }

    /// Whether the session is there and began not longer ago than `within`.
    async fn check_login(
        &self,
        handle: &SessionHandle,
        within: Duration,
        now: Timestamp,
    ) -> Result<(), Error> {
        match self.live_session(handle).await? {
            None => Err(UnauthorisedReason::SessionNotFound.into()),
            Some(row) if row.created_at.plus(within) < now => {
                Err(UnauthorisedReason::LoginNotFresh.into())
            }
            Some(_) => Ok(()),
        }
    }

    pub(super) async fn identify_token(
        &self,
        access_token: &str,
    ) -> Result<Option<VerifiedSession>, Error> {
        match self.read_access_token(access_token, self.now()).await {
            Ok(session) => Ok(Some(session)),
            Err(Error::TryRefreshToken { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The token's claims, its signature verified now or before. Its expiry is not looked at.
    pub(super) async fn read_access_token(
        &self,
        text: &str,
        now: Timestamp,
    ) -> Result<VerifiedSession, Error> {
        let (generation, mut result) = self.read_with_known_keys(text, now);
        // Another process may have made the key since.
        if matches!(result, Err(ReadError::UnknownKey))
            && self.keys.reload(self.store(), generation, now).await?
        {
            result = self.read_with_known_keys(text, now).1;
        }
        match result {
            Ok(session) => Ok(session),
            Err(ReadError::UnknownKey) => Err(TryRefreshReason::UnknownKey.into()),
            Err(ReadError::Bad(reason)) => Err(reason.into()),
        }
    }

    /// The same with the keys that were loaded before, and the generation of these.
    fn read_with_known_keys(
        &self,
        text: &str,
        now: Timestamp,
    ) -> (u64, Result<VerifiedSession, ReadError>) {
        let ring = self.keys.ring();
        let generation = ring.generation();
        if let Some(known) = self.verified.get(generation, text, now) {
            return (generation, Ok(known.into()));
        }
        let result = read(text, &ring, self.keys.schedule(), now);
        (
            generation,
            result.map(|(token, key_retires_at)| {
                let session = VerifiedSession::new(token, Secret::new(text.to_owned()));
                self.verified.insert(generation, Arc::clone(&session.token), key_retires_at);
                session
            }),
        )
    }
}

/// What is checked of a token each time, however often it was verified before.
fn check(
    session: &VerifiedSession,
    request: &VerifyRequest<'_>,
    now: Timestamp,
) -> Result<(), TryRefreshReason> {
    if session.expires_at() < now {
        return Err(TryRefreshReason::Expired);
    }
    match request.anti_csrf {
        AntiCsrf::Token(given) if !anti_csrf_matches(session.anti_csrf_token(), given) => {
            Err(TryRefreshReason::AntiCsrfMismatch)
        }
        _ => Ok(()),
    }
}

/// Compares in constant time; where the token has none, nothing matches.
pub(super) fn anti_csrf_matches(expected: Option<&str>, given: Option<&str>) -> bool {
    match (expected, given) {
        (Some(expected), Some(given)) => {
            verify_slices_are_equal(expected.as_bytes(), given.as_bytes()).is_ok()
        }
        _ => false,
    }
}

fn check_user_id(user_id: &str) -> Result<(), GeneralError> {
    if user_id.is_empty() {
        Err(GeneralError::UserId("must not be empty"))
    } else if user_id.len() > 256 {
        Err(GeneralError::UserId("must not be longer than 256 bytes"))
    } else if user_id.contains(char::is_control) {
        Err(GeneralError::UserId("must not contain control characters"))
    } else {
        Ok(())
    }
}
