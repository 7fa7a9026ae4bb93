//! What only the tests use: they move the clock, end sessions behind the browser's back, and ask
//! what happened.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::Method,
    middleware::Next,
    response::Response,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use sessile::{
    axum::{SessionRejection, SessionRequest},
    clock::{Clock, SystemClock, Timestamp},
    event::EventKind,
};

use crate::TestState;

pub(crate) fn routes() -> Router<TestState> {
    Router::new()
        .route("/test/advance", post(advance))
        .route("/test/counts", get(counts))
        .route("/test/sessions/{user_id}", get(sessions).delete(revoke))
}

/// The system's clock, ahead by as much as the tests say: it goes on by itself, so that tokens
/// that are made one after the other differ.
#[derive(Debug, Default)]
pub(crate) struct ShiftedClock {
    ahead_by_seconds: AtomicU64,
}

impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        let ahead_by = Duration::from_secs(self.ahead_by_seconds.load(Ordering::SeqCst));
        SystemClock.now().plus(ahead_by)
    }
}

/// How often things happened since the server started.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    refreshes: AtomicU64,
    reissues: AtomicU64,
    thefts: AtomicU64,
    revocations: AtomicU64,
    refresh_requests: AtomicU64,
}

impl Counts {
    pub(crate) fn note(&self, kind: EventKind) {
        let counter = match kind {
            EventKind::Refreshed => &self.refreshes,
            EventKind::Reissued => &self.reissues,
            EventKind::TheftDetected { .. } => &self.thefts,
            EventKind::Revoked { .. } => &self.revocations,
            _ => return,
        };
        counter.fetch_add(1, Ordering::SeqCst);
    }
}

pub(crate) async fn count_refresh_requests(
    State((state, refresh_path)): State<(TestState, Arc<str>)>,
    request: Request,
    next: Next,
) -> Response {
    // Preflights of pages on other origins go to the same path.
    if request.method() == Method::POST && request.uri().path() == &*refresh_path {
        state.counts.refresh_requests.fetch_add(1, Ordering::SeqCst);
    }
    next.run(request).await
}

#[derive(Deserialize)]
struct Advance {
    seconds: u64,
}

async fn advance(State(state): State<TestState>, Json(advance): Json<Advance>) -> Json<Value> {
    state.clock.ahead_by_seconds.fetch_add(advance.seconds, Ordering::SeqCst);
    Json(json!({}))
}

async fn counts(State(state): State<TestState>) -> Json<Value> {
    let read = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    let counts = &state.counts;
    Json(json!({
        "refreshes": read(&counts.refreshes),
        "reissues": read(&counts.reissues),
        "thefts": read(&counts.thefts),
        "revocations": read(&counts.revocations),
        "refreshRequests": read(&counts.refresh_requests),
    }))
}

async fn sessions(
    request: SessionRequest,
    Path(user_id): Path<String>,
) -> Result<Json<Value>, SessionRejection> {
    let handles = request.get_all_session_handles_for_user(&user_id).await?;
    Ok(Json(json!({ "count": handles.len() })))
}

async fn revoke(
    request: SessionRequest,
    Path(user_id): Path<String>,
) -> Result<Json<Value>, SessionRejection> {
    let revoked = request.revoke_all_sessions_for_user(&user_id).await?;
    Ok(Json(json!({ "count": revoked.len() })))
}
