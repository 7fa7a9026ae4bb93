use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pyo3::{prelude::*, types::PyDict};
use sessile::web;

use crate::{
    call::{Answer, Call},
    ending,
    engine::Shared,
    failure::Failure,
    information::{handles_to_python, information_to_python},
    json::{object_from_python, object_to_python},
    process::Process,
};

/// The session of a request.
#[pyclass(frozen, module = "sessile._sessile")]
pub(crate) struct Session {
    shared: Arc<Shared>,
    process: Arc<Process>,
    session: Arc<Mutex<web::Session>>,
}

fn lock(session: &Mutex<web::Session>) -> MutexGuard<'_, web::Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, process: Arc<Process>, session: web::Session) -> Self {
        Self { shared, process, session: Arc::new(Mutex::new(session)) }
    }

    /// A call about a copy of the session, so that nothing is locked while it waits.
    fn call<F, W>(&self, py: Python<'_>, computes: bool, work: W) -> PyResult<Call>
    where
        W: FnOnce(web::Session) -> F,
        F: Future<Output = Result<Answer, Failure>> + Send + 'static,
    {
        let _inside = ending::enter(py)?;
        if !self.process.is_current() {
            return Err(self.shared.error(py, Failure::OtherProcess));
        }
        let work = work(lock(&self.session).clone());
        Ok(Call::new(&self.shared, Arc::clone(&self.process), computes, work))
    }
}

fn nothing() -> Answer {
    Box::new(|py| Ok(py.None()))
}

#[pymethods]
impl Session {
    /// The user's id.
    #[getter]
    fn user_id(&self) -> String {
        lock(&self.session).get_user_id().to_owned()
    }

    /// The account that logged in.
    #[getter]
    fn recipe_user_id(&self) -> String {
        lock(&self.session).get_recipe_user_id().to_owned()
    }

    /// The session's name.
    #[getter]
    fn handle(&self) -> String {
        lock(&self.session).get_handle().as_str().to_owned()
    }

    /// The tenant of the user.
    #[getter]
    fn tenant_id(&self) -> String {
        lock(&self.session).get_tenant_id().as_str().to_owned()
    }

    /// The access token that the client has, or will have.
    #[getter]
    fn access_token(&self) -> String {
        lock(&self.session).get_access_token().expose().to_owned()
    }

    /// When the access token ends, in milliseconds since the Unix epoch.
    #[getter]
    fn access_token_expiry(&self) -> i64 {
        lock(&self.session).get_access_token_expiry().as_millis()
    }

    /// A copy of the payload.
    fn jwt_payload<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let _inside = ending::enter(py)?;
        object_to_python(py, lock(&self.session).get_jwt_payload())
    }

    /// Replaces the payload, and the access token with it.
    fn update_jwt_payload(&self, py: Python<'_>, jwt_payload: &Bound<'_, PyAny>) -> PyResult<Call> {
        let payload = object_from_python("jwt_payload", jwt_payload)?;
        let kept = Arc::clone(&self.session);
        self.call(py, true, async move |mut session: web::Session| {
            session.update_jwt_payload(&payload).await?;
            *lock(&kept) = session;
            Ok(nothing())
        })
    }

    /// The data kept with the session.
    fn session_data(&self, py: Python<'_>) -> PyResult<Call> {
        self.call(py, false, async |session: web::Session| {
            let data = session.get_session_data().await?;
            Ok(Box::new(move |py: Python<'_>| Ok(object_to_python(py, &data)?.into_any().unbind()))
                as Answer)
        })
    }

    /// Overwrites the data kept with the session.
    fn update_session_data(
        &self,
        py: Python<'_>,
        session_data: &Bound<'_, PyAny>,
    ) -> PyResult<Call> {
        let data = object_from_python("session_data", session_data)?;
        self.call(py, false, async move |session: web::Session| {
            session.update_session_data(&data).await?;
            Ok(nothing())
        })
    }

    /// Ends the session and clears the client's tokens.
    fn revoke(&self, py: Python<'_>) -> PyResult<Call> {
        self.call(py, false, async |mut session: web::Session| {
            session.revoke_session().await?;
            Ok(nothing())
        })
    }

    /// Ends all other sessions of the user, and gives their handles.
    fn revoke_others(&self, py: Python<'_>) -> PyResult<Call> {
        self.call(py, false, async |session: web::Session| {
            let ended = session.revoke_other_sessions().await?;
            Ok(Box::new(move |py: Python<'_>| handles_to_python(py, &ended)) as Answer)
        })
    }

    /// What is known of the session.
    fn information(&self, py: Python<'_>) -> PyResult<Call> {
        self.call(py, false, async |session: web::Session| {
            let found = session.get_session_information().await?;
            Ok(Box::new(move |py: Python<'_>| {
                Ok(information_to_python(py, &found)?.into_any().unbind())
            }) as Answer)
        })
    }

    fn __repr__(&self) -> String {
        let session = lock(&self.session);
        format!("<Session {} of user {:?}>", session.get_handle(), session.get_user_id())
    }
}
