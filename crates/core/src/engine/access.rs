//! Creation, verification and regeneration.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::Engine;
use crate::{
    access_token::{
        ACCESS_TOKEN_COOKIE, AccessToken, MAXIMUM_LENGTH, ReadError, check_payload, read,
    },
    clock::Timestamp,
    error::{Error, GeneralError, TryRefreshReason, UnauthorisedReason},
    event::EventKind,
    identifier::SessionHandle,
    json::{JsonObject, object_from_text, object_to_text},
    keys::{JsonWebKeySet, SigningKey},
    policy::Revocation,
    random::{RandomError, random_bytes},
    refresh_token::{RefreshToken, inner_hash},
    rotation::TokenHash,
    secret::Secret,
    service::{AntiCsrf, NewSession, RegenerateRequest, VerifyRequest},
    session::{IssuedSession, IssuedToken, Regenerated, VerifiedSession},
    store::{SessionRecord, Store},
};

impl<S: Store> Engine<S> {
    pub(super) async fn create(&self, new: NewSession) -> Result<IssuedSession, Error> {
        let now = self.now();
        check_user_id(&new.user_id)?;
        let (jwt_payload, session_data) = (new.jwt_payload?, new.session_data?);
        check_payload(&jwt_payload)?;

        let handle = SessionHandle::generate(&new.tenant, now, self.random())?;
        let refresh_token = RefreshToken {
            handle: handle.clone(),
            user_id: new.user_id.clone(),
            parent: None,
            anti_csrf_token: self.new_anti_csrf_token(new.anti_csrf_token)?,
            issued_at: now,
        };
        let text = self.refresh_token_key.seal(&refresh_token, self.random())?;
        let ends_at =
            self.policy.absolute_lifetime.map_or(Timestamp::MAX, |lifetime| now.plus(lifetime));
        let row = SessionRecord {
            handle,
            user_id: new.user_id,
            refresh_token_hash: TokenHash::of_inner(&inner_hash(text.expose())),
            previous_refresh_token_hash: None,
            rotated_at: None,
            sealed_child: None,
            jwt_payload: object_to_text(&jwt_payload)?,
            session_data: object_to_text(&session_data)?,
            created_at: now,
            expires_at: now.plus(self.policy.refresh_token_validity).min(ends_at),
            ends_at,
            client_label: new.client_label,
        };
        // Signed first: a payload that does not fit is refused before anything is stored.
        let issued = self.issue(&row, jwt_payload, text, refresh_token, now).await?;
        self.store().insert_session(&self.app, row).await?;
        self.tell(issued.session.handle(), issued.session.user_id(), EventKind::Created);
        Ok(issued)
    }

    pub(super) async fn verify_token(
        &self,
        request: VerifyRequest<'_>,
    ) -> Result<VerifiedSession, Error> {
        let now = self.now();
        let token = self.read_access_token(request.access_token, now).await?;
        if token.expires_at < now {
            return Err(TryRefreshReason::Expired.into());
        }
        if let AntiCsrf::Token(given) = request.anti_csrf
            && !anti_csrf_matches(token.anti_csrf_token.as_deref(), given)
        {
            return Err(TryRefreshReason::AntiCsrfMismatch.into());
        }
        match request.revocation.unwrap_or(self.policy.revocation) {
            Revocation::AtExpiry => {}
            Revocation::Immediate => self.check_still_there(&token.handle, now).await?,
        }
        Ok(VerifiedSession(token))
    }

    async fn check_still_there(&self, handle: &SessionHandle, now: Timestamp) -> Result<(), Error> {
        match self.store().get_session(&self.app, handle).await? {
            None => Err(UnauthorisedReason::SessionNotFound.into()),
            Some(row) if row.is_expired(now) => Err(UnauthorisedReason::SessionExpired.into()),
            Some(_) => Ok(()),
        }
    }

    pub(super) async fn identify_token(
        &self,
        access_token: &str,
    ) -> Result<Option<VerifiedSession>, Error> {
        match self.read_access_token(access_token, self.now()).await {
            Ok(token) => Ok(Some(VerifiedSession(token))),
            Err(Error::TryRefreshToken { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The token's claims, its signature verified now or before. Its expiry is not looked at.
    pub(super) async fn read_access_token(
        &self,
        text: &str,
        now: Timestamp,
    ) -> Result<Arc<AccessToken>, Error> {
        let schedule = self.keys.schedule();
        let (mut generation, mut result) = {
            let ring = self.keys.ring();
            if let Some(known) = self.verified.get(ring.generation(), text, now) {
                return Ok(known);
            }
            (ring.generation(), read(text, &ring, schedule, now))
        };
        // Another process may have made the key since.
        if matches!(result, Err(ReadError::UnknownKey))
            && self.keys.reload(self.store(), generation, now).await?
        {
            let ring = self.keys.ring();
            (generation, result) = (ring.generation(), read(text, &ring, schedule, now));
        }
        match result {
            Ok((token, key_retires_at)) => {
                let token = Arc::new(token);
                self.verified.insert(generation, text, Arc::clone(&token), key_retires_at);
                Ok(token)
            }
            Err(ReadError::UnknownKey) => Err(TryRefreshReason::UnknownKey.into()),
            Err(ReadError::Bad(reason)) => Err(reason.into()),
        }
    }

    pub(super) async fn regenerate_token(
        &self,
        request: RegenerateRequest<'_>,
    ) -> Result<Regenerated, Error> {
        let now = self.now();
        let old = self.read_access_token(request.access_token, now).await?;
        let mut new = AccessToken { issued_at: now.floor_to_second(), ..(*old).clone() };
        let key = self.signing_key(now).await?;
        let row = match request.jwt_payload {
            Some(payload) => {
                check_payload(&payload)?;
                new.jwt_payload = payload;
                self.check_size(&new, &key)?;
                let text = object_to_text(&new.jwt_payload)?;
                self.store().replace_jwt_payload(&self.app, &old.handle, text, now).await?
            }
            None => {
                let row = self.store().get_session(&self.app, &old.handle).await?;
                row.filter(|row| !row.is_expired(now))
            }
        };
        let row = row.ok_or(UnauthorisedReason::SessionNotFound)?;
        new.jwt_payload = object_from_text(&row.jwt_payload)?;
        new.tenant = row.handle.tenant();
        new.user_id = row.user_id;
        let access_token = if old.expires_at < now {
            None
        } else {
            self.check_size(&new, &key)?;
            Some(self.sign(&new, &key)?)
        };
        Ok(Regenerated { session: VerifiedSession(Arc::new(new)), access_token })
    }

    /// Gives a session its access token beside the refresh token that it has now.
    pub(super) async fn issue(
        &self,
        row: &SessionRecord,
        jwt_payload: JsonObject,
        refresh_token_text: Secret,
        refresh_token: RefreshToken,
        now: Timestamp,
    ) -> Result<IssuedSession, Error> {
        let key = self.signing_key(now).await?;
        let expires_at = now.plus(self.policy.access_token_validity).min(row.ends_at);
        let access_token = AccessToken {
            handle: row.handle.clone(),
            user_id: row.user_id.clone(),
            tenant: row.handle.tenant(),
            refresh_token_inner_hash: inner_hash(refresh_token_text.expose()),
            anti_csrf_token: refresh_token.anti_csrf_token.clone(),
            issued_at: now.floor_to_second(),
            expires_at: expires_at.floor_to_second(),
            jwt_payload,
        };
        self.check_size(&access_token, &key)?;
        Ok(IssuedSession {
            access_token: self.sign(&access_token, &key)?,
            session: VerifiedSession(Arc::new(access_token)),
            refresh_token: IssuedToken {
                token: refresh_token_text,
                expires_at: row.expires_at,
                created_at: refresh_token.issued_at,
            },
            anti_csrf_token: refresh_token.anti_csrf_token,
        })
    }

    pub(super) async fn signing_key(&self, now: Timestamp) -> Result<Arc<SigningKey>, Error> {
        self.keys.signing_key(self.store(), self.random(), now).await
    }

    /// The public keys, with the next one where that is due: it must be known before it signs.
    pub(super) async fn published_keys(&self) -> JsonWebKeySet {
        let now = self.now();
        if let Err(error) = self.signing_key(now).await {
            // The keys that are there verify all the same, and may be cached for a second only.
            tracing::warn!(app = %self.app, %error, "the next signing key could not be made");
        }
        self.keys.json_web_key_set(now)
    }

    fn sign(&self, token: &AccessToken, key: &SigningKey) -> Result<IssuedToken, GeneralError> {
        Ok(IssuedToken {
            token: Secret::new(token.sign(key)?),
            expires_at: token.expires_at,
            created_at: token.issued_at,
        })
    }

    /// The largest cookie that an access token may make. Without a limit of the policy's, the
    /// token must still be one that is read again.
    pub(super) fn cookie_limit(&self) -> usize {
        self.policy.cookie_limit.map_or(MAXIMUM_LENGTH, |limit| limit.min(MAXIMUM_LENGTH))
    }

    /// Whether the token fits a cookie.
    pub(super) fn check_size(
        &self,
        token: &AccessToken,
        key: &SigningKey,
    ) -> Result<(), GeneralError> {
        let limit = self.cookie_limit();
        let access_cookie = ACCESS_TOKEN_COOKIE.len() + token.length(key)?;
        let size = access_cookie.max(token.front_token_cookie_length()?);
        if size > limit { Err(GeneralError::PayloadTooLarge { size, limit }) } else { Ok(()) }
    }

    pub(super) fn new_anti_csrf_token(&self, wanted: bool) -> Result<Option<String>, RandomError> {
        wanted
            .then(|| {
                let bytes = random_bytes(self.random())?;
                Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
            })
            .transpose()
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
