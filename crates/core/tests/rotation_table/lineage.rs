//! Engines, and tokens that come from one another.

use std::time::Duration;

use sessile_core::{
    AntiCsrf, IssuedSession, RefreshRequest, SessionService,
    policy::{Policy, RotationPolicy},
    store::SessionRecord,
};

use crate::support::{Engine, GRACE, SECOND, refresh_token};

pub(crate) const REFRESH_TOKEN_VALIDITY: Duration = Duration::from_secs(1000);
/// An absolute end inside the window of the rotation at [`ROTATED_AFTER`].
pub(crate) const SOON: Duration = Duration::from_secs(210);
pub(crate) const ROTATED_AFTER: Duration = Duration::from_secs(200);
pub(crate) const IDEMPOTENT: RotationPolicy = RotationPolicy::Idempotent { grace: GRACE };
pub(crate) const POLICIES: [RotationPolicy; 3] =
    [IDEMPOTENT, RotationPolicy::OnRefresh { grace: GRACE }, RotationPolicy::OnUse];

pub(crate) fn request<'a>(text: &'a str, anti_csrf_token: Option<&'a str>) -> RefreshRequest<'a> {
    RefreshRequest {
        anti_csrf: AntiCsrf::Token(anti_csrf_token),
        new_anti_csrf_token: true,
        ..RefreshRequest::from(text)
    }
}

pub(crate) async fn refreshed_under(
    policy: RotationPolicy,
    engine: &Engine,
    parent: &IssuedSession,
) -> IssuedSession {
    let request = request(refresh_token(parent), parent.anti_csrf_token.as_deref());
    engine.refresh(RefreshRequest { rotation: Some(policy), ..request }).await.unwrap()
}

/// Rotated, whatever the engine's own policy is.
pub(crate) async fn refreshed(engine: &Engine, parent: &IssuedSession) -> IssuedSession {
    refreshed_under(IDEMPOTENT, engine, parent).await
}

/// Another child of a token that was rotated already, which displaces the first.
pub(crate) async fn displacing(engine: &Engine, parent: &IssuedSession) -> IssuedSession {
    let row = engine.row(parent.session.handle()).await.unwrap();
    engine.put_row(SessionRecord { sealed_child: None, ..row }).await;
    refreshed(engine, parent).await
}

pub(crate) fn list(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

pub(crate) fn policy() -> Policy {
    Policy {
        access_token_validity: 60 * SECOND,
        refresh_token_validity: REFRESH_TOKEN_VALIDITY,
        ..Policy::default()
    }
}

pub(crate) async fn engine(policy: Policy) -> Engine {
    Engine::with_policy(policy).await
}
