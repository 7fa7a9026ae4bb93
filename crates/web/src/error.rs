use http::StatusCode;
use serde_json::{Value, json};
use sessile_core::{Error, GeneralError, store::StoreErrorKind};

use crate::config::WebConfig;

/// Why a request with a session was refused without looking at the session.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ForbiddenReason {
    /// Another site sent it, by `Sec-Fetch-Site`, `Origin` or `Referer`.
    #[error(
        "the request comes from another site; if it is one of yours, list it in trusted_origins, \
         and behind a proxy set public_origin"
    )]
    CrossSite,
    /// The login is longer ago than the request requires: the user must log in again, and keeps
    /// the session until then.
    #[error("the login is longer ago than this request requires")]
    LoginNotFresh,
    /// It lacks the header `rid`, which other sites cannot send.
    #[error("the request lacks the header rid")]
    CustomHeaderMissing,
}

impl ForbiddenReason {
    /// The stable code of this reason.
    pub const fn code(self) -> &'static str {
        match self {
            Self::CrossSite => "cross_site_request",
            Self::LoginNotFresh => "login_not_fresh",
            Self::CustomHeaderMissing => "custom_header_missing",
        }
    }
}

/// A request that does not get what it asked for, and the answer that says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebError {
    /// Refused, because another site may have sent it. No cookie is touched.
    #[error("forbidden: {0}")]
    Forbidden(ForbiddenReason),
    /// One of the four errors of a session.
    #[error(transparent)]
    Session(#[from] Error),
}

impl From<GeneralError> for WebError {
    fn from(error: GeneralError) -> Self {
        Self::Session(error.into())
    }
}

impl WebError {
    /// The status of the answer: 403 where another site may have sent the request, the login is too
    /// old, or the user has too many sessions; 503 where the store cannot be reached or takes no
    /// writes, 500 for every other fault of the server; for the rest `session_expired_status`, 401
    /// unless configured otherwise.
    pub fn status(&self, config: &WebConfig) -> StatusCode {
        match self {
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Session(Error::General(GeneralError::Store(error)))
                if matches!(
                    error.kind(),
                    StoreErrorKind::Unavailable | StoreErrorKind::NotWritable
                ) =>
            {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Session(Error::General(GeneralError::TooManySessions { .. })) => {
                StatusCode::FORBIDDEN
            }
            Self::Session(Error::General(_)) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Session(_) => config.session_expired_status,
        }
    }

    /// The stable code that says why.
    pub fn reason_code(&self) -> &'static str {
        match self {
            Self::Forbidden(reason) => reason.code(),
            Self::Session(error) => error.reason_code(),
        }
    }

    /// The body of the answer: `{"message": …, "reason": …}`. The messages are those that the
    /// front-end SDKs know; the reason is a code. Nothing of the server's inside is in it.
    pub fn body(&self) -> Value {
        let message = match self {
            Self::Forbidden(_) => "forbidden",
            Self::Session(Error::Unauthorised { .. }) => "unauthorised",
            Self::Session(Error::TryRefreshToken { .. }) => "try refresh token",
            Self::Session(Error::TokenTheftDetected { .. }) => "token theft detected",
            Self::Session(Error::General(GeneralError::TooManySessions { .. })) => {
                "too many sessions"
            }
            Self::Session(_) => "internal error",
        };
        json!({ "message": message, "reason": self.reason_code() })
    }
}

#[cfg(test)]
mod tests {
    use sessile_core::store::StoreError;

    use super::*;

    #[test]
    fn a_failing_store_is_answered_by_its_kind_and_says_nothing_of_itself() {
        for (kind, status) in [
            (StoreErrorKind::Unavailable, 503),
            (StoreErrorKind::NotWritable, 503),
            (StoreErrorKind::UnknownTenant, 500),
            (StoreErrorKind::Incompatible, 500),
            (StoreErrorKind::Other, 500),
        ] {
            let error = Error::from(StoreError::new(kind, "at secret.example.com"));
            let error = WebError::from(error);
            assert_eq!(error.status(&WebConfig::default()), status, "{kind:?}");
            assert_eq!(error.body(), json!({ "message": "internal error", "reason": "store" }));
        }
    }
}
