use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyBytes, PyTuple},
};
use sessile::{
    Error, NewSession, WebError,
    policy::Revocation,
    web::{AntiCsrfCheck, RequestHead, Requirements, ResponseChanges},
};

use crate::{
    call::{Answer, Call},
    clock::seconds,
    ending,
    engine::{Shared, tenant},
    failure::Failure,
    json::object_from_python,
    process::Process,
    session::Session,
};

/// The headers that concern sessions.
static HEADERS: [HeaderName; 9] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::HOST,
    header::ORIGIN,
    header::REFERER,
    HeaderName::from_static("anti-csrf"),
    HeaderName::from_static("rid"),
    HeaderName::from_static("sec-fetch-site"),
    HeaderName::from_static("st-auth-mode"),
];

/// A request, and what its answer will do to the client's tokens.
#[pyclass(frozen, module = "sessile._sessile")]
pub(crate) struct Exchange {
    shared: Arc<Shared>,
    state: Arc<ExchangeState>,
}

struct ExchangeState {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    response: ResponseChanges,
}

impl ExchangeState {
    fn head(&self) -> RequestHead<'_> {
        RequestHead { method: &self.method, uri: &self.uri, headers: &self.headers }
    }
}

fn answer_session(
    shared: Arc<Shared>,
    process: Arc<Process>,
    session: sessile::web::Session,
) -> Answer {
    Box::new(move |py| {
        let session = Session::new(shared, process, session);
        Ok(session.into_pyobject(py)?.into_any().unbind())
    })
}

impl Exchange {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        method: &str,
        scheme: &str,
        headers: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| PyValueError::new_err(format!("'{method}' is no method of HTTP")))?;
        let headers = session_headers(headers)?;
        let uri =
            if matches!(scheme, "https" | "wss") { https_uri(&headers) } else { Uri::default() };
        let head = RequestHead { method: &method, uri: &uri, headers: &headers };
        let response = ResponseChanges::new(&shared.web_config, &head);
        let state = ExchangeState { method, uri, headers, response };
        Ok(Self { shared: Arc::clone(shared), state: Arc::new(state) })
    }
}

/// The headers that concern sessions. A value that HTTP does not have is left out.
fn session_headers(given: &Bound<'_, PyAny>) -> PyResult<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(8);
    for pair in given.try_iter()? {
        let pair = pair?;
        let (name, value) = match pair.cast::<PyTuple>() {
            Ok(pair) if pair.len() == 2 => (pair.get_item(0)?, pair.get_item(1)?),
            _ => pair.extract()?,
        };
        let (name, value) = (name.cast::<PyBytes>()?, value.cast::<PyBytes>()?);
        let name = name.as_bytes();
        let known =
            HEADERS.iter().find(|known| name.eq_ignore_ascii_case(known.as_str().as_bytes()));
        if let Some(known) = known
            && let Ok(value) = HeaderValue::from_bytes(value.as_bytes())
        {
            headers.append(known, value);
        }
    }
    Ok(headers)
}

/// Says that the request came by https, and to which host.
fn https_uri(headers: &HeaderMap) -> Uri {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    Uri::builder().scheme("https").authority(host).path_and_query("/").build().unwrap_or_else(
        |_| {
            // A host that no URI has.
            Uri::from_static("https://localhost/")
        },
    )
}

/// How a request is checked for coming from another site.
fn anti_csrf_check(required: Option<bool>) -> AntiCsrfCheck {
    match required {
        None => AntiCsrfCheck::ByMethod,
        Some(true) => AntiCsrfCheck::Required,
        Some(false) => AntiCsrfCheck::Skipped,
    }
}

#[pymethods]
impl Exchange {
    /// The session of the request, at once where nobody need be asked; otherwise a call that gives
    /// it, or `None` if it has none. `anti_csrf_check` is `None` for by method; `check_database`
    /// is `None` for as configured; `login_within` is in seconds.
    #[pyo3(signature = (anti_csrf_check=None, check_database=None, login_within=None))]
    fn authenticate(
        &self,
        py: Python<'_>,
        anti_csrf_check: Option<bool>,
        check_database: Option<bool>,
        login_within: Option<f64>,
    ) -> PyResult<Py<PyAny>> {
        let within: Option<PyResult<Duration>> =
            login_within.map(|value| seconds("login_within", value));
        let requirements = Requirements {
            anti_csrf: self::anti_csrf_check(anti_csrf_check),
            revocation: check_database
                .map(|check| if check { Revocation::Immediate } else { Revocation::AtExpiry }),
            login_within: within.transpose()?,
        };
        let _inside = ending::enter(py)?;
        let process = self.shared.process().map_err(|failure| self.shared.error(py, failure))?;
        if let Some(opened) = process.opened_already() {
            let (head, response) = (self.state.head(), &self.state.response);
            if let Some(session) = opened.web.authenticate_locally(&head, requirements, response) {
                let session = Session::new(Arc::clone(&self.shared), process, session);
                return Ok(session.into_pyobject(py)?.into_any().unbind());
            }
        }
        let (shared, state) = (Arc::clone(&self.shared), Arc::clone(&self.state));
        let call = self.shared.call(py, false, async move |process: Arc<Process>| {
            let opened = process.opened(&shared.settings).await?;
            let head = state.head();
            let found = opened.web.authenticate(&head, requirements, &state.response).await?;
            Ok(match found {
                Some(session) => answer_session(shared, process, session),
                None => Box::new(|py: Python<'_>| Ok(py.None())),
            })
        })?;
        Ok(call.into_pyobject(py)?.into_any().unbind())
    }

    /// Creates a session for the client, and ends the one that it had.
    #[pyo3(signature = (user_id, jwt_payload, session_data, client_label=None, tenant_id=None))]
    fn create_new_session(
        &self,
        py: Python<'_>,
        user_id: String,
        jwt_payload: &Bound<'_, PyAny>,
        session_data: &Bound<'_, PyAny>,
        client_label: Option<&str>,
        tenant_id: Option<&str>,
    ) -> PyResult<Call> {
        let mut new = NewSession::new(user_id)
            .jwt_payload(object_from_python("jwt_payload", jwt_payload)?)
            .session_data(object_from_python("session_data", session_data)?);
        if let Some(label) = client_label {
            new = new.client_label(label);
        }
        if let Some(text) = tenant_id {
            new = new.tenant(tenant(text)?);
        }
        let (shared, state) = (Arc::clone(&self.shared), Arc::clone(&self.state));
        self.shared.call(py, true, async move |process: Arc<Process>| {
            let opened = process.opened(&shared.settings).await?;
            let head = state.head();
            let session = opened.web.create_new_session(&head, new, &state.response).await?;
            Ok(answer_session(shared, process, session))
        })
    }

    /// Exchanges the request's refresh token for the next pair of tokens.
    fn refresh_session(&self, py: Python<'_>) -> PyResult<Call> {
        let (shared, state) = (Arc::clone(&self.shared), Arc::clone(&self.state));
        self.shared.call(py, true, async move |process: Arc<Process>| {
            let opened = process.opened(&shared.settings).await?;
            let session = opened.web.refresh_session(&state.head(), &state.response).await?;
            Ok(answer_session(shared, process, session))
        })
    }

    /// Ends the session of the request.
    fn sign_out(&self, py: Python<'_>) -> PyResult<Call> {
        let (shared, state) = (Arc::clone(&self.shared), Arc::clone(&self.state));
        self.shared.call(py, false, async move |process: Arc<Process>| {
            let opened = process.opened(&shared.settings).await?;
            opened.web.sign_out(&state.head(), &state.response).await?;
            Ok(Box::new(|py: Python<'_>| Ok(py.None())) as Answer)
        })
    }

    /// The error of a request that has no session and must have one.
    fn no_session(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let _inside = ending::enter(py)?;
        let error = Error::from(sessile::UnauthorisedReason::NoSession);
        let failure = Failure::Web(WebError::from(error));
        Ok(self.shared.error(py, failure).into_value(py).into_any())
    }

    /// Takes the tokens from the client, unless another site sent the request.
    fn clear_tokens(&self, py: Python<'_>) -> PyResult<Call> {
        let (shared, state) = (Arc::clone(&self.shared), Arc::clone(&self.state));
        self.shared.call(py, false, async move |process: Arc<Process>| {
            let opened = process.opened(&shared.settings).await?;
            opened.web.clear_tokens(&state.head(), &state.response);
            Ok(Box::new(|py: Python<'_>| Ok(py.None())) as Answer)
        })
    }

    /// The headers that the answer must have beside its own, once.
    #[pyo3(signature = (has_cache_control=false))]
    fn response_headers<'py>(
        &self,
        py: Python<'py>,
        has_cache_control: bool,
    ) -> PyResult<Vec<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>> {
        let _inside = ending::enter(py)?;
        let mut headers = HeaderMap::new();
        if has_cache_control {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(""));
        }
        self.state.response.write_to(&mut headers);
        if has_cache_control {
            headers.remove(header::CACHE_CONTROL);
        }
        let pairs = headers.iter().map(|(name, value)| {
            (PyBytes::new(py, name.as_str().as_bytes()), PyBytes::new(py, value.as_bytes()))
        });
        Ok(pairs.collect())
    }
}
