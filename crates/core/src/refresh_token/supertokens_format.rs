//! The format of SuperTokens' core: `<base64>.<nonce>.V2`.
//!
//! The first part is AES-256-GCM of a JSON object, behind the 12 bytes that are both its nonce
//! and the salt of PBKDF2-HMAC-SHA512, which makes the key from the app's key text.

use std::num::NonZeroU32;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    pbkdf2,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{RefreshToken, load_secret};
use crate::{
    error::{Error, GeneralError},
    identifier::{AppId, SessionHandle},
    keys::WrappingKey,
    random::{RandomSource, random_bytes},
    rotation::{hexadecimal, sha256},
    secret::Secret,
    store::Store,
};

const KEY_NAME: &str = "refresh_token_key";
const VERSION: &str = "V2";
const NONCE_LENGTH: usize = 12;
const ITERATIONS: NonZeroU32 = NonZeroU32::new(100).unwrap();

/// The key text of an app for this format. It never changes.
pub(super) struct SuperTokensFormat {
    key: Zeroizing<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    session_handle: String,
    user_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent_refresh_token_hash1: Option<String>,
    nonce: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    anti_csrf_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant_id: Option<String>,
}

impl SuperTokensFormat {
    /// Reads the app's key from the store, or makes it: `1000:<64 bytes>:<64 bytes>` in
    /// hexadecimal digits, which is nothing but a secret text to every reader.
    pub(super) async fn load<S: Store>(
        store: &S,
        app: &AppId,
        wrapping_key: Option<&WrappingKey>,
        random: &dyn RandomSource,
    ) -> Result<Self, Error> {
        let salt = Zeroizing::new(hexadecimal(&random_bytes::<64>(random)?));
        let secret = Zeroizing::new(hexadecimal(&random_bytes::<64>(random)?));
        let candidate = Zeroizing::new(format!("1000:{}:{}", &*salt, &*secret));
        let key = load_secret(store, app, KEY_NAME, &candidate, wrapping_key, random).await?;
        Ok(Self { key })
    }

    fn key(&self, salt: &[u8]) -> Option<LessSafeKey> {
        let mut key = Zeroizing::new([0; 32]);
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA512;
        pbkdf2::derive(algorithm, ITERATIONS, salt, self.key.as_bytes(), key.as_mut_slice());
        Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_slice()).ok()?))
    }

    pub(super) fn seal(
        &self,
        token: &RefreshToken,
        random: &dyn RandomSource,
    ) -> Result<Secret, GeneralError> {
        const SEALING: GeneralError = GeneralError::Cryptography("sealing");
        let nonce = hexadecimal(&sha256(&random_bytes::<32>(random)?));
        let mut text = write_content(token, &nonce)?;
        let initial: [u8; NONCE_LENGTH] = random_bytes(random)?;
        let key = self.key(&initial).ok_or(SEALING)?;
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(initial),
            Aad::empty(),
            &mut text,
        )
        .map_err(|_| SEALING)?;
        let sealed = STANDARD.encode([initial.as_slice(), &text].concat());
        Ok(Secret::new(format!("{sealed}.{nonce}.{VERSION}")))
    }

    pub(super) fn open(&self, token: &str) -> Option<RefreshToken> {
        let mut parts = token.split('.');
        let (sealed, nonce, version) = (parts.next()?, parts.next()?, parts.next()?);
        let known = ["V1", VERSION].iter().any(|known| known.eq_ignore_ascii_case(version));
        if !known || parts.next().is_some() {
            return None;
        }
        let sealed = STANDARD.decode(sealed).ok()?;
        let (initial, text) = sealed.split_first_chunk::<NONCE_LENGTH>()?;
        let mut text = text.to_vec();
        let text = self
            .key(initial)?
            .open_in_place(Nonce::assume_unique_for_key(*initial), Aad::empty(), &mut text)
            .ok()?;
        let (token, sealed_nonce) = read_content(text)?;
        (sealed_nonce == nonce).then_some(token)
    }
}

/// What is sealed: a JSON object, with the nonce that also stands outside.
pub(super) fn write_content(token: &RefreshToken, nonce: &str) -> Result<Vec<u8>, GeneralError> {
    let tenant = token.handle.tenant();
    let content = Content {
        session_handle: token.handle.as_str().to_owned(),
        user_id: token.user_id.clone(),
        parent_refresh_token_hash1: token.parent.map(|parent| hexadecimal(&parent)),
        nonce: nonce.to_owned(),
        anti_csrf_token: token.anti_csrf_token.clone(),
        tenant_id: (tenant != Default::default()).then(|| tenant.as_str().to_owned()),
    };
    serde_json::to_vec(&content).map_err(GeneralError::Serialise)
}

/// Reads what [`write_content`] wrote, or SuperTokens' core did; gives the nonce beside it.
pub(super) fn read_content(text: &[u8]) -> Option<(RefreshToken, String)> {
    let content: Content = serde_json::from_slice(text).ok()?;
    let parent = match content.parent_refresh_token_hash1 {
        Some(digits) => Some(bytes_of(&digits)?),
        None => None,
    };
    let token = RefreshToken {
        handle: SessionHandle::new(&content.session_handle),
        user_id: content.user_id,
        parent,
        anti_csrf_token: content.anti_csrf_token,
        issued_at: None,
    };
    Some((token, content.nonce))
}

/// The 32 bytes that lower-case hexadecimal digits stand for.
fn bytes_of(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    (hexadecimal(&bytes) == digits).then_some(bytes)
}
