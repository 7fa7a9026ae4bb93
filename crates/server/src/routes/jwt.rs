//! JWTs of the application's, and the keys that verify them and access tokens.

use std::time::Duration;

use serde_json::json;
use sessile_core::{JsonWebKeySet, SessionService, policy::SigningKeyKind, store::TenantStore};

use crate::{
    answer::{Answer, Failure},
    call::{Call, key_kind},
    cdi::Decision,
};

pub(super) async fn sign<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    let body = call.body()?;
    let algorithm = body.text("algorithm")?;
    let issuer = body.text("jwksDomain")?;
    let mut claims = body.object("payload")?;
    let validity = body.integer("validity")?;
    let kind = match call.dialect.key_kind {
        Decision::Configuration => SigningKeyKind::Static,
        Decision::Request => {
            key_kind(!body.optional_boolean("useStaticSigningKey")?.unwrap_or(true))
        }
    };
    call.require_public_tenant()?;
    let validity = u64::try_from(validity).ok().filter(|validity| *validity > 0);
    let Some(validity) = validity.map(Duration::from_secs) else {
        return Err(Failure::bad_input("validity must be greater than or equal to 0"));
    };
    if !algorithm.eq_ignore_ascii_case("RS256") {
        return Ok(Answer::Json(json!({ "status": "UNSUPPORTED_ALGORITHM_ERROR" })));
    }
    let app = call.app()?;
    claims.entry("iss").or_insert_with(|| issuer.into());
    let token = app.sessions.sign_jwt(claims, validity, kind).await?;
    Ok(Answer::Json(json!({ "status": "OK", "jwt": token.expose() })))
}

pub(super) async fn key_set<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    call.require_public_tenant()?;
    let JsonWebKeySet { mut document, .. } = call.app()?.sessions.get_json_web_key_set().await?;
    document["status"] = "OK".into();
    Ok(Answer::Json(document))
}

pub(super) async fn cached_key_set<S: TenantStore>(call: &Call<S>) -> Result<Answer, Failure> {
    call.require_public_tenant()?;
    let keys = call.app()?.sessions.get_json_web_key_set().await?;
    let control = keys.cache_control();
    Ok(Answer::Cached(keys.document, control))
}
