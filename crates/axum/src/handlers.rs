use std::{fmt, future::Future, pin::Pin, sync::Arc};

use axum::response::{IntoResponse, Response};
use sessile_core::Error;
use sessile_web::WebError;

/// An error that a [`SessionRejection`](crate::SessionRejection) left in its answer for the layer.
#[derive(Clone, Debug)]
pub struct Rejected(pub Arc<WebError>);

type Handler =
    Arc<dyn Fn(Arc<WebError>) -> Pin<Box<dyn Future<Output = Response> + Send>> + Send + Sync>;

/// The application's own answers, one for each error.
#[derive(Clone, Default)]
pub(crate) struct ErrorHandlers {
    pub(crate) unauthorised: Option<Handler>,
    pub(crate) try_refresh_token: Option<Handler>,
    pub(crate) token_theft_detected: Option<Handler>,
    pub(crate) forbidden: Option<Handler>,
    pub(crate) general: Option<Handler>,
}

pub(crate) fn boxed<F, Fut, R>(handler: F) -> Option<Handler>
where
    F: Fn(Arc<WebError>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = R> + Send + 'static,
    R: IntoResponse,
{
    Some(Arc::new(move |error| {
        let answer = handler(error);
        Box::pin(async move { answer.await.into_response() })
    }))
}

impl ErrorHandlers {
    /// The handler of this error, if the application has one.
    pub(crate) fn of(&self, error: &WebError) -> Option<&Handler> {
        match error {
            WebError::Session(Error::Unauthorised { .. }) => self.unauthorised.as_ref(),
            WebError::Session(Error::TryRefreshToken { .. }) => self.try_refresh_token.as_ref(),
            WebError::Session(Error::TokenTheftDetected { .. }) => {
                self.token_theft_detected.as_ref()
            }
            WebError::Forbidden(_) => self.forbidden.as_ref(),
            _ => self.general.as_ref(),
        }
    }
}

impl fmt::Debug for ErrorHandlers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ErrorHandlers(…)")
    }
}
