use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::response::{IntoResponse, Response};
use http::Request;
use pin_project_lite::pin_project;
use sessile_web::{RequestHead, ResponseChanges, WebError, WebSessions};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    handlers::{ErrorHandlers, Rejected, boxed},
    rejection::default_response,
};

/// What the layer hands to the extractors.
#[derive(Clone, Debug)]
pub(crate) struct RequestState {
    pub(crate) web: WebSessions,
    pub(crate) response: ResponseChanges,
}

/// Makes sessions work below it: extractors find them, and the answer carries the cookies and
/// headers that they changed, whatever the handler answered.
///
/// A layer covers the routes that were added before it.
#[derive(Clone, Debug)]
pub struct SessionLayer(Arc<Settings>);

#[derive(Clone, Debug)]
struct Settings {
    web: WebSessions,
    handlers: ErrorHandlers,
}

impl SessionLayer {
    /// The layer for these sessions.
    pub fn new(web: WebSessions) -> Self {
        Self(Arc::new(Settings { web, handlers: ErrorHandlers::default() }))
    }

    fn with(mut self, change: impl FnOnce(&mut ErrorHandlers)) -> Self {
        change(&mut Arc::make_mut(&mut self.0).handlers);
        self
    }

    /// Answers requests without a session by `handler`. Cookies of a session that is gone are
    /// cleared whatever it answers.
    #[must_use]
    pub fn on_unauthorised<F, Fut, R>(self, handler: F) -> Self
    where
        F: Fn(Arc<WebError>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: IntoResponse,
    {
        self.with(|handlers| handlers.unauthorised = boxed(handler))
    }

    /// Answers requests whose access token is not good by `handler`. Front-end SDKs refresh on
    /// the status 401 with the message `try refresh token`.
    #[must_use]
    pub fn on_try_refresh_token<F, Fut, R>(self, handler: F) -> Self
    where
        F: Fn(Arc<WebError>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: IntoResponse,
    {
        self.with(|handlers| handlers.try_refresh_token = boxed(handler))
    }

    /// Answers refreshes by a stolen token by `handler`. The session has been ended before, and
    /// the cookies are cleared whatever it answers.
    ///
    /// ```
    /// # use sessile_core::{Error, Sessions, memory::MemoryStore};
    /// # use sessile_web::{WebConfig, WebError, WebSessions};
    /// # use sessile_axum::SessionLayer;
    /// # async fn example(web: WebSessions) -> SessionLayer {
    /// SessionLayer::new(web).on_token_theft_detected(async |error| {
    ///     if let WebError::Session(Error::TokenTheftDetected { user_id, .. }) = &*error {
    ///         eprintln!("write to {user_id}");
    ///     }
    ///     (http::StatusCode::UNAUTHORIZED, "token theft detected")
    /// })
    /// # }
    /// ```
    #[must_use]
    pub fn on_token_theft_detected<F, Fut, R>(self, handler: F) -> Self
    where
        F: Fn(Arc<WebError>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: IntoResponse,
    {
        self.with(|handlers| handlers.token_theft_detected = boxed(handler))
    }

    /// Answers requests that another site may have sent by `handler`.
    #[must_use]
    pub fn on_forbidden<F, Fut, R>(self, handler: F) -> Self
    where
        F: Fn(Arc<WebError>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: IntoResponse,
    {
        self.with(|handlers| handlers.forbidden = boxed(handler))
    }

    /// Answers every other error by `handler`: faults of the server.
    #[must_use]
    pub fn on_general_error<F, Fut, R>(self, handler: F) -> Self
    where
        F: Fn(Arc<WebError>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: IntoResponse,
    {
        self.with(|handlers| handlers.general = boxed(handler))
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionMiddleware<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionMiddleware { inner, layer: self.clone() }
    }
}

/// The service that [`SessionLayer`] makes.
#[derive(Clone, Debug)]
pub struct SessionMiddleware<S> {
    inner: S,
    layer: SessionLayer,
}

impl<S, B> Service<Request<B>> for SessionMiddleware<S>
where
    S: Service<Request<B>, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = SessionResponseFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let web = self.layer.0.web.clone();
        let head = RequestHead {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
        };
        let response = ResponseChanges::new(web.config(), &head);
        request.extensions_mut().insert(RequestState { web, response: response.clone() });
        SessionResponseFuture {
            stage: Stage::Handler { answer: self.inner.call(request) },
            settings: Arc::clone(&self.layer.0),
            response,
        }
    }
}

pin_project! {
    /// The future of [`SessionMiddleware`].
    pub struct SessionResponseFuture<F> {
        #[pin]
        stage: Stage<F>,
        settings: Arc<Settings>,
        response: ResponseChanges,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<F> {
        Handler { #[pin] answer: F },
        ErrorHandler { answer: Pin<Box<dyn Future<Output = Response> + Send>> },
    }
}

impl<F> Future for SessionResponseFuture<F>
where
    F: Future<Output = Result<Response, Infallible>>,
{
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let mut response = match this.stage.as_mut().project() {
                StageProjection::ErrorHandler { answer } => ready!(answer.as_mut().poll(context)),
                StageProjection::Handler { answer } => {
                    let Ok(mut response) = ready!(answer.poll(context));
                    if let Some(Rejected(error)) = response.extensions_mut().remove::<Rejected>() {
                        if let Some(handler) = this.settings.handlers.of(&error) {
                            this.stage.set(Stage::ErrorHandler { answer: handler(error) });
                            continue;
                        }
                        response = default_response(&error, this.settings.web.config());
                    }
                    response
                }
            };
            this.response.write_to(response.headers_mut());
            return Poll::Ready(Ok(response));
        }
    }
}

impl<F> fmt::Debug for SessionResponseFuture<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SessionResponseFuture")
    }
}
