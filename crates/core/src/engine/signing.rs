use std::time::Duration;

use super::Sessions;
use crate::{
    access_token::sign_claims,
    error::Error,
    json::JsonObject,
    keys::{PublicSigningKeys, SigningKeyDescription},
    policy::SigningKeyKind,
    secret::Secret,
    store::Store,
};

impl<S: Store> Sessions<S> {
    /// Signs a JWT with `claims`, and with `iat` and `exp` in place of any that are among them. It
    /// is no access token, unless its claims say all that one says: whoever chooses them can sign
    /// in as anybody. No store call, unless a key is due.
    ///
    /// # Errors
    /// [`Error::General`] when the store fails while a key is due, or the claims are nested too
    /// deep.
    pub async fn sign_jwt(
        &self,
        claims: JsonObject,
        validity: Duration,
        kind: SigningKeyKind,
    ) -> Result<Secret, Error> {
        let now = self.engine.now();
        let key = self.engine.signing_key(kind, now).await?;
        Ok(Secret::new(sign_claims(claims, validity, &key, now)?))
    }

    /// The public keys of one kind, for readers of tokens that name no key, which a
    /// [`JsonWebKeySet`](crate::JsonWebKeySet) does not serve. The first call for static keys
    /// makes the app's. No store call, unless a key is due.
    ///
    /// # Errors
    /// [`Error::General`] when the store fails while a key is due.
    pub async fn public_signing_keys(
        &self,
        kind: SigningKeyKind,
    ) -> Result<PublicSigningKeys, Error> {
        let now = self.engine.now();
        let signing = self.engine.signing_key(kind, now).await?;
        Ok(self.engine.keys.public_keys(&signing, kind, now))
    }

    /// All signing keys of the app, newest first, and what each of them does now. One store call.
    ///
    /// # Errors
    /// [`Error::General`] when the store fails or a key cannot be read.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKeyDescription>, Error> {
        self.reload_signing_keys().await?;
        Ok(self.engine.keys.descriptions(self.engine.now()))
    }

    /// Makes the next dynamic signing key now, before it is due, and says whether it did: not where
    /// the next key is published already. As always it is published first, and signs after the
    /// overlap; tokens that older keys signed stay good until they end. Other processes learn of it
    /// when they meet a token that it signed, or
    /// [read the keys again](Self::reload_signing_keys). Two store calls.
    ///
    /// # Errors
    /// [`Error::General`] when the store fails.
    pub async fn rotate_signing_key(&self) -> Result<bool, Error> {
        let Self { engine } = self;
        engine.keys.rotate(engine.store(), engine.random(), engine.now()).await
    }

    /// Makes the next dynamic signing key if it is due by `ahead` from now, and says whether it did.
    /// Whatever signs makes a key that is due; where nothing may be signed for longer than the
    /// overlap, the next key would sign at once, before others could have read it. Called once a
    /// second with two seconds for `ahead`, this publishes every key for the whole overlap. It
    /// makes no key of an app that has none, and makes it earlier by half of the overlap at most.
    /// No store call, unless a key is due.
    ///
    /// # Errors
    /// [`Error::General`] when the store fails, or a key cannot be read, while one is due.
    pub async fn make_due_signing_key(&self, ahead: Duration) -> Result<bool, Error> {
        let Self { engine } = self;
        engine.keys.make_due(engine.store(), engine.random(), engine.now(), ahead).await
    }

    /// Reads the signing keys again, so that a key which another process made before it was due
    /// signs here too. One store call.
    ///
    /// # Errors
    /// [`Error::General`] when the store fails or a key cannot be read.
    pub async fn reload_signing_keys(&self) -> Result<(), Error> {
        self.engine.keys.read(self.store()).await
    }
}
