use std::{fmt, marker::PhantomData, ops::Deref, time::Duration};

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::{HeaderMap, Method, Uri, request::Parts};
use sessile_core::{Error, NewSession, SessionService, policy::Revocation};
use sessile_web::{
    AntiCsrfCheck, RequestHead, Requirements, ResponseChanges, WebError, WebSessions,
};

use crate::{layer::RequestState, rejection::SessionRejection, session::Session};

fn state(parts: &Parts) -> Result<&RequestState, SessionRejection> {
    parts.extensions.get().ok_or_else(SessionRejection::missing_layer)
}

async fn authenticate(
    parts: &Parts,
    requirements: Requirements,
) -> Result<Option<Session>, SessionRejection> {
    let state = state(parts)?;
    let head = RequestHead::from(parts);
    let result = state.web.authenticate(&head, requirements, &state.response).await;
    match result {
        Ok(session) => Ok(session.map(Session)),
        Err(error) => Err(state.reject(error)),
    }
}

async fn require(parts: &Parts, requirements: Requirements) -> Result<Session, SessionRejection> {
    let state = state(parts)?;
    let head = RequestHead::from(parts);
    let result = state.web.require(&head, requirements, &state.response).await;
    result.map(Session).map_err(|error| state.reject(error))
}

/// A request whose session has ended is served like one that never had a session.
async fn optional(
    parts: &Parts,
    requirements: Requirements,
) -> Result<Option<Session>, SessionRejection> {
    match authenticate(parts, requirements).await {
        Err(rejection) if rejection.is_unauthorised() => Ok(None),
        result => result,
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        require(parts, Requirements::default()).await
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Session {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Self::Rejection> {
        optional(parts, Requirements::default()).await
    }
}

/// Something that [`SessionWith`] requires; pairs and triples require all of theirs.
pub trait Requirement: Send + Sync + 'static {
    /// Adds it to the others.
    fn add_to(requirements: &mut Requirements);
}

/// The request is checked for coming from another site whatever its method.
#[derive(Clone, Copy, Debug)]
pub enum RequireAntiCsrf {}

/// The request is not checked for coming from another site: for handlers that change nothing, or
/// that are guarded otherwise.
#[derive(Clone, Copy, Debug)]
pub enum SkipAntiCsrf {}

/// The store is asked whether the session is still there, so that a revocation holds at once.
#[derive(Clone, Copy, Debug)]
pub enum Immediate {}

/// The login is at most this many seconds ago, so that an old session cannot do what is sensitive.
/// Answered with 403 and the reason `login_not_fresh` otherwise; the session stays.
#[derive(Clone, Copy, Debug)]
pub enum FreshLogin<const SECONDS: u64> {}

impl<const SECONDS: u64> Requirement for FreshLogin<SECONDS> {
    fn add_to(requirements: &mut Requirements) {
        requirements.login_within = Some(Duration::from_secs(SECONDS));
    }
}

impl Requirement for RequireAntiCsrf {
    fn add_to(requirements: &mut Requirements) {
        requirements.anti_csrf = AntiCsrfCheck::Required;
    }
}

impl Requirement for SkipAntiCsrf {
    fn add_to(requirements: &mut Requirements) {
        requirements.anti_csrf = AntiCsrfCheck::Skipped;
    }
}

impl Requirement for Immediate {
    fn add_to(requirements: &mut Requirements) {
        requirements.revocation = Some(Revocation::Immediate);
    }
}

impl<A: Requirement, B: Requirement> Requirement for (A, B) {
    fn add_to(requirements: &mut Requirements) {
        A::add_to(requirements);
        B::add_to(requirements);
    }
}

/// A [`Session`] under other requirements than the usual ones.
///
/// ```
/// use sessile_axum::{Immediate, RequireAntiCsrf, SessionRejection, SessionWith};
///
/// async fn transfer_money(
///     SessionWith(session, ..): SessionWith<(Immediate, RequireAntiCsrf)>,
/// ) -> Result<String, SessionRejection> {
///     Ok(format!("{} is still logged in", session.get_user_id()))
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(transfer_money));
/// ```
pub struct SessionWith<R>(
    /// The session.
    pub Session,
    /// What was required of it.
    pub PhantomData<R>,
);

impl<R: Requirement> SessionWith<R> {
    fn requirements() -> Requirements {
        let mut requirements = Requirements::default();
        R::add_to(&mut requirements);
        requirements
    }
}

impl<R> fmt::Debug for SessionWith<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("SessionWith").field(&self.0).finish()
    }
}

impl<S: Send + Sync, R: Requirement> FromRequestParts<S> for SessionWith<R> {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        require(parts, Self::requirements()).await.map(|session| Self(session, PhantomData))
    }
}

impl<S: Send + Sync, R: Requirement> OptionalFromRequestParts<S> for SessionWith<R> {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Self::Rejection> {
        let session = optional(parts, Self::requirements()).await?;
        Ok(session.map(|session| Self(session, PhantomData)))
    }
}

/// A request as far as sessions go: for logging in, and for what is done with sessions by their
/// handles, to which it dereferences.
///
/// ```
/// use axum::Json;
/// use sessile_axum::{NewSession, SessionRejection, SessionRequest};
///
/// async fn login(request: SessionRequest) -> Result<Json<usize>, SessionRejection> {
///     let session = request.create_new_session(NewSession::new("alice")).await?;
///     let handles = request.get_all_session_handles_for_user(session.get_user_id()).await?;
///     Ok(Json(handles.len()))
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::post(login));
/// ```
#[derive(Debug)]
pub struct SessionRequest {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    web: WebSessions,
    response: ResponseChanges,
}

impl SessionRequest {
    fn head(&self) -> RequestHead<'_> {
        RequestHead { method: &self.method, uri: &self.uri, headers: &self.headers }
    }

    /// Creates a session for this client, and ends the one that it had. Its tokens are in the
    /// answer.
    ///
    /// # Errors
    /// As [`WebSessions::create_new_session`].
    pub async fn create_new_session(&self, new: NewSession) -> Result<Session, WebError> {
        self.web.create_new_session(&self.head(), new, &self.response).await.map(Session)
    }

    /// Exchanges the request's refresh token, for a refresh route of one's own.
    ///
    /// # Errors
    /// As [`WebSessions::refresh_session`].
    pub async fn refresh_session(&self) -> Result<Session, WebError> {
        self.web.refresh_session(&self.head(), &self.response).await.map(Session)
    }

    /// Ends the request's session, for a sign-out route of one's own.
    ///
    /// # Errors
    /// As [`WebSessions::sign_out`].
    pub async fn sign_out(&self) -> Result<(), WebError> {
        self.web.sign_out(&self.head(), &self.response).await
    }
}

impl Deref for SessionRequest {
    type Target = dyn SessionService;

    fn deref(&self) -> &Self::Target {
        self.web.service()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SessionRequest {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let RequestState { web, response } = state(parts)?.clone();
        Ok(Self {
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            headers: parts.headers.clone(),
            web,
            response,
        })
    }
}

impl RequestState {
    fn reject(&self, error: WebError) -> SessionRejection {
        if let WebError::Session(Error::General(source)) = &error {
            tracing::error!(error = %source, "a session could not be served");
        }
        SessionRejection::from(error)
    }
}
