//! Signing keys, for who runs the server. SuperTokens' core has no such routes.

use serde_json::{Value, json};
use sessile_core::{policy::SigningKeyKind, store::TenantStore};

use crate::{
    answer::{Answer, Failure},
    call::Call,
};

pub(super) async fn list<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    let keys = call.app()?.sessions.signing_keys().await?;
    let keys = keys.iter().map(|key| {
        json!({
            "keyId": key.key_id,
            "algorithm": key.algorithm.name(),
            "isStatic": key.kind == SigningKeyKind::Static,
            "createdAt": key.created_at.as_millis(),
            "state": key.state.name(),
        })
    });
    Ok(Answer::Json(json!({ "status": "OK", "keys": keys.collect::<Vec<Value>>() })))
}

pub(super) async fn rotate<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    let made = call.app()?.sessions.rotate_signing_key().await?;
    Ok(Answer::Json(json!({ "status": "OK", "made": made })))
}
