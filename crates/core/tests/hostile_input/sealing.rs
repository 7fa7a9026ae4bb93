//! Refresh tokens with any content, sealed as the engine seals its own: with the keys from an
//! unsealed store, by another implementation of the same formats.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf, pbkdf2,
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use sessile_core::store::Store;

use crate::{support::Engine, target::Target};

async fn secret(engine: &Engine, name: &str) -> String {
    engine.store().inner().secret(engine.app(), name, String::new()).await.unwrap()
}

fn encrypt(key: UnboundKey, nonce: [u8; 12], content: &[u8]) -> Vec<u8> {
    let mut bytes = content.to_vec();
    LessSafeKey::new(key)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut bytes)
        .unwrap();
    bytes
}

/// Seals tokens of Sessile's own format.
pub(crate) struct SessileSealer(Vec<u8>);

impl SessileSealer {
    pub(crate) async fn of(target: &Target) -> Self {
        let key = secret(&target.engine, "sessile_refresh_token_key").await;
        Self(URL_SAFE_NO_PAD.decode(key).unwrap())
    }

    pub(crate) fn seal(&self, content: &[u8]) -> String {
        let salt = [7; 32];
        let context: Vec<u8> = ["sessile refresh token 1", "public"]
            .iter()
            .flat_map(|part| [&(part.len() as u64).to_be_bytes()[..], part.as_bytes()].concat())
            .collect();
        let context = [context.as_slice()];
        let pseudorandom = hkdf::Salt::new(hkdf::HKDF_SHA256, &salt).extract(&self.0);
        let key = UnboundKey::from(pseudorandom.expand(&context, &AES_256_GCM).unwrap());
        let sealed = [salt.as_slice(), &encrypt(key, [0; 12], content)].concat();
        format!("srt1.{}", URL_SAFE_NO_PAD.encode(sealed))
    }
}

/// The fields of Sessile's format: each behind its length, and the optional ones behind a byte
/// that says whether they are there.
pub(crate) fn fields(
    handle: &[u8],
    user_id: &[u8],
    parent: Option<&[u8]>,
    anti_csrf_token: Option<&[u8]>,
    issued_at: &[u8],
) -> Vec<u8> {
    let field = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat();
    let optional = |bytes: Option<&[u8]>| match bytes {
        Some(bytes) => [vec![1], field(bytes)].concat(),
        None => vec![0],
    };
    [field(handle), field(user_id), optional(parent), optional(anti_csrf_token), field(issued_at)]
        .concat()
}

/// Seals tokens of the format of SuperTokens' core.
pub(crate) struct SuperTokensSealer(String);

impl SuperTokensSealer {
    pub(crate) async fn of(target: &Target) -> Self {
        Self(secret(&target.engine, "refresh_token_key").await)
    }

    pub(crate) fn seal(&self, content: &[u8], nonce: &str) -> String {
        let initial = [7; 12];
        let mut key = [0; 32];
        let iterations = std::num::NonZeroU32::new(100).unwrap();
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA512;
        pbkdf2::derive(algorithm, iterations, &initial, self.0.as_bytes(), &mut key);
        let key = UnboundKey::new(&AES_256_GCM, &key).unwrap();
        let sealed = [initial.as_slice(), &encrypt(key, initial, content)].concat();
        format!("{}.{nonce}.V2", STANDARD.encode(sealed))
    }
}
