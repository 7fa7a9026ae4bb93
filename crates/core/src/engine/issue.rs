//! Making tokens for a session, within their limits.

use std::{sync::Arc, time::Duration};

use super::Engine;
use crate::{
    access_token::{ACCESS_TOKEN_COOKIE, AccessToken, MAXIMUM_LENGTH, check_payload},
    clock::Timestamp,
    error::{Error, GeneralError, UnauthorisedReason},
    json::{JsonObject, object_from_text, payload_to_text},
    keys::{JsonWebKeySet, SigningKey},
    policy::SigningKeyKind,
    random::{RandomError, random_bytes},
    refresh_token::{RefreshToken, inner_hash},
    secret::Secret,
    service::{IssueOptions, RegenerateRequest},
    session::{IssuedSession, IssuedToken, Regenerated, VerifiedSession},
    store::{Owner, SessionRecord, Store},
};

/// A new pair of tokens whose access token is to be signed, and found to fit its limits.
pub(super) struct UnsignedPair {
    access_token: AccessToken,
    key: Arc<SigningKey>,
    refresh_token: IssuedToken,
}

impl<S: Store> Engine<S> {
    /// Gives a session its access token beside the refresh token that it has now, as
    /// [`prepare`](Self::prepare) and [`complete`](Self::complete) do.
    #[expect(clippy::too_many_arguments, reason = "each is something else about one new pair")]
    pub(super) async fn issue(
        &self,
        row: &SessionRecord,
        jwt_payload: JsonObject,
        refresh_token_text: Secret,
        refresh_token: RefreshToken,
        parent: Option<String>,
        options: IssueOptions,
        now: Timestamp,
    ) -> Result<IssuedSession, Error> {
        let pair = self
            .prepare(row, jwt_payload, refresh_token_text, refresh_token, parent, options, now)
            .await?;
        Ok(self.complete(pair)?)
    }

    /// All of a new pair but the signature. `parent` is the inner hash of the refresh token that
    /// must not be used any more once this one is.
    #[expect(clippy::too_many_arguments, reason = "each is something else about one new pair")]
    pub(super) async fn prepare(
        &self,
        row: &SessionRecord,
        jwt_payload: JsonObject,
        refresh_token_text: Secret,
        refresh_token: RefreshToken,
        parent: Option<String>,
        options: IssueOptions,
        now: Timestamp,
    ) -> Result<UnsignedPair, Error> {
        let version = options.access_token_version.unwrap_or(self.policy.access_token_version);
        let expires_at = now.plus(self.access_token_validity(options)?).min(row.ends_at);
        let access_token = AccessToken {
            version,
            handle: row.handle.clone(),
            user_id: row.user().to_owned(),
            recipe_user_id: row.user_id.clone(),
            tenant: row.handle.tenant(),
            refresh_token_inner_hash: inner_hash(refresh_token_text.expose()),
            parent_refresh_token_inner_hash: parent,
            anti_csrf_token: refresh_token.anti_csrf_token.clone(),
            issued_at: AccessToken::precision(version, now),
            expires_at: AccessToken::precision(version, expires_at),
            jwt_payload,
        };
        let key = self.signing_key_of(row, now).await?;
        self.check_size(&access_token, &key)?;
        let refresh_token = IssuedToken {
            token: refresh_token_text,
            expires_at: row.expires_at,
            created_at: refresh_token.issued_at.unwrap_or(now),
        };
        Ok(UnsignedPair { access_token, key, refresh_token })
    }

    /// Signs the access token.
    pub(super) fn complete(&self, pair: UnsignedPair) -> Result<IssuedSession, GeneralError> {
        let UnsignedPair { access_token, key, refresh_token } = pair;
        let anti_csrf_token = access_token.anti_csrf_token.clone();
        let issued = self.sign(&access_token, &key)?;
        let session = VerifiedSession::new(access_token, issued.token.clone());
        Ok(IssuedSession { session, access_token: issued, refresh_token, anti_csrf_token })
    }

    /// The same once the store has said whose session it is.
    pub(super) fn complete_for(
        &self,
        owner: Owner,
        mut pair: UnsignedPair,
    ) -> Result<IssuedSession, GeneralError> {
        let token = &mut pair.access_token;
        let is_as_given = owner.primary_user_id.is_none() && owner.user_id == token.user_id;
        if !is_as_given {
            token.recipe_user_id.clone_from(&owner.user_id);
            token.user_id = owner.primary_user_id.unwrap_or(owner.user_id);
            self.check_size(&pair.access_token, &pair.key)?;
        }
        self.complete(pair)
    }

    /// Refuses what could not be issued, before anything is changed for it.
    pub(super) fn check_options(&self, options: IssueOptions) -> Result<(), GeneralError> {
        let limit = self.policy.access_token_validity;
        if options.access_token_validity.is_some_and(|wanted| wanted.is_zero() || wanted > limit) {
            return Err(GeneralError::AccessTokenValidity { limit: limit.as_millis() });
        }
        match options.access_token_version {
            Some(version) => version.check_issue(self.policy.algorithm),
            None => Ok(()),
        }
    }

    /// How long the next access token is good for, less some jitter.
    fn access_token_validity(&self, options: IssueOptions) -> Result<Duration, GeneralError> {
        self.check_options(options)?;
        let limit = self.policy.access_token_validity;
        let validity = options.access_token_validity.unwrap_or(limit);
        let jitter = self.policy.access_token_validity_jitter;
        if jitter == 0.0 {
            return Ok(validity);
        }
        let [byte, other] = random_bytes::<2>(self.random())?;
        let share = f64::from(u16::from_be_bytes([byte, other])) / f64::from(u16::MAX);
        Ok(validity.mul_f64(jitter.mul_add(-share, 1.0)))
    }

    pub(super) async fn regenerate_token(
        &self,
        request: RegenerateRequest<'_>,
    ) -> Result<Regenerated, Error> {
        let now = self.now();
        let old = self.read_access_token(request.access_token, now).await?;
        let old_text = old.access_token().clone();
        let old = &old.token.claims;
        let issued_at = AccessToken::precision(old.version, now);
        let mut new = AccessToken { issued_at, ..old.clone() };
        let row = match request.jwt_payload {
            Some(payload) => {
                // As at creation: V2 tokens keep the payload apart from their own claims.
                if !old.version.is_legacy() {
                    check_payload(old.version, &payload)?;
                }
                new.jwt_payload = payload;
                self.check_size_for_every_key(&new)?;
                let text = payload_to_text(&new.jwt_payload)?;
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
        new.user_id = row.user().to_owned();
        new.recipe_user_id.clone_from(&row.user_id);
        let access_token = if old.expires_at < now {
            None
        } else {
            let key = self.signing_key_of(&row, now).await?;
            self.check_size(&new, &key)?;
            Some(self.sign(&new, &key)?)
        };
        let text = access_token.as_ref().map_or(old_text, |issued| issued.token.clone());
        Ok(Regenerated { session: VerifiedSession::new(new, text), access_token })
    }

    /// The key that signs for this session.
    pub(super) async fn signing_key_of(
        &self,
        row: &SessionRecord,
        now: Timestamp,
    ) -> Result<Arc<SigningKey>, Error> {
        let kind =
            if row.use_static_key { SigningKeyKind::Static } else { SigningKeyKind::Dynamic };
        self.signing_key(kind, now).await
    }

    pub(super) async fn signing_key(
        &self,
        kind: SigningKeyKind,
        now: Timestamp,
    ) -> Result<Arc<SigningKey>, Error> {
        self.keys.signing_key(self.store(), kind, self.random(), now).await
    }

    /// The public keys, with the next one where that is due: it must be known before it signs.
    pub(super) async fn published_keys(&self) -> JsonWebKeySet {
        let now = self.now();
        if let Err(error) = self.signing_key(self.policy.signing_key_kind, now).await {
            // The keys that are there verify all the same, and may be cached for a second only.
            tracing::warn!(app = %self.app, %error, "the next signing key could not be made");
        }
        self.keys.json_web_key_set(now)
    }

    pub(super) fn sign(
        &self,
        token: &AccessToken,
        key: &SigningKey,
    ) -> Result<IssuedToken, GeneralError> {
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

    /// Whether the token fits a cookie when `key` signs it.
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

    /// Whether the token fits a cookie whichever key will sign it.
    pub(super) fn check_size_for_every_key(&self, token: &AccessToken) -> Result<(), GeneralError> {
        self.keys.ring().keys().iter().try_for_each(|key| self.check_size(token, key))
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
