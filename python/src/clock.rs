use std::{sync::Arc, time::Duration};

use pyo3::{exceptions::PyValueError, prelude::*};
use sessile::clock::{Clock as _, ManualClock as CoreClock, Timestamp};

/// A clock for tests, which stands still until it is moved.
#[pyclass(frozen, module = "sessile._sessile")]
pub(crate) struct ManualClock(pub(crate) Arc<CoreClock>);

#[pymethods]
impl ManualClock {
    /// A clock that shows `now`, in seconds since the Unix epoch.
    #[new]
    fn new(now: f64) -> PyResult<Self> {
        Ok(Self(Arc::new(CoreClock::at(Timestamp::default().plus(seconds("now", now)?)))))
    }

    /// The moment that it shows, in seconds since the Unix epoch.
    fn now(&self) -> f64 {
        Duration::from_millis(self.0.now().as_millis().unsigned_abs()).as_secs_f64()
    }

    /// Moves it forward.
    fn advance(&self, seconds: f64) -> PyResult<()> {
        self.0.advance(self::seconds("seconds", seconds)?);
        Ok(())
    }
}

/// A span of time that Python gave in seconds.
pub(crate) fn seconds(name: &str, value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value).map_err(|_| {
        PyValueError::new_err(format!("{name} must be a number of seconds, 0 or more"))
    })
}
