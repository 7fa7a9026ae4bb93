use std::time::Duration;

use super::Sessions;
use crate::{
    access_token::sign_claims, error::Error, json::JsonObject, keys::PublicSigningKeys,
    policy::SigningKeyKind, secret::Secret, store::Store,
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
}
