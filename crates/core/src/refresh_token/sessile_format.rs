//! Sessile's own format: `srt1.<base64url>`.
//!
//! The prefix says which format it is, and lets scanners for leaked secrets find it; the rest is
//! [`sealed`](crate::sealed) under the app's refresh-token key. The sealing puts 32 random bytes
//! into every token, so a token cannot be guessed even by who has the key.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::{
    RefreshToken,
    fields::{FieldReader, FieldWriter},
    load_secret,
};
use crate::{
    clock::Timestamp,
    error::{Error, GeneralError},
    identifier::{AppId, SessionHandle},
    keys::WrappingKey,
    random::{RandomSource, random_bytes},
    sealed,
    secret::Secret,
    store::Store,
};

const PREFIX: &str = "srt1.";
pub(super) const KEY_NAME: &str = "sessile_refresh_token_key";

/// The key of an app for this format. It never changes.
pub(super) struct SessileFormat {
    app: AppId,
    key: Zeroizing<Vec<u8>>,
}

impl SessileFormat {
    /// Reads the app's key from the store, or makes it.
    pub(super) async fn load<S: Store>(
        store: &S,
        app: &AppId,
        wrapping_key: Option<&WrappingKey>,
        random: &dyn RandomSource,
    ) -> Result<Self, Error> {
        let fresh = Zeroizing::new(random_bytes::<32>(random)?);
        let candidate = Zeroizing::new(URL_SAFE_NO_PAD.encode(fresh.as_slice()));
        let text = load_secret(store, app, KEY_NAME, &candidate, wrapping_key, random).await?;
        Ok(Self { app: app.clone(), key: read_key(&text)? })
    }

    fn context(&self) -> [&str; 2] {
        ["sessile refresh token 1", self.app.as_str()]
    }

    /// Whether a token says that it has this format.
    pub(super) fn is_format_of(token: &str) -> bool {
        token.starts_with(PREFIX)
    }

    pub(super) fn seal(
        &self,
        token: &RefreshToken,
        random: &dyn RandomSource,
    ) -> Result<Secret, GeneralError> {
        let sealed = sealed::seal(&self.key, &self.context(), &write_content(token), random)?;
        Ok(Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed))))
    }

    pub(super) fn open(&self, token: &str) -> Option<RefreshToken> {
        let sealed = URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?;
        read_content(&sealed::open(&self.key, &self.context(), &sealed)?)
    }
}

/// The key that a secret's text holds.
pub(super) fn read_key(text: &str) -> Result<Zeroizing<Vec<u8>>, GeneralError> {
    const UNREADABLE: GeneralError = GeneralError::Cryptography("reading the refresh-token key");
    URL_SAFE_NO_PAD.decode(text.as_bytes()).map(Zeroizing::new).map_err(|_| UNREADABLE)
}

/// What is sealed.
pub(super) fn write_content(token: &RefreshToken) -> Vec<u8> {
    let mut fields = FieldWriter::default();
    fields.text(token.handle.as_str());
    fields.text(&token.user_id);
    fields.optional(token.parent.as_ref().map(<[u8; 32]>::as_slice));
    fields.optional(token.anti_csrf_token.as_ref().map(String::as_bytes));
    fields.text(&token.issued_at.unwrap_or_default().as_millis().to_string());
    fields.finish()
}

/// Reads what [`write_content`] wrote.
pub(super) fn read_content(plain: &[u8]) -> Option<RefreshToken> {
    let mut fields = FieldReader::new(plain);
    let token = RefreshToken {
        handle: SessionHandle::new(fields.text()?),
        user_id: fields.text()?.to_owned(),
        parent: fields.optional()?.map(<[u8; 32]>::try_from).transpose().ok()?,
        anti_csrf_token: fields
            .optional()?
            .map(|bytes| String::from_utf8(bytes.to_vec()))
            .transpose()
            .ok()?,
        issued_at: Some(read_moment(fields.text()?)?),
    };
    fields.is_empty().then_some(token)
}

/// A moment, where it is written as it is here: without a plus or zeros in front.
fn read_moment(text: &str) -> Option<Timestamp> {
    let milliseconds: i64 = text.parse().ok()?;
    (milliseconds.to_string() == text).then(|| Timestamp::from_millis(milliseconds))
}
