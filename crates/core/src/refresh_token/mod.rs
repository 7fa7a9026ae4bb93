//! Refresh tokens in Sessile's own format, and the sealing of a child for its parent's holder.
//!
//! `srt1.<base64url>`: the prefix says which format it is (and lets scanners for leaked secrets
//! find it), the rest is [`sealed`](crate::sealed) under the app's refresh-token key. The sealing
//! puts 32 random bytes into every token, so a token cannot be guessed even by who has the key.

mod fields;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::{
    clock::Timestamp,
    error::{Error, GeneralError},
    identifier::{AppId, SessionHandle},
    keys::{WrappingKey, wrapping},
    random::{RandomSource, random_bytes},
    rotation::{PresentedToken, TokenHash, hexadecimal, sha256},
    sealed,
    secret::Secret,
    store::Store,
};
use fields::{FieldReader, FieldWriter};

const PREFIX: &str = "srt1.";
const KEY_NAME: &str = "sessile_refresh_token_key";

/// No token is longer than this; what is longer is refused unread.
const MAXIMUM_LENGTH: usize = 16 * 1024;

/// The key of an app under which its refresh tokens are sealed. It never changes.
pub(crate) struct RefreshTokenKey {
    app: AppId,
    bytes: Zeroizing<Vec<u8>>,
}

/// What a refresh token says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RefreshToken {
    pub(crate) handle: SessionHandle,
    pub(crate) user_id: String,
    /// SHA-256 of the token that it was made from.
    pub(crate) parent: Option<[u8; 32]>,
    pub(crate) anti_csrf_token: Option<String>,
    pub(crate) issued_at: Timestamp,
}

/// The inner hash of a token: SHA-256, in hexadecimal digits.
pub(crate) fn inner_hash(token: &str) -> String {
    hexadecimal(&sha256(token.as_bytes()))
}

impl RefreshTokenKey {
    /// Reads the app's key from the store, or makes it.
    pub(crate) async fn load<S: Store>(
        store: &S,
        app: &AppId,
        wrapping_key: Option<&WrappingKey>,
        random: &dyn RandomSource,
    ) -> Result<Self, Error> {
        let fresh = Zeroizing::new(random_bytes::<32>(random)?);
        let plain = Zeroizing::new(URL_SAFE_NO_PAD.encode(fresh.as_slice()));
        let candidate = wrapping::wrap(wrapping_key, app, KEY_NAME, &plain, random)?;
        let stored = store.secret(app, KEY_NAME, candidate).await?;
        let plain = wrapping::unwrap(wrapping_key, app, KEY_NAME, &stored)?;
        let bytes = URL_SAFE_NO_PAD
            .decode(plain.as_bytes())
            .map_err(|_| GeneralError::Cryptography("reading the refresh-token key"))?;
        Ok(Self { app: app.clone(), bytes: Zeroizing::new(bytes) })
    }

    fn context(&self) -> [&str; 2] {
        ["sessile refresh token 1", self.app.as_str()]
    }

    /// Makes the token.
    pub(crate) fn seal(
        &self,
        token: &RefreshToken,
        random: &dyn RandomSource,
    ) -> Result<Secret, GeneralError> {
        let mut fields = FieldWriter::default();
        fields.text(token.handle.as_str());
        fields.text(&token.user_id);
        fields.optional(token.parent.as_ref().map(<[u8; 32]>::as_slice));
        fields.optional(token.anti_csrf_token.as_ref().map(String::as_bytes));
        fields.text(&token.issued_at.as_millis().to_string());
        let sealed = sealed::seal(&self.bytes, &self.context(), &fields.finish(), random)?;
        Ok(Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed))))
    }

    /// Reads a token; `None` if this key did not make it or somebody changed it.
    pub(crate) fn open(&self, token: &str) -> Option<RefreshToken> {
        if token.len() > MAXIMUM_LENGTH {
            return None;
        }
        let sealed = URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?;
        let plain = sealed::open(&self.bytes, &self.context(), &sealed)?;
        let mut fields = FieldReader::new(&plain);
        let token = RefreshToken {
            handle: SessionHandle::new(fields.text()?),
            user_id: fields.text()?.to_owned(),
            parent: fields.optional()?.map(<[u8; 32]>::try_from).transpose().ok()?,
            anti_csrf_token: fields
                .optional()?
                .map(|bytes| String::from_utf8(bytes.to_vec()))
                .transpose()
                .ok()?,
            issued_at: Timestamp::from_millis(fields.text()?.parse().ok()?),
        };
        fields.is_empty().then_some(token)
    }

    /// Seals `child` so that only a holder of the token `parent` gets it back. The key of the
    /// app plays no part in it: neither the server's keys nor the database open it.
    pub(crate) fn seal_child(
        &self,
        parent: &str,
        handle: &SessionHandle,
        child: &Secret,
        random: &dyn RandomSource,
    ) -> Result<Vec<u8>, GeneralError> {
        let context = self.child_context(handle);
        sealed::seal(parent.as_bytes(), &context, child.expose().as_bytes(), random)
    }

    /// Opens what [`seal_child`](Self::seal_child) made.
    pub(crate) fn open_child(
        &self,
        parent: &str,
        handle: &SessionHandle,
        sealed_child: &[u8],
    ) -> Option<Secret> {
        let context = self.child_context(handle);
        let child = sealed::open(parent.as_bytes(), &context, sealed_child)?;
        String::from_utf8(child).ok().map(Secret::new)
    }

    fn child_context<'a>(&'a self, handle: &'a SessionHandle) -> [&'a str; 3] {
        ["sessile sealed child 1", self.app.as_str(), handle.as_str()]
    }
}

impl std::fmt::Debug for RefreshTokenKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("RefreshTokenKey(…)")
    }
}

impl RefreshToken {
    /// The token as the rotation rules see it; `text` is what the client sent.
    pub(crate) fn presented(&self, text: &str) -> PresentedToken {
        PresentedToken {
            hash: TokenHash::of_inner(&inner_hash(text)),
            parent: self.parent.map(|parent| TokenHash::of_inner(&hexadecimal(&parent))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{memory::MemoryStore, random::SystemRandom};

    async fn key() -> RefreshTokenKey {
        let app = AppId::default();
        RefreshTokenKey::load(&MemoryStore::new(), &app, None, &SystemRandom).await.unwrap()
    }

    fn token() -> RefreshToken {
        RefreshToken {
            handle: SessionHandle::new("h_t1"),
            user_id: "ünï \u{0} user".to_owned(),
            parent: Some([7; 32]),
            anti_csrf_token: Some("anti".to_owned()),
            issued_at: Timestamp::from_millis(1_700_000_000_123),
        }
    }

    #[tokio::test]
    async fn a_token_says_what_was_put_into_it() {
        let key = key().await;
        let plain = RefreshToken { parent: None, anti_csrf_token: None, ..token() };
        for token in [token(), plain] {
            let sealed = key.seal(&token, &SystemRandom).unwrap();
            assert_eq!(key.open(sealed.expose()).unwrap(), token);
        }
    }

    #[tokio::test]
    async fn another_key_and_changed_tokens_are_refused() {
        let key = key().await;
        let sealed = key.seal(&token(), &SystemRandom).unwrap();
        let text = sealed.expose();
        let other = self::key().await;
        assert!(other.open(text).is_none());
        assert!(key.open(text.strip_prefix(PREFIX).unwrap()).is_none());
        for position in 0..text.len() {
            let mut changed = text.to_owned().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            assert!(key.open(std::str::from_utf8(&changed).unwrap()).is_none());
            assert!(key.open(&text[..position]).is_none());
        }
        assert!(key.open(&"x".repeat(1_000_000)).is_none());
    }

    #[tokio::test]
    async fn a_sealed_child_opens_for_its_parent_alone() {
        let key = key().await;
        let child = key.seal(&token(), &SystemRandom).unwrap();
        let handle = SessionHandle::new("h");
        let sealed = key.seal_child("parent", &handle, &child, &SystemRandom).unwrap();
        assert_eq!(key.open_child("parent", &handle, &sealed), Some(child));
        assert!(key.open_child("another", &handle, &sealed).is_none());
        assert!(key.open_child("parent", &SessionHandle::new("i"), &sealed).is_none());
    }
}
