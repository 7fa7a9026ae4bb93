//! Refresh tokens in two formats, and the sealing of a child for its parent's holder.

mod fields;
mod sessile_format;
mod supertokens_format;

use zeroize::Zeroizing;

use crate::{
    clock::Timestamp,
    error::{Error, GeneralError},
    identifier::{AppId, SessionHandle},
    keys::{WrappingKey, wrapping},
    policy::RefreshTokenFormat,
    random::RandomSource,
    rotation::{PresentedToken, TokenHash, hexadecimal, sha256},
    sealed,
    secret::Secret,
    store::Store,
};
use sessile_format::SessileFormat;
use supertokens_format::SuperTokensFormat;

/// No token is longer than this; what is longer is refused unread.
const MAXIMUM_LENGTH: usize = 16 * 1024;

/// Makes and reads the refresh tokens of an app.
pub(crate) struct RefreshTokens {
    app: AppId,
    format: RefreshTokenFormat,
    sessile: SessileFormat,
    supertokens: SuperTokensFormat,
}

/// What a refresh token says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RefreshToken {
    pub(crate) handle: SessionHandle,
    pub(crate) user_id: String,
    /// SHA-256 of the token that it was made from.
    pub(crate) parent: Option<[u8; 32]>,
    pub(crate) anti_csrf_token: Option<String>,
    /// `None` where its format does not say.
    pub(crate) issued_at: Option<Timestamp>,
}

/// The inner hash of a token: SHA-256, in hexadecimal digits.
pub(crate) fn inner_hash(token: &str) -> String {
    hexadecimal(&sha256(token.as_bytes()))
}

/// The app's secret of that name; `candidate` becomes it if there is none yet.
async fn load_secret<S: Store>(
    store: &S,
    app: &AppId,
    name: &str,
    candidate: &str,
    wrapping_key: Option<&WrappingKey>,
    random: &dyn RandomSource,
) -> Result<Zeroizing<String>, Error> {
    let candidate = wrapping::wrap(wrapping_key, app, name, candidate, random)?;
    let stored = store.secret(app, name, candidate).await?;
    Ok(wrapping::unwrap(wrapping_key, app, name, &stored)?)
}

/// Checks that a key can be made of the app's secret of that name.
pub(crate) fn check_secret(
    app: &AppId,
    name: &str,
    stored: &str,
    wrapping_key: Option<&WrappingKey>,
) -> Result<(), GeneralError> {
    let text = wrapping::unwrap(wrapping_key, app, name, stored)?;
    if text.is_empty() {
        return Err(GeneralError::Cryptography("reading an empty secret"));
    }
    if name == sessile_format::KEY_NAME {
        sessile_format::read_key(&text).map(drop)
    } else {
        Ok(())
    }
}

impl RefreshTokens {
    /// Reads the app's keys from the store, or makes them.
    pub(crate) async fn load<S: Store>(
        store: &S,
        app: &AppId,
        format: RefreshTokenFormat,
        wrapping_key: Option<&WrappingKey>,
        random: &dyn RandomSource,
    ) -> Result<Self, Error> {
        Ok(Self {
            app: app.clone(),
            format,
            sessile: SessileFormat::load(store, app, wrapping_key, random).await?,
            supertokens: SuperTokensFormat::load(store, app, wrapping_key, random).await?,
        })
    }

    /// Makes the token.
    pub(crate) fn seal(
        &self,
        token: &RefreshToken,
        random: &dyn RandomSource,
    ) -> Result<Secret, GeneralError> {
        match self.format {
            RefreshTokenFormat::Sessile => self.sessile.seal(token, random),
            RefreshTokenFormat::SuperTokens => self.supertokens.seal(token, random),
        }
    }

    /// Reads a token of either format; `None` if these keys did not make it or somebody changed
    /// it.
    pub(crate) fn open(&self, token: &str) -> Option<RefreshToken> {
        if token.len() > MAXIMUM_LENGTH {
            None
        } else if SessileFormat::is_format_of(token) {
            self.sessile.open(token)
        } else {
            self.supertokens.open(token)
        }
    }

    /// Seals `child` so that only a holder of the token `parent` gets it back. The keys of the
    /// app play no part in it: neither the server's keys nor the database open it.
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

/// Reads what is sealed in a token of that format, and writes it again.
#[cfg(feature = "fuzzing")]
pub(crate) fn rewrite_content(format: RefreshTokenFormat, content: &[u8]) -> Option<Vec<u8>> {
    match format {
        RefreshTokenFormat::Sessile => {
            sessile_format::read_content(content).map(|token| sessile_format::write_content(&token))
        }
        RefreshTokenFormat::SuperTokens => {
            let (token, nonce) = supertokens_format::read_content(content)?;
            supertokens_format::write_content(&token, &nonce).ok()
        }
    }
}

impl std::fmt::Debug for RefreshTokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("RefreshTokens")
            .field("format", &self.format)
            .finish_non_exhaustive()
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

    async fn keys(format: RefreshTokenFormat) -> RefreshTokens {
        let app = AppId::default();
        RefreshTokens::load(&MemoryStore::new(), &app, format, None, &SystemRandom).await.unwrap()
    }

    const FORMATS: [RefreshTokenFormat; 2] =
        [RefreshTokenFormat::Sessile, RefreshTokenFormat::SuperTokens];

    fn token(format: RefreshTokenFormat) -> RefreshToken {
        let has_time = format == RefreshTokenFormat::Sessile;
        RefreshToken {
            handle: SessionHandle::new("h_t1"),
            user_id: "ünï \u{0} user".to_owned(),
            parent: Some([7; 32]),
            anti_csrf_token: Some("anti".to_owned()),
            issued_at: has_time.then_some(Timestamp::from_millis(1_700_000_000_123)),
        }
    }

    #[tokio::test]
    async fn a_token_says_what_was_put_into_it() {
        for format in FORMATS {
            let keys = keys(format).await;
            let token = token(format);
            let plain = RefreshToken { parent: None, anti_csrf_token: None, ..token.clone() };
            for token in [token, plain] {
                let sealed = keys.seal(&token, &SystemRandom).unwrap();
                assert_eq!(keys.open(sealed.expose()).unwrap(), token);
            }
        }
    }

    #[test]
    fn a_moment_is_written_in_one_way() {
        let written = sessile_format::write_content(&token(RefreshTokenFormat::Sessile));
        assert!(sessile_format::read_content(&written).is_some());
        let (before, moment) = written.split_at(written.len() - 13);
        assert_eq!(moment, b"1700000000123");
        for other in ["+170000000012", "0170000000012", "-000000000012", "170000000012 "] {
            let changed = [before, other.as_bytes()].concat();
            assert!(sessile_format::read_content(&changed).is_none(), "{other}");
        }
    }

    #[tokio::test]
    async fn other_keys_and_changed_tokens_are_refused() {
        for format in FORMATS {
            let keys = keys(format).await;
            let sealed = keys.seal(&token(format), &SystemRandom).unwrap();
            let text = sealed.expose();
            assert!(self::keys(format).await.open(text).is_none());
            for position in 0..text.len() {
                let mut changed = text.to_owned().into_bytes();
                changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
                assert!(keys.open(std::str::from_utf8(&changed).unwrap()).is_none());
                assert!(keys.open(&text[..position]).is_none());
            }
        }
        let keys = keys(RefreshTokenFormat::Sessile).await;
        assert!(keys.open(&"x".repeat(1_000_000)).is_none());
    }

    #[tokio::test]
    async fn the_format_of_supertokens_is_as_its_core_writes_it() {
        let keys = keys(RefreshTokenFormat::SuperTokens).await;
        let sealed = keys.seal(&token(RefreshTokenFormat::SuperTokens), &SystemRandom).unwrap();
        let parts: Vec<_> = sealed.expose().split('.').collect();
        assert_eq!(parts.len(), 3);
        assert_eq!((parts[1].len(), parts[2]), (64, "V2"));
        let lower = sealed.expose().replace(".V2", ".v2");
        assert!(keys.open(&lower).is_some(), "the version is compared whatever its case");
        assert!(keys.open(&sealed.expose().replace(".V2", ".V3")).is_none());
    }

    #[tokio::test]
    async fn a_sealed_child_opens_for_its_parent_alone() {
        let keys = keys(RefreshTokenFormat::Sessile).await;
        let child = keys.seal(&token(RefreshTokenFormat::Sessile), &SystemRandom).unwrap();
        let handle = SessionHandle::new("h");
        let sealed = keys.seal_child("parent", &handle, &child, &SystemRandom).unwrap();
        assert_eq!(keys.open_child("parent", &handle, &sealed), Some(child));
        assert!(keys.open_child("another", &handle, &sealed).is_none());
        assert!(keys.open_child("parent", &SessionHandle::new("i"), &sealed).is_none());
    }
}
