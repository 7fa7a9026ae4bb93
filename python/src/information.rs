use pyo3::{prelude::*, types::PyDict};
use sessile::{SessionHandle, SessionInformation, clock::Timestamp};

use crate::json::object_to_python;

/// What is known of a session, as a dict. Moments are milliseconds since the Unix epoch; `None`
/// stands for never.
pub(crate) fn information_to_python<'py>(
    py: Python<'py>,
    information: &SessionInformation,
) -> PyResult<Bound<'py, PyDict>> {
    let moment = |moment: Timestamp| (moment != Timestamp::MAX).then(|| moment.as_millis());
    let dict = PyDict::new(py);
    dict.set_item("session_handle", information.handle.as_str())?;
    dict.set_item("user_id", &information.user_id)?;
    dict.set_item("tenant_id", information.tenant.as_str())?;
    dict.set_item("access_token_payload", object_to_python(py, &information.jwt_payload)?)?;
    dict.set_item("session_data", object_to_python(py, &information.session_data)?)?;
    dict.set_item("time_created", information.created_at.as_millis())?;
    dict.set_item("last_refreshed", information.last_refreshed_at.and_then(moment))?;
    dict.set_item("expiry", moment(information.expires_at))?;
    dict.set_item("ends_at", moment(information.ends_at))?;
    dict.set_item("client_label", information.client_label.as_deref())?;
    Ok(dict)
}

/// Session handles as a list of `str`.
pub(crate) fn handles_to_python(py: Python<'_>, handles: &[SessionHandle]) -> PyResult<Py<PyAny>> {
    let texts: Vec<&str> = handles.iter().map(SessionHandle::as_str).collect();
    Ok(texts.into_pyobject(py)?.unbind())
}
