//! How many requests may be under way: one more is refused at once, so that none queue up.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{
    answer::Failure,
    limits::Limits,
    metrics::{Refused, RequestMetrics},
};

/// How long a request with a large body waits for others to be done.
const LARGE_BODY_WAIT: Duration = Duration::from_secs(1);

/// Lets requests in within [`Limits`].
#[derive(Debug)]
pub(crate) struct Places {
    requests: Arc<Semaphore>,
    forwards: Arc<Semaphore>,
    large_bodies: Arc<Semaphore>,
    metrics: RequestMetrics,
}

/// The right to be under way, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(crate) fn new(limits: &Limits, metrics: RequestMetrics) -> Self {
        Self {
            requests: Arc::new(Semaphore::new(limits.requests)),
            forwards: Arc::new(Semaphore::new(limits.forwards)),
            large_bodies: Arc::new(Semaphore::new(limits.large_bodies)),
            metrics,
        }
    }

    /// A request begins.
    pub(crate) fn request(&self) -> Result<Place, Failure> {
        self.now(&self.requests, Refused::Request)
    }

    /// A request to the other core begins.
    pub(crate) fn forward(&self) -> Result<Place, Failure> {
        self.now(&self.forwards, Refused::Forward)
    }

    /// A body turns out to be large. JSON takes several times as much memory when it is read.
    pub(crate) async fn large_body(&self) -> Result<Place, Failure> {
        let permit = Arc::clone(&self.large_bodies).acquire_owned();
        match timeout(LARGE_BODY_WAIT, permit).await {
            Ok(Ok(permit)) => Ok(Place { _permit: permit }),
            _ => Err(self.refuse(Refused::LargeBody)),
        }
    }

    fn now(&self, places: &Arc<Semaphore>, what: Refused) -> Result<Place, Failure> {
        match Arc::clone(places).try_acquire_owned() {
            Ok(permit) => Ok(Place { _permit: permit }),
            Err(_) => Err(self.refuse(what)),
        }
    }

    fn refuse(&self, what: Refused) -> Failure {
        self.metrics.refused(what);
        Failure::TooMany(what)
    }
}
