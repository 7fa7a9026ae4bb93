use std::{borrow::Cow, error::Error as StdError, fmt};

use crate::{
    identifier::SessionHandle, keys::WrappingKeyError, random::RandomError, store::StoreError,
};

/// What can go wrong with a session: the four errors of the seed's SDK.
///
/// The first three are answers to a client, and the fourth is a fault that it did not cause. None
/// carries a token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no session any more, or never was: the user must log in again. The client's
    /// tokens are worthless and should be cleared.
    #[error("unauthorised: {reason}")]
    Unauthorised {
        /// Why.
        reason: UnauthorisedReason,
    },
    /// The access token is not good (any more), and a refresh may give a better one.
    #[error("try refresh token: {reason}")]
    TryRefreshToken {
        /// Why.
        reason: TryRefreshReason,
    },
    /// A refresh token was used that had been replaced before. The session was ended, because
    /// thief and user cannot be told apart.
    #[error("token theft detected in session {session_handle}: {kind}")]
    TokenTheftDetected {
        /// The session.
        session_handle: SessionHandle,
        /// Whose session it was: the primary user, where accounts are linked.
        user_id: String,
        /// The account that had logged in; the same as the user where no accounts are linked.
        recipe_user_id: String,
        /// How the theft showed.
        kind: TheftKind,
        /// Whether the session was ended; under [`RotationPolicy::OnUse`] that is up to the
        /// caller.
        ///
        /// [`RotationPolicy::OnUse`]: crate::policy::RotationPolicy::OnUse
        session_ended: bool,
    },
    /// Everything else.
    #[error(transparent)]
    General(#[from] GeneralError),
}

impl Error {
    /// A stable code that says why, for answers, logs and metrics: `access_token_expired`,
    /// `session_not_found`, …
    pub fn reason_code(&self) -> &'static str {
        match self {
            Self::Unauthorised { reason } => reason.code(),
            Self::TryRefreshToken { reason } => reason.code(),
            Self::TokenTheftDetected { kind, .. } => kind.code(),
            Self::General(error) => error.code(),
        }
    }
}

impl From<UnauthorisedReason> for Error {
    fn from(reason: UnauthorisedReason) -> Self {
        Self::Unauthorised { reason }
    }
}

impl From<TryRefreshReason> for Error {
    fn from(reason: TryRefreshReason) -> Self {
        Self::TryRefreshToken { reason }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::General(GeneralError::Store(error))
    }
}

impl From<RandomError> for Error {
    fn from(error: RandomError) -> Self {
        Self::General(GeneralError::Random(error))
    }
}

impl From<WrappingKeyError> for Error {
    fn from(error: WrappingKeyError) -> Self {
        Self::General(GeneralError::WrappingKey(error))
    }
}

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident => $code:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable code of this reason.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(match self { $(Self::$variant => $text,)* })
            }
        }
    };
}

reasons! {
    /// Why a client is not authorised.
    UnauthorisedReason {
        /// The anti-CSRF token of a refresh is missing or is not the one that came with the
        /// refresh token.
        AntiCsrfMismatch => "anti_csrf_mismatch", "the anti-CSRF token is missing or does not match";
        /// The session is there, but its login is longer ago than the request requires.
        LoginNotFresh => "login_not_fresh", "the login is longer ago than this request requires";
        /// The previous refresh token came after its grace period; the session was ended.
        LateRetry => "late_retry", "the previous refresh token was used after its grace period, and the session was ended";
        /// A refresh token came that another retry had displaced; the session was ended.
        OrphanedBranch => "orphaned_branch", "a refresh token was used that a later retry had displaced, and the session was ended";
        /// The request carried no refresh token.
        MissingRefreshToken => "refresh_token_missing", "the request carries no refresh token";
        /// The request carried no session at all.
        NoSession => "no_session", "the request carries no session";
        /// The refresh token cannot be read: it is damaged, or of another app or store.
        RefreshTokenInvalid => "refresh_token_invalid", "the refresh token cannot be read";
        /// The access token belongs to a generation that was rotated out.
        RotatedOut => "rotated_out", "the access token belongs to a generation that was rotated out";
        /// The session's time is over.
        SessionExpired => "session_expired", "the session has expired";
        /// The session was revoked, or never existed.
        SessionNotFound => "session_not_found", "the session does not exist; it may have been revoked";
    }
}

reasons! {
    /// Why an access token was not accepted.
    TryRefreshReason {
        /// The request's anti-CSRF token is missing or is not the access token's.
        AntiCsrfMismatch => "anti_csrf_mismatch", "the anti-CSRF token is missing or does not match";
        /// Its time is over.
        Expired => "access_token_expired", "the access token has expired";
        /// It is damaged, or is no access token.
        Malformed => "access_token_malformed", "the access token is malformed";
        /// The request has none, but a session may be there to refresh.
        Missing => "access_token_missing", "the request carries no access token";
        /// Its signature is wrong.
        SignatureInvalid => "access_token_signature_invalid", "the signature of the access token is invalid";
        /// It names a signing key that does not exist or has retired.
        UnknownKey => "access_token_key_unknown", "the access token names an unknown signing key";
    }
}

reasons! {
    /// How a theft showed.
    TheftKind {
        /// The previous refresh token came after its grace period. Loss and replay look the same
        /// here, so this is a theft only where the policy says so.
        LateRetry => "late_retry", "the previous refresh token was used after its grace period";
        /// A refresh token came that another retry within the grace period had displaced.
        OrphanedBranch => "orphaned_branch", "a refresh token was used that a later retry had displaced";
        /// A refresh token came that is older than the previous one.
        Stale => "stale_refresh_token", "a refresh token was used that had been replaced long before";
    }
}

/// A fault that the client did not cause, or that only the calling program can mend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GeneralError {
    /// An access token cannot be good for that long, or for no time.
    #[error("accessTokenValidity must be greater than 0 and at most {limit} ms, the policy's")]
    AccessTokenValidity {
        /// The policy's validity, in milliseconds.
        limit: u128,
    },
    /// A policy or setting contradicts itself; the text says which and what to do.
    #[error("configuration: {0}")]
    Configuration(Cow<'static, str>),
    /// A row in the store cannot be read.
    #[error("the stored session cannot be read: {what}")]
    CorruptRow {
        /// What is wrong with it.
        what: &'static str,
        /// What the reader said.
        #[source]
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// A cryptographic operation failed that cannot fail with sound keys.
    #[error("cryptography failed while {0}")]
    Cryptography(&'static str),
    /// A payload or data does not have the shape that the program asked for.
    #[error("the session's JSON does not have the expected shape")]
    Deserialise(#[source] serde_json::Error),
    /// A payload or data is not a JSON object.
    #[error("a session keeps a JSON object, and this is {found}")]
    NotAnObject {
        /// What it is instead.
        found: &'static str,
    },
    /// The payload makes the access token too large for a cookie, or for any reader.
    #[error(
        "the payload makes a cookie of {size} bytes, and the limit is {limit}: keep less in the \
         payload, or keep it in the session data"
    )]
    PayloadTooLarge {
        /// The size of the cookie, its name and value, in bytes.
        size: usize,
        /// The most that it may have, in bytes.
        limit: usize,
    },
    /// The payload names a claim that the access token itself uses.
    #[error("the payload must not name '{claim}': the access token uses that claim itself")]
    ProtectedClaim {
        /// The claim.
        claim: &'static str,
    },
    /// No randomness could be had.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// A value cannot be turned into JSON.
    #[error("the value cannot be turned into JSON")]
    Serialise(#[source] serde_json::Error),
    /// The store failed. Nothing that it acknowledged is lost.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The user has as many sessions as may be alive at once, and the policy refuses one more.
    #[error("the user has {maximum} sessions, and may not have more at once: end one first")]
    TooManySessions {
        /// The most that may be alive at once.
        maximum: usize,
    },
    /// Other requests kept changing the same session; the call may be repeated.
    #[error("the session is changed by other requests all the time; try again")]
    TooMuchContention,
    /// The user id cannot be used.
    #[error("the user id {0}")]
    UserId(&'static str),
    /// The keys in the store cannot be unwrapped.
    #[error(transparent)]
    WrappingKey(#[from] WrappingKeyError),
}

impl GeneralError {
    /// A stable code, as [`Error::reason_code`] gives it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::AccessTokenValidity { .. } => "access_token_validity",
            Self::Configuration(_) => "configuration",
            Self::CorruptRow { .. } => "corrupt_row",
            Self::Cryptography(_) => "cryptography",
            Self::Deserialise(_) => "unexpected_shape",
            Self::NotAnObject { .. } => "not_an_object",
            Self::PayloadTooLarge { .. } => "payload_too_large",
            Self::ProtectedClaim { .. } => "protected_claim",
            Self::Random(_) => "randomness",
            Self::Serialise(_) => "not_serialisable",
            Self::Store(_) => "store",
            Self::TooManySessions { .. } => "too_many_sessions",
            Self::TooMuchContention => "contention",
            Self::UserId(_) => "user_id",
            Self::WrappingKey(_) => "wrapping_key",
        }
    }
}
