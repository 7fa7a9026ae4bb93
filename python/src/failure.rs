//! What goes wrong, as Python exceptions.

use std::any::Any;

use pyo3::prelude::*;
use sessile::{Error, GeneralError, WebError, store::StoreError};

/// Why a call has no answer.
pub(crate) enum Failure {
    /// The engine or the browser contract says no.
    Web(WebError),
    /// The sessions were closed.
    Closed,
    /// The session was made before the process forked.
    OtherProcess,
    /// A fault in this program.
    Panic(String),
    /// A thread cannot be started.
    Thread(std::io::Error),
}

impl From<WebError> for Failure {
    fn from(error: WebError) -> Self {
        Self::Web(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Web(error.into())
    }
}

impl From<GeneralError> for Failure {
    fn from(error: GeneralError) -> Self {
        Self::Web(error.into())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Web(Error::from(error).into())
    }
}

/// What an exception says: the arguments of the function that makes it.
struct Description<'a> {
    kind: &'static str,
    message: String,
    reason: &'a str,
    status: u16,
    user_id: Option<&'a str>,
    session_handle: Option<&'a str>,
}

impl Failure {
    /// The panic that `payload` is from.
    pub(crate) fn from_panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        Self::Panic(text.unwrap_or("no text").to_owned())
    }

    /// The exception, as `make_error` of the Python package makes it.
    pub(crate) fn into_error(
        self,
        py: Python<'_>,
        config: &sessile::WebConfig,
        make_error: &Py<PyAny>,
    ) -> PyErr {
        let general = |message, reason| Description {
            kind: "general",
            message,
            reason,
            status: 500,
            user_id: None,
            session_handle: None,
        };
        let description = match &self {
            Self::Web(error) => describe(error, config),
            Self::Closed => general(
                "the sessions were closed, and cannot be used any more".to_owned(),
                "closed",
            ),
            Self::OtherProcess => general(
                "the session object was made before the process forked; take it from a request of \
                 this process"
                    .to_owned(),
                "other_process",
            ),
            Self::Panic(text) => general(
                format!("a fault in Sessile, which should be reported: {text}"),
                "internal_error",
            ),
            Self::Thread(error) => {
                general(format!("a thread cannot be started: {error}"), "no_thread")
            }
        };
        let Description { kind, message, reason, status, user_id, session_handle } = description;
        let arguments = (kind, message, reason, status, user_id, session_handle);
        match make_error.bind(py).call1(arguments) {
            Ok(error) => PyErr::from_value(error),
            Err(error) => error,
        }
    }
}

fn describe<'a>(error: &'a WebError, config: &sessile::WebConfig) -> Description<'a> {
    let (kind, user_id, session_handle) = match error {
        WebError::Forbidden(_) => ("forbidden", None, None),
        WebError::Session(Error::Unauthorised { .. }) => ("unauthorised", None, None),
        WebError::Session(Error::TryRefreshToken { .. }) => ("try_refresh_token", None, None),
        WebError::Session(Error::TokenTheftDetected { session_handle, user_id, .. }) => {
            ("token_theft_detected", Some(user_id.as_str()), Some(session_handle.as_str()))
        }
        _ => ("general", None, None),
    };
    Description {
        kind,
        message: error.to_string(),
        reason: error.reason_code(),
        status: error.status(config).as_u16(),
        user_id,
        session_handle,
    }
}
