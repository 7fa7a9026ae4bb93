//! How long things live and what happens when they are used twice. Every default is a constant
//! here.

use std::time::Duration;

use crate::{
    access_token::AccessTokenVersion, error::GeneralError, keys::Algorithm, store::SessionLimit,
};

/// Lifetime of an access token: 1 hour.
pub const ACCESS_TOKEN_VALIDITY: Duration = Duration::from_secs(3600);
/// A session that is not refreshed for this long ends: 100 days.
pub const REFRESH_TOKEN_VALIDITY: Duration = Duration::from_secs(100 * 24 * 3600);
/// A session ends this long after it was created, however busy it is: 365 days.
pub const ABSOLUTE_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);
/// How long the previous refresh token is still answered: 30 s.
pub const GRACE_PERIOD: Duration = Duration::from_secs(30);
/// A new signing key is made this long after the last one: 168 hours.
pub const SIGNING_KEY_UPDATE_INTERVAL: Duration = Duration::from_secs(168 * 3600);
/// A new signing key is published this long before it signs: 60 s.
pub const SIGNING_KEY_OVERLAP: Duration = Duration::from_secs(60);
/// Memory that verified access tokens may take, in bytes: 16 MiB.
pub const VERIFIED_TOKEN_MEMORY: usize = 16 * 1024 * 1024;

/// What a refresh does with the token that it replaces.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RotationPolicy {
    /// Whoever presents the previous refresh token within the grace period is given the *same*
    /// next one again, so lost, repeated and re-ordered answers never look like theft. See
    /// `docs/rotation.md`.
    Idempotent {
        /// How long after the rotation the previous token is still answered.
        grace: Duration,
    },
    /// As SuperTokens' core does from CDI 5.6 on: within the grace period the previous token is
    /// given a *new* next one each time, and the newest alone is good.
    OnRefresh {
        /// How long after the rotation the previous token is still answered.
        grace: Duration,
    },
    /// As SuperTokens' core does up to CDI 5.5: the previous token is good until the next one, or
    /// the access token that came with it, is used for the first time. A theft is reported, and
    /// the session goes on: ending it is up to who asked.
    OnUse,
}

impl Default for RotationPolicy {
    fn default() -> Self {
        Self::Idempotent { grace: GRACE_PERIOD }
    }
}

/// What to call a previous refresh token that comes after the grace period.
///
/// The session ends either way: a lost answer and a replayed token cannot be told apart.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LateRetry {
    /// Unauthorised: the user logs in again.
    #[default]
    Unauthorised,
    /// A theft.
    TokenTheft,
}

/// How soon a revoked session stops being accepted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Revocation {
    /// When its access token ends. Verification asks nobody.
    #[default]
    AtExpiry,
    /// At once. Each verification reads the session from the store (the seed's blacklisting).
    Immediate,
}

/// Which kind of signing key signs the access tokens of a session.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SigningKeyKind {
    /// One that is replaced from time to time. Its key id begins with `d-`.
    #[default]
    Dynamic,
    /// One that is never replaced. Its key id begins with `s-`.
    Static,
}

/// The format of new refresh tokens. Both are read, whichever is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RefreshTokenFormat {
    /// Sessile's own.
    #[default]
    Sessile,
    /// That of SuperTokens' core, which can read it. It costs a PBKDF2 derivation for each token.
    SuperTokens,
}

/// The rules by which sessions live. [`Policy::default`] has every default of this module.
///
/// ```
/// use std::time::Duration;
/// use sessile_core::policy::{Policy, Revocation};
///
/// let policy = Policy {
///     access_token_validity: Duration::from_secs(300),
///     revocation: Revocation::Immediate,
///     ..Policy::default()
/// };
/// assert!(policy.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// How long an access token is good for.
    pub access_token_validity: Duration,
    /// How long a session lives without being refreshed.
    pub refresh_token_validity: Duration,
    /// How long a session lives in all; `None` for as long as it is refreshed.
    pub absolute_lifetime: Option<Duration>,
    /// What a refresh does with the token that it replaces.
    pub rotation: RotationPolicy,
    /// What a previous refresh token after its grace period is called.
    pub late_retry: LateRetry,
    /// How soon a revoked session stops being accepted.
    pub revocation: Revocation,
    /// The algorithm of new signing keys. Keys of other algorithms go on verifying.
    pub algorithm: Algorithm,
    /// The format of new access tokens. Regenerated ones keep theirs.
    pub access_token_version: AccessTokenVersion,
    /// The format of new refresh tokens.
    pub refresh_token_format: RefreshTokenFormat,
    /// Which kind of signing key signs for new sessions.
    pub signing_key_kind: SigningKeyKind,
    /// By how much of its validity an access token may be shorter, at random, so that those of
    /// many sessions do not end at once: 0 to 0.25, 0 for not at all.
    pub access_token_validity_jitter: f64,
    /// How long after one signing key the next is made.
    pub signing_key_update_interval: Duration,
    /// How long a signing key is published before it signs.
    pub signing_key_overlap: Duration,
    /// How many sessions an account may have at once, whatever others are linked to it; `None` for
    /// as many as there are.
    pub session_limit: Option<SessionLimit>,
    /// Memory for access tokens that were verified before, in bytes; 0 remembers none.
    pub verified_token_memory: usize,
    /// The largest cookie that an access token may make, name and value, in bytes; `None` where
    /// no browser is among the clients. More than 64 KiB are never read, and so never made.
    pub cookie_limit: Option<usize>,
    /// Whether a session may end before its access token does, which only tests of what happens
    /// then have a use for.
    pub allow_short_sessions: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            access_token_validity: ACCESS_TOKEN_VALIDITY,
            refresh_token_validity: REFRESH_TOKEN_VALIDITY,
            absolute_lifetime: Some(ABSOLUTE_LIFETIME),
            rotation: RotationPolicy::default(),
            late_retry: LateRetry::default(),
            revocation: Revocation::default(),
            algorithm: Algorithm::default(),
            access_token_version: AccessTokenVersion::default(),
            refresh_token_format: RefreshTokenFormat::default(),
            signing_key_kind: SigningKeyKind::default(),
            access_token_validity_jitter: 0.0,
            signing_key_update_interval: SIGNING_KEY_UPDATE_INTERVAL,
            signing_key_overlap: SIGNING_KEY_OVERLAP,
            session_limit: None,
            verified_token_memory: VERIFIED_TOKEN_MEMORY,
            cookie_limit: Some(crate::COOKIE_LIMIT_BYTES),
            allow_short_sessions: false,
        }
    }
}

impl Policy {
    /// Whether the numbers agree with each other.
    ///
    /// # Errors
    /// [`GeneralError::Configuration`], naming the first that does not.
    pub fn check(&self) -> Result<(), GeneralError> {
        let problem = if self.access_token_validity < Duration::from_secs(1) {
            "access_token_validity must be at least 1 second, because tokens carry whole seconds"
        } else if self.refresh_token_validity <= self.access_token_validity
            && !self.allow_short_sessions
        {
            "refresh_token_validity must be longer than access_token_validity"
        } else if self.absolute_lifetime.is_some_and(|limit| limit < self.access_token_validity) {
            "absolute_lifetime must not be shorter than access_token_validity"
        } else if self.signing_key_overlap > self.signing_key_update_interval / 2 {
            "signing_key_overlap must not be longer than half of signing_key_update_interval"
        } else if !(0.0..=0.25).contains(&self.access_token_validity_jitter) {
            "access_token_validity_jitter must be between 0 and 0.25"
        } else {
            return self.access_token_version.check_issue(self.algorithm);
        };
        Err(GeneralError::Configuration(problem.into()))
    }

    /// Whether a SuperTokens core can read everything that is written under it, as it has to in a
    /// store that [it shares](crate::store::Store::is_shared_with_supertokens). Sessions are not
    /// served otherwise.
    ///
    /// # Errors
    /// [`GeneralError::Configuration`], naming the first thing that it could not.
    pub fn check_shared(&self, has_wrapping_key: bool) -> Result<(), GeneralError> {
        let problem = if self.algorithm != Algorithm::Rs256 {
            "algorithm must be RS256"
        } else if self.refresh_token_format != RefreshTokenFormat::SuperTokens {
            "refresh_token_format must be that of SuperTokens"
        } else if has_wrapping_key {
            "there must be no wrapping key"
        } else {
            return Ok(());
        };
        let why = "because a SuperTokens core reads the same database; if none does any more, open \
                   it as Sessile's own";
        Err(GeneralError::Configuration(format!("{problem}, {why}").into()))
    }
}
