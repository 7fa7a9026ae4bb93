use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sessile_core::{Error, SessionService as _, TryRefreshReason, VerifyRequest};

use crate::{
    Target,
    fixture::{Engine, access_token, answer, sessions_of_every_kind},
    plain_target,
};

/// JOSE headers: one is taken only if it names a key of ours, that key's algorithm, and nothing
/// beside. The signature is wrong, so that taking a header means to complain of the signature.
pub struct AccessTokenHeaders {
    engine: Engine,
    own: Vec<Value>,
    samples: Vec<Vec<u8>>,
    rest: String,
}

plain_target!(AccessTokenHeaders);

impl AccessTokenHeaders {
    /// An engine with keys of every algorithm.
    pub fn new() -> Self {
        let (engine, issued) = sessions_of_every_kind();
        let mut samples: Vec<Vec<u8>> = issued
            .iter()
            .map(access_token)
            .filter_map(|token| URL_SAFE_NO_PAD.decode(token.split('.').next()?).ok())
            .collect();
        let own: Vec<Value> =
            samples.iter().map(|header| serde_json::from_slice(header).unwrap()).collect();
        let key_id = &own[0]["kid"];
        for other in [
            json!({ "alg": "none", "typ": "JWT" }),
            json!({ "alg": "HS256", "kid": key_id, "typ": "JWT", "version": "5" }),
            json!({ "alg": "ES256", "kid": key_id, "typ": "JWT", "jwk": { "kty": "EC" } }),
            json!({ "alg": "ES256", "kid": key_id, "typ": "JWT", "crit": ["b64"], "b64": false }),
            json!({ "alg": "ES256", "kid": key_id, "typ": "JWT", "version": null }),
            json!(["ES256", key_id, "JWT", "5"]),
        ] {
            samples.push(other.to_string().into_bytes());
        }
        let claims = access_token(&issued[0]).split('.').nth(1).unwrap();
        let rest = format!(".{claims}.{}", "A".repeat(86));
        Self { engine, own, samples, rest }
    }

    /// What a reader promises of a header, said in another way.
    fn may_be_taken(&self, header: &[u8]) -> bool {
        let Ok(Value::Object(header)) = serde_json::from_slice(header) else { return false };
        let known = ["3", "4", "5"].map(Value::from);
        header.keys().all(|name| ["alg", "kid", "typ", "version"].contains(&name.as_str()))
            && self.own.iter().any(|own| {
                ["alg", "kid", "typ"].into_iter().all(|name| header.get(name) == own.get(name))
            })
            && header
                .get("version")
                .is_none_or(|version| version.is_null() || known.contains(version))
    }
}

impl Target for AccessTokenHeaders {
    fn name(&self) -> &'static str {
        "access_token_header"
    }

    fn samples(&self) -> &[Vec<u8>] {
        &self.samples
    }

    fn check(&self, input: &[u8]) {
        let token = format!("{}{}", URL_SAFE_NO_PAD.encode(input), self.rest);
        match answer(self.engine.verify(VerifyRequest::new(&token))) {
            Err(Error::TryRefreshToken { reason: TryRefreshReason::SignatureInvalid }) => {
                assert!(self.may_be_taken(input), "{}", String::from_utf8_lossy(input));
            }
            Err(Error::TryRefreshToken {
                reason: TryRefreshReason::Malformed | TryRefreshReason::UnknownKey,
            }) => {}
            other => panic!("{:?}: {}", other.map(drop), String::from_utf8_lossy(input)),
        }
    }
}
