use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pyo3::{prelude::*, types::PyDict};
use sessile::{
    SessionHandle, SessionService, TenantId, TenantScope, WebConfig, event::RevocationReason,
};

use crate::{
    call::{Answer, Call},
    ending,
    exchange::Exchange,
    failure::Failure,
    information::{handles_to_python, information_to_python},
    json::{json_to_python, object_from_python, object_to_python},
    process::{Opened, Process},
    settings::{GivenSettings, Settings},
};

/// What an engine, its requests and its sessions share.
pub(crate) struct Shared {
    pub(crate) settings: Arc<Settings>,
    pub(crate) web_config: Arc<WebConfig>,
    make_error: Py<PyAny>,
    state: Mutex<State>,
}

enum State {
    /// No store is open; the next call opens it.
    Idle,
    /// This process, or the one that it was forked from, uses the store.
    Running(Arc<Process>),
    /// Nothing is opened any more.
    Closed,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn error(&self, py: Python<'_>, failure: Failure) -> PyErr {
        failure.into_error(py, &self.web_config, &self.make_error)
    }

    /// What this process has, if anything.
    fn running(&self) -> Option<Arc<Process>> {
        match &*self.state() {
            State::Running(process) if process.is_current() => Some(Arc::clone(process)),
            State::Running(_) | State::Idle | State::Closed => None,
        }
    }

    /// What this process has; begun where there is nothing yet.
    pub(crate) fn process(&self) -> Result<Arc<Process>, Failure> {
        let mut state = self.state();
        match &*state {
            State::Closed => return Err(Failure::Closed),
            State::Running(process) if process.is_current() => return Ok(Arc::clone(process)),
            State::Idle | State::Running(_) => {}
        }
        let process = Arc::new(Process::start()?);
        let before = std::mem::replace(&mut *state, State::Running(Arc::clone(&process)));
        let_go(before);
        Ok(process)
    }

    /// A call on the open store.
    pub(crate) fn call<F, W>(
        self: &Arc<Self>,
        py: Python<'_>,
        computes: bool,
        work: W,
    ) -> PyResult<Call>
    where
        W: FnOnce(Arc<Process>) -> F,
        F: Future<Output = Result<Answer, Failure>> + Send + 'static,
    {
        let _inside = ending::enter(py)?;
        let process = self.process().map_err(|failure| self.error(py, failure))?;
        let work = work(Arc::clone(&process));
        Ok(Call::new(self, process, computes, work))
    }

    /// A call that asks the session service.
    fn ask<F, W>(self: &Arc<Self>, py: Python<'_>, work: W) -> PyResult<Call>
    where
        W: FnOnce(Arc<Process>, Arc<Settings>) -> F,
        F: Future<Output = Result<Answer, Failure>> + Send + 'static,
    {
        self.call(py, false, |process| work(process, Arc::clone(&self.settings)))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let_go(std::mem::replace(state, State::Closed));
    }
}

/// What belongs to the process that this one was forked from must not be touched: not its file or
/// connections, and its threads are not here.
fn let_go(state: State) {
    if let State::Running(process) = state
        && !process.is_current()
    {
        std::mem::forget(process);
    }
}

fn handle_list(handles: &[String]) -> Vec<SessionHandle> {
    handles.iter().map(|handle| SessionHandle::new(handle)).collect()
}

fn nothing() -> Answer {
    Box::new(|py| Ok(py.None()))
}

/// Sessions in a store, and how they meet the browser. It opens the store when it is first needed,
/// in each process anew.
#[pyclass(frozen, module = "sessile._sessile")]
pub(crate) struct Engine {
    shared: Arc<Shared>,
    /// What is closed while the process forks; it may be closed for good meanwhile.
    forking: Mutex<Option<Arc<Process>>>,
}

impl Engine {
    fn forking(&self) -> MutexGuard<'_, Option<Arc<Process>>> {
        self.forking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Engine {
    /// Checks the settings; opens nothing. `make_error` is called with kind, message, reason,
    /// status, user id and session handle of a failure, and gives the exception.
    #[new]
    fn new(py: Python<'_>, settings: &Bound<'_, PyAny>, make_error: Py<PyAny>) -> PyResult<Self> {
        let _inside = ending::enter(py)?;
        let settings: GivenSettings = settings.extract()?;
        let settings = Arc::new(settings.check(py)?);
        let web_config = Arc::new(settings.web.clone());
        let state = Mutex::new(State::Idle);
        let shared = Arc::new(Shared { settings, web_config, make_error, state });
        Ok(Self { shared, forking: Mutex::new(None) })
    }

    /// Where sessions are kept, for a log: without user and password.
    #[getter]
    fn location(&self) -> String {
        self.shared.settings.location.description()
    }

    /// The path of the refresh route.
    #[getter]
    fn refresh_path(&self) -> String {
        self.shared.web_config.refresh_path()
    }

    /// The path of the sign-out route.
    #[getter]
    fn sign_out_path(&self) -> String {
        self.shared.web_config.sign_out_path()
    }

    /// The path of the public keys.
    #[getter]
    fn json_web_key_set_path(&self) -> String {
        self.shared.web_config.json_web_key_set_path()
    }

    /// The path of the script for pages without a front-end SDK.
    #[getter]
    fn browser_script_path(&self) -> String {
        self.shared.web_config.browser_script_path()
    }

    /// Opens the store, if that was not done. After a `close`, it opens it again.
    fn open(&self, py: Python<'_>) -> PyResult<Call> {
        {
            let mut state = self.shared.state();
            if matches!(*state, State::Closed) {
                *state = State::Idle;
            }
        }
        self.shared.ask(py, async |process: Arc<Process>, settings: Arc<Settings>| {
            process.opened(&settings).await?;
            Ok(nothing())
        })
    }

    /// Finishes what was begun and closes the store. Every later call fails.
    fn close(&self, py: Python<'_>) {
        let before = std::mem::replace(&mut *self.shared.state(), State::Closed);
        close(py, before);
    }

    /// Closes the store so that the process can fork. Calls of other threads wait for `end_fork`,
    /// which must follow, in this process; in the forked one it must not.
    fn begin_fork(&self, py: Python<'_>) {
        if let Some(process) = self.shared.running() {
            py.detach(|| process.begin_fork());
            *self.forking() = Some(process);
        }
    }

    /// Opens the store again. If that fails, the next call tries once more.
    fn end_fork(&self, py: Python<'_>) {
        let Some(process) = self.forking().take() else { return };
        if py.detach(|| process.end_fork()).is_err() {
            let mut state = self.shared.state();
            if matches!(&*state, State::Running(running) if Arc::ptr_eq(running, &process)) {
                *state = State::Idle;
            }
        }
    }

    /// How often each intent was asked of the store, by its name, since this process opened it.
    fn store_calls<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let _inside = ending::enter(py)?;
        let dict = PyDict::new(py);
        if let Some(process) = self.shared.running()
            && let Some(opened) = process.opened_already()
        {
            for (name, number) in opened.sessions.store().calls() {
                dict.set_item(name, number)?;
            }
        }
        Ok(dict)
    }

    /// A request, of which only the headers count that concern sessions.
    fn exchange(
        &self,
        method: &str,
        scheme: &str,
        headers: &Bound<'_, PyAny>,
    ) -> PyResult<Exchange> {
        let _inside = ending::enter(headers.py())?;
        Exchange::new(&self.shared, method, scheme, headers)
    }

    /// Ends these sessions, and gives the handles of those that existed.
    fn revoke_sessions(&self, py: Python<'_>, handles: &Bound<'_, PyAny>) -> PyResult<Call> {
        let _inside = ending::enter(py)?;
        let handles: Vec<String> = handles.extract()?;
        self.shared.ask(py, async move |process: Arc<Process>, settings: Arc<Settings>| {
            let Opened { sessions, .. } = process.opened(&settings).await?;
            let handles = handle_list(&handles);
            let ended = sessions.revoke_sessions(&handles, RevocationReason::Requested).await?;
            Ok(Box::new(move |py: Python<'_>| handles_to_python(py, &ended)) as Answer)
        })
    }

    /// Ends all sessions of a user but one, and gives their handles.
    #[pyo3(signature = (user_id, tenant_id=None, but=None))]
    fn revoke_sessions_of_user(
        &self,
        py: Python<'_>,
        user_id: String,
        tenant_id: Option<&str>,
        but: Option<String>,
    ) -> PyResult<Call> {
        let tenants = scope(tenant_id)?;
        self.shared.ask(py, async move |process: Arc<Process>, settings: Arc<Settings>| {
            let Opened { sessions, .. } = process.opened(&settings).await?;
            let but = but.as_deref().map(SessionHandle::new);
            let ended = sessions.revoke_sessions_of_user(&user_id, &tenants, but.as_ref()).await?;
            Ok(Box::new(move |py: Python<'_>| handles_to_python(py, &ended)) as Answer)
        })
    }

    /// What is known of each session of a user, oldest first.
    #[pyo3(signature = (user_id, tenant_id=None))]
    fn sessions_of_user(
        &self,
        py: Python<'_>,
        user_id: String,
        tenant_id: Option<&str>,
    ) -> PyResult<Call> {
        let tenants = scope(tenant_id)?;
        self.shared.ask(py, async move |process: Arc<Process>, settings: Arc<Settings>| {
            let Opened { sessions, .. } = process.opened(&settings).await?;
            let found = sessions.get_sessions_of_user(&user_id, &tenants).await?;
            Ok(Box::new(move |py: Python<'_>| {
                let list: PyResult<Vec<_>> =
                    found.iter().map(|found| information_to_python(py, found)).collect();
                Ok(list?.into_pyobject(py)?.unbind())
            }) as Answer)
        })
    }

    /// What is known of a session; `None` if there is none.
    fn session_information(&self, py: Python<'_>, handle: String) -> PyResult<Call> {
        self.shared.ask(py, async move |process: Arc<Process>, settings: Arc<Settings>| {
            let Opened { sessions, .. } = process.opened(&settings).await?;
            let found = sessions.get_session_information(&SessionHandle::new(&handle)).await?;
            Ok(Box::new(move |py: Python<'_>| match found {
                Some(found) => Ok(information_to_python(py, &found)?.into_any().unbind()),
                None => Ok(py.None()),
            }) as Answer)
        })
    }

    /// The data kept with a session.
    fn session_data(&self, py: Python<'_>, handle: String) -> PyResult<Call> {
        self.shared.ask(py, async move |process: Arc<Process>, settings: Arc<Settings>| {
            let Opened { sessions, .. } = process.opened(&settings).await?;
            let data = sessions.get_session_data(&SessionHandle::new(&handle)).await?;
            Ok(Box::new(move |py: Python<'_>| Ok(object_to_python(py, &data)?.into_any().unbind()))
                as Answer)
        })
    }

    /// Overwrites the data kept with a session.
    fn update_session_data(
        &self,
        py: Python<'_>,
        handle: String,
        session_data: &Bound<'_, PyAny>,
    ) -> PyResult<Call> {
        let data = object_from_python("session_data", session_data)?;
        self.shared.ask(py, async move |process: Arc<Process>, settings: Arc<Settings>| {
            let Opened { sessions, .. } = process.opened(&settings).await?;
            sessions.update_session_data(&SessionHandle::new(&handle), data).await?;
            Ok(nothing())
        })
    }

    /// The payload of a session as it is stored.
    fn jwt_payload(&self, py: Python<'_>, handle: String) -> PyResult<Call> {
        self.shared.ask(py, async move |process: Arc<Process>, settings: Arc<Settings>| {
            let Opened { sessions, .. } = process.opened(&settings).await?;
            let payload = sessions.get_jwt_payload(&SessionHandle::new(&handle)).await?;
            Ok(Box::new(move |py: Python<'_>| {
                Ok(object_to_python(py, &payload)?.into_any().unbind())
            }) as Answer)
        })
    }

    /// Replaces the stored payload of a session.
    fn update_jwt_payload(
        &self,
        py: Python<'_>,
        handle: String,
        jwt_payload: &Bound<'_, PyAny>,
    ) -> PyResult<Call> {
        let payload = object_from_python("jwt_payload", jwt_payload)?;
        self.shared.ask(py, async move |process: Arc<Process>, settings: Arc<Settings>| {
            let Opened { sessions, .. } = process.opened(&settings).await?;
            sessions.update_jwt_payload(&SessionHandle::new(&handle), payload).await?;
            Ok(nothing())
        })
    }

    /// The public keys, and the value of `Cache-Control` for them.
    fn json_web_key_set(&self, py: Python<'_>) -> PyResult<Call> {
        self.shared.ask(py, async |process: Arc<Process>, settings: Arc<Settings>| {
            let Opened { sessions, .. } = process.opened(&settings).await?;
            let keys = sessions.get_json_web_key_set().await?;
            Ok(Box::new(move |py: Python<'_>| {
                let pair = (json_to_python(py, &keys.document)?, keys.cache_control());
                Ok(pair.into_pyobject(py)?.into_any().unbind())
            }) as Answer)
        })
    }

    /// Removes sessions that expired and keys that retired, and gives the number of sessions.
    fn sweep(&self, py: Python<'_>) -> PyResult<Call> {
        self.shared.ask(py, async |process: Arc<Process>, settings: Arc<Settings>| {
            let Opened { sessions, .. } = process.opened(&settings).await?;
            let swept = sessions.sweep_all().await?;
            Ok(Box::new(move |py: Python<'_>| {
                Ok(swept.sessions.into_pyobject(py)?.into_any().unbind())
            }) as Answer)
        })
    }
}

fn scope(tenant_id: Option<&str>) -> PyResult<TenantScope> {
    match tenant_id {
        None => Ok(TenantScope::All),
        Some(text) => Ok(TenantScope::Only(tenant(text)?)),
    }
}

/// The tenant of that name.
pub(crate) fn tenant(text: &str) -> PyResult<TenantId> {
    text.parse().map_err(|error| {
        pyo3::exceptions::PyValueError::new_err(format!("tenant_id '{text}': {error}"))
    })
}

fn close(py: Python<'_>, state: State) {
    match state {
        State::Running(process) if process.is_current() => py.detach(|| process.close()),
        other => let_go(other),
    }
}
