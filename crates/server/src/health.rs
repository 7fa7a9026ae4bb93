//! Whether a server lives, and whether it is ready for requests: two questions with two paths.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};
use sessile_core::{AppId, SessionHandle, store::Store};
use tokio::time::timeout;

use crate::answer;

/// Answered as long as the process answers anything.
pub(crate) const LIVE: &str = "/health/live";

/// Answered 200 if requests can be served, else 503 with the reason. No path of the interface can
/// be either: what would be its tenant, `health`, is not followed by a route.
pub(crate) const READY: &str = "/health/ready";

/// Finds out whether the server is ready.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    stopping: AtomicBool,
    /// Whoever asks the store holds it: however many ask whether the server is ready, they are one
    /// request for the store.
    asking: async_lock::Mutex<()>,
}

impl Readiness {
    /// From now on the server is not ready, whatever its store says.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// The answer to [`READY`], at the latest after `time`.
    pub(crate) async fn answer<S: Store>(&self, store: &S, time: Duration) -> Response {
        if self.stopping.load(Ordering::Relaxed) {
            return not_ready("stopping", "the server is stopping");
        }
        let asked = async {
            let _one_at_a_time = self.asking.lock().await;
            // There is no such session, and a store that can say so can be read.
            store.get_session(&AppId::default(), &SessionHandle::new("readiness")).await
        };
        match timeout(time, asked).await {
            Ok(Ok(_)) => shown(StatusCode::OK, &json!({ "status": "ready" })),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the server is not ready");
                not_ready("store", answer::reason(error.kind()))
            }
            Err(_) => not_ready("store", "the store did not answer in time"),
        }
    }
}

/// The answer to [`LIVE`].
pub(crate) fn live() -> Response {
    shown(StatusCode::OK, &json!({ "status": "live" }))
}

fn not_ready(reason: &str, message: &str) -> Response {
    let body = json!({ "status": "not_ready", "reason": reason, "message": message });
    shown(StatusCode::SERVICE_UNAVAILABLE, &body)
}

fn shown(status: StatusCode, body: &Value) -> Response {
    answer::respond(status, answer::JSON, body.to_string(), None)
}
