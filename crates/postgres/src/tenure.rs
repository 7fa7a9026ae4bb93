//! For how long a server is taken for the one that takes writes.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// Where a database refuses writes for long, those who only read need not change their connections
/// more often.
const LEAST_TIME: Duration = Duration::from_secs(1);

/// Ends when the server refuses a write: its connections are no good then for reading either, as
/// another server has what was written since.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tenure {
    current: Arc<Current>,
    number: u64,
}

#[derive(Debug, Default)]
struct Current {
    number: AtomicU64,
    ended_at: Mutex<Option<Instant>>,
}

impl Tenure {
    /// The one of this moment.
    pub(crate) fn now(&self) -> Self {
        let number = self.current.number.load(Ordering::Acquire);
        Self { current: Arc::clone(&self.current), number }
    }

    pub(crate) fn lasts(&self) -> bool {
        self.current.number.load(Ordering::Acquire) == self.number
    }

    pub(crate) fn end(&self) {
        let mut ended_at = self.current.ended_at.lock().unwrap_or_else(PoisonError::into_inner);
        if self.lasts() && ended_at.is_none_or(|at| at.elapsed() >= LEAST_TIME) {
            *ended_at = Some(Instant::now());
            self.current.number.fetch_add(1, Ordering::AcqRel);
        }
    }
}
