//! What can be read of an access token by whoever holds it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sessile_core::clock::Timestamp;

/// By which key an access token is signed, and until when it is good.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Signature {
    /// The key's id.
    pub key: String,
    /// When the token ends, in milliseconds on the engine's clock.
    pub expires_at: i64,
}

impl Signature {
    /// Of an access token; `None` where it is none that names its key.
    pub fn of(access_token: &str) -> Option<Self> {
        let mut parts = access_token.split('.');
        let (header, claims) = (decode(parts.next()?)?, decode(parts.next()?)?);
        let key = header.get("kid")?.as_str()?.to_owned();
        Some(Self { key, expires_at: claims.get("exp")?.as_i64()? * 1000 })
    }
}

/// When a key was made, which its id says.
pub(crate) fn made_at(key: &str) -> Option<Timestamp> {
    key.strip_prefix("d-")?.parse().ok().map(Timestamp::from_millis)
}

/// The access token with another key's id in its header.
pub(crate) fn forge(access_token: &str, key: &str) -> Option<String> {
    let (header, rest) = access_token.split_once('.')?;
    let mut header = decode(header)?;
    header["kid"] = key.into();
    Some(format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string())))
}

fn decode(part: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use sessile_core::{NewSession, SessionService, Sessions, memory::MemoryStore, store::Store};

    use super::*;

    #[tokio::test]
    async fn a_token_names_its_key_and_its_end() {
        let sessions = Sessions::builder(MemoryStore::new()).build().await.unwrap();
        let issued = sessions.create_session(NewSession::new("alice")).await.unwrap();
        let token = issued.access_token.token.expose();
        let signature = Signature::of(token).unwrap();
        assert_eq!(signature.expires_at, issued.access_token.expires_at.as_millis());
        let keys = sessions.store().signing_keys(sessions.app()).await.unwrap();
        assert_eq!(signature.key, keys[0].key_id);
        assert_eq!(made_at(&signature.key), Some(keys[0].created_at));
        let forged = forge(token, "d-7").unwrap();
        assert_eq!(Signature::of(&forged).unwrap().key, "d-7");
        assert_eq!(Signature::of("a.b.c"), None);
    }
}
