//! What is answered: JSON for every outcome, text for every error.

use std::time::Duration;

use axum::{body::Body, response::Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;
use sessile_core::{
    Error, GeneralError,
    store::{StoreError, StoreErrorKind},
};

use crate::{metrics::Refused, path::TenantName};

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=UTF-8");
pub(crate) const TEXT: HeaderValue = HeaderValue::from_static("text/html; charset=UTF-8");

/// What a handler answers.
#[derive(Debug)]
pub(crate) enum Answer {
    /// An outcome.
    Json(Value),
    /// An outcome that may be cached, and the header that says so.
    Cached(Value, String),
    /// A text.
    Text(&'static str),
    /// What the other core answered.
    Forwarded(Response),
}

/// The text of every payload that names a claim of the access token.
pub(crate) const PROTECTED_CLAIM: &str = "The user payload contains protected field";

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Something about it is wrong; this says what.
    #[error("{0}")]
    BadInput(String),
    /// It brings none of the keys that it must.
    #[error("Invalid API key")]
    InvalidApiKey,
    /// It must not be made from there; this says from where.
    #[error("{0}")]
    Forbidden(&'static str),
    /// There is no such path.
    #[error("Not found")]
    NotFound,
    /// The path has no such verb.
    #[error("Method not supported")]
    MethodNotSupported,
    /// Its body is larger than the limit, in bytes.
    #[error("The request's body is larger than {0} bytes")]
    TooLarge(usize),
    /// It is served by SuperTokens' core, and not here.
    #[error(
        "Sessile serves sessions and JWTs, and not this path, which is for {0}. Start it with \
         --forward URL, the URL of a SuperTokens core, to have such requests answered there"
    )]
    NotServed(&'static str),
    /// Its body did not come in that time.
    #[error("The request's body did not come within {} s", .0.as_secs_f32())]
    BodyTimedOut(Duration),
    /// Its body ended before its end, or is not encoded as it says.
    #[error("The request's body could not be read to its end")]
    BodyBroken,
    /// There are too many such requests.
    #[error("{}; try again later", .0.text())]
    TooMany(Refused),
    /// The other core cannot be reached, or did not answer in HTTP.
    #[error("The core that this request was forwarded to could not be reached")]
    UpstreamUnreachable,
    /// The other core did not begin to answer in that time.
    #[error(
        "The core that this request was forwarded to did not answer within {} s", .0.as_secs_f32()
    )]
    UpstreamTimedOut(Duration),
    /// There is no such app, or it has no such tenant.
    #[error(
        "AppId or tenantId not found => Tenant with the following connectionURIDomain, appId and \
         tenantId combination not found: (, {}, {})", .0.app, .0.tenant
    )]
    UnknownTenant(TenantName),
    /// The store cannot be reached, or takes no writes.
    #[error("{}; try again later", reason(.0.kind()))]
    StoreAway(#[source] StoreError),
    /// The engine failed.
    #[error("Internal Error")]
    Internal(#[source] Error),
}

impl Failure {
    /// An input error with this text.
    pub(crate) fn bad_input(text: impl Into<String>) -> Self {
        Self::BadInput(text.into())
    }

    /// The same failure of a request for that app and tenant: where they are not in the store, it
    /// was their absence.
    pub(crate) fn of_tenant(self, name: &TenantName) -> Self {
        match self {
            Self::Internal(Error::General(GeneralError::Store(error)))
                if error.kind() == StoreErrorKind::UnknownTenant =>
            {
                Self::UnknownTenant(name.clone())
            }
            failure => failure,
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::BadInput(_) | Self::BodyBroken | Self::UnknownTenant(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::InvalidApiKey => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound | Self::NotServed(_) => StatusCode::NOT_FOUND,
            Self::BodyTimedOut(_) => StatusCode::REQUEST_TIMEOUT,
            Self::TooMany(_) | Self::StoreAway(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::UpstreamUnreachable => StatusCode::BAD_GATEWAY,
            Self::UpstreamTimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::MethodNotSupported => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<Error> for Failure {
    /// Outcomes are answered by the handlers that know their texts; the rest are errors.
    fn from(error: Error) -> Self {
        match error {
            Error::General(GeneralError::ProtectedClaim { .. }) => Self::bad_input(PROTECTED_CLAIM),
            Error::General(
                GeneralError::NotAnObject { .. }
                | GeneralError::PayloadTooLarge { .. }
                | GeneralError::Serialise(_)
                | GeneralError::UserId(_),
            ) => Self::BadInput(error.to_string()),
            Error::General(GeneralError::Store(error)) if is_away(error.kind()) => {
                Self::StoreAway(error)
            }
            _ => Self::Internal(error),
        }
    }
}

/// Whether the store may well do later what it cannot do now.
fn is_away(kind: StoreErrorKind) -> bool {
    matches!(kind, StoreErrorKind::Unavailable | StoreErrorKind::NotWritable)
}

/// What a failure of the store is to whoever may ask: where it is and what it said is in the log.
pub(crate) fn reason(kind: StoreErrorKind) -> &'static str {
    match kind {
        StoreErrorKind::Unavailable => "the store cannot be reached, or did not answer in time",
        StoreErrorKind::Incompatible => "the store is of a version that this server cannot use",
        StoreErrorKind::NotWritable => "the store cannot be written to",
        _ => "the store failed; the log says how",
    }
}

impl From<Result<Answer, Failure>> for Answered {
    fn from(result: Result<Answer, Failure>) -> Self {
        Self(match result {
            Ok(Answer::Json(body)) => respond(StatusCode::OK, JSON, body.to_string(), None),
            Ok(Answer::Cached(body, control)) => {
                let control = HeaderValue::try_from(control).ok();
                let control = control.map(|control| (header::CACHE_CONTROL, control));
                respond(StatusCode::OK, JSON, body.to_string(), control)
            }
            Ok(Answer::Forwarded(response)) => response,
            Ok(Answer::Text(text)) => respond(StatusCode::OK, TEXT, text.to_owned(), None),
            Err(failure) => {
                match &failure {
                    Failure::Internal(error) => tracing::error!(%error, "a request failed"),
                    Failure::StoreAway(error) => {
                        tracing::warn!(%error, "a request was refused for want of the store");
                    }
                    _ => {}
                }
                let retry = (failure.status() == StatusCode::SERVICE_UNAVAILABLE)
                    .then_some((header::RETRY_AFTER, HeaderValue::from_static("1")));
                respond(failure.status(), TEXT, failure.to_string(), retry)
            }
        })
    }
}

/// A response, ready to be sent.
pub(crate) struct Answered(pub(crate) Response);

pub(crate) fn respond(
    status: StatusCode,
    content_type: HeaderValue,
    mut body: String,
    more: Option<(HeaderName, HeaderValue)>,
) -> Response {
    body.push('\n');
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    if let Some((name, value)) = more {
        response.headers_mut().insert(name, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_store_is_answered_by_its_kind_and_says_nothing_of_itself() {
        let name = TenantName { app: "shop".into(), tenant: "t1".into() };
        for (kind, status, retry) in [
            (StoreErrorKind::Unavailable, 503, Some("1")),
            (StoreErrorKind::NotWritable, 503, Some("1")),
            (StoreErrorKind::UnknownTenant, 400, None),
            (StoreErrorKind::Incompatible, 500, None),
            (StoreErrorKind::AlreadyExists, 500, None),
            (StoreErrorKind::Other, 500, None),
        ] {
            let error = Error::from(StoreError::new(kind, "at secret.example.com"));
            let failure = Failure::from(error).of_tenant(&name);
            assert!(!failure.to_string().contains("secret"), "{failure}");
            let Answered(response) = Err(failure).into();
            assert_eq!(response.status(), status, "{kind:?}");
            let header = response.headers().get(header::RETRY_AFTER);
            assert_eq!(header.map(HeaderValue::as_bytes), retry.map(str::as_bytes), "{kind:?}");
        }
    }
}
