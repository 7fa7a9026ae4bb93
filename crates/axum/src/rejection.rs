use std::{fmt, sync::Arc};

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use sessile_core::{Error, GeneralError};
use sessile_web::{WebConfig, WebError};

use crate::handlers::Rejected;

const MISSING_LAYER: &str = "this request did not pass a SessionLayer: add .layer(SessionLayer::new(web)) to the router, \
     after its routes";

/// An answer in place of a handler's: the request has no good session, or something failed.
///
/// Handlers return it, and `?` makes it from every error of a session. The answer is
/// `{"message": …, "reason": …}` with the status that [`WebError::status`] tells, unless the
/// [`SessionLayer`](crate::SessionLayer) has a handler for it.
#[derive(Debug)]
pub struct SessionRejection {
    cause: Option<Arc<WebError>>,
}

impl SessionRejection {
    pub(crate) fn missing_layer() -> Self {
        Self { cause: None }
    }

    pub(crate) fn is_unauthorised(&self) -> bool {
        matches!(self.error(), Some(WebError::Session(Error::Unauthorised { .. })))
    }

    /// What went wrong; `None` if it is only that the layer is missing.
    pub fn error(&self) -> Option<&WebError> {
        self.cause.as_deref()
    }
}

impl fmt::Display for SessionRejection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Some(error) => error.fmt(formatter),
            None => formatter.write_str(MISSING_LAYER),
        }
    }
}

impl std::error::Error for SessionRejection {}

impl From<WebError> for SessionRejection {
    fn from(error: WebError) -> Self {
        Self { cause: Some(Arc::new(error)) }
    }
}

impl From<Error> for SessionRejection {
    fn from(error: Error) -> Self {
        WebError::from(error).into()
    }
}

impl From<GeneralError> for SessionRejection {
    fn from(error: GeneralError) -> Self {
        WebError::from(error).into()
    }
}

impl IntoResponse for SessionRejection {
    fn into_response(self) -> Response {
        let Some(error) = self.cause else {
            tracing::error!("{MISSING_LAYER}");
            return (StatusCode::INTERNAL_SERVER_ERROR, MISSING_LAYER).into_response();
        };
        let mut response = default_response(&error, &WebConfig::default());
        // The layer knows the configuration, and perhaps a better answer.
        response.extensions_mut().insert(Rejected(error));
        response
    }
}

pub(crate) fn default_response(error: &WebError, config: &WebConfig) -> Response {
    (error.status(config), Json(error.body())).into_response()
}
