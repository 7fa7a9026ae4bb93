//! Whether what a store keeps can be used, without an engine on it.

use std::fmt;

use crate::{
    error::GeneralError,
    identifier::AppId,
    keys::{SigningKey, WrappingKey, wrapping},
    random::SystemRandom,
    refresh_token,
    store::StoredSigningKey,
};

impl StoredSigningKey {
    /// Checks that an engine of `app` with that wrapping key can sign and verify with the key.
    ///
    /// # Errors
    /// [`GeneralError::WrappingKey`] when it is sealed, and not under that key;
    /// [`GeneralError::Cryptography`] when it is no key.
    pub fn check(
        &self,
        app: &AppId,
        wrapping_key: Option<&WrappingKey>,
    ) -> Result<(), GeneralError> {
        SigningKey::load(self, app, wrapping_key).map(drop)
    }

    /// The same key sealed under `to` instead of `from`; without a key it is in the open.
    ///
    /// # Errors
    /// [`GeneralError::WrappingKey`] when it is sealed, and not under `from`.
    pub fn sealed_anew(
        &self,
        app: &AppId,
        from: Option<&WrappingKey>,
        to: Option<&WrappingKey>,
    ) -> Result<Self, GeneralError> {
        let material = sealed_anew(app, &self.key_id, &self.material, from, to)?;
        Ok(Self { material, ..self.clone() })
    }
}

fn sealed_anew(
    app: &AppId,
    name: &str,
    stored: &str,
    from: Option<&WrappingKey>,
    to: Option<&WrappingKey>,
) -> Result<String, GeneralError> {
    let plain = wrapping::unwrap(from, app, name, stored)?;
    wrapping::wrap(to, app, name, &plain, &SystemRandom)
}

/// A secret of an app, from which the keys of its refresh tokens are made.
#[derive(Clone, Eq, PartialEq)]
pub struct StoredSecret {
    /// Its name, unique within the app.
    pub name: String,
    /// The secret itself, as text, wrapped or plain.
    pub value: String,
}

impl StoredSecret {
    /// Checks that an engine of `app` with that wrapping key can make refresh tokens with it.
    ///
    /// # Errors
    /// As [`StoredSigningKey::check`].
    pub fn check(
        &self,
        app: &AppId,
        wrapping_key: Option<&WrappingKey>,
    ) -> Result<(), GeneralError> {
        refresh_token::check_secret(app, &self.name, &self.value, wrapping_key)
    }

    /// As [`StoredSigningKey::sealed_anew`].
    ///
    /// # Errors
    /// The same.
    pub fn sealed_anew(
        &self,
        app: &AppId,
        from: Option<&WrappingKey>,
        to: Option<&WrappingKey>,
    ) -> Result<Self, GeneralError> {
        let value = sealed_anew(app, &self.name, &self.value, from, to)?;
        Ok(Self { value, ..self.clone() })
    }
}

impl fmt::Debug for StoredSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StoredSecret").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Timestamp, keys::Algorithm, policy::SigningKeyKind};

    #[test]
    fn a_key_is_good_under_its_wrapping_key_alone() {
        let app = AppId::default();
        let [right, wrong] = [(); 2].map(|()| WrappingKey::generate(&SystemRandom).unwrap());
        let made = |wrapping_key| {
            let (algorithm, kind) = (Algorithm::Es256, SigningKeyKind::Dynamic);
            let at = Timestamp::from_millis(1);
            SigningKey::generate(algorithm, kind, &app, wrapping_key, at, &SystemRandom).unwrap()
        };
        let (plain, sealed) = (made(None), made(Some(&right)));
        assert!(plain.check(&app, None).is_ok() && sealed.check(&app, Some(&right)).is_ok());
        for wrapping_key in [None, Some(&wrong)] {
            let error = sealed.check(&app, wrapping_key).unwrap_err();
            assert!(matches!(error, GeneralError::WrappingKey(_)), "{error}");
        }
        let broken = StoredSigningKey { material: plain.material.replace('|', "+"), ..plain };
        assert!(broken.check(&app, None).is_err());
    }

    #[test]
    fn what_is_sealed_anew_is_the_same() {
        let app = AppId::default();
        let [one, other] = [(); 2].map(|()| WrappingKey::generate(&SystemRandom).unwrap());
        let plain = StoredSecret { name: "name".into(), value: "secret".into() };
        let sealed = plain.sealed_anew(&app, None, Some(&one)).unwrap();
        assert_ne!(sealed, plain);
        let moved = sealed.sealed_anew(&app, Some(&one), Some(&other)).unwrap();
        assert_eq!(moved.sealed_anew(&app, Some(&other), None).unwrap(), plain);
        assert!(moved.sealed_anew(&app, Some(&one), None).is_err());
    }

    #[test]
    fn a_secret_is_good_if_a_key_can_be_made_of_it() {
        let app = AppId::default();
        let key = WrappingKey::generate(&SystemRandom).unwrap();
        let check = |name: &str, value: &str, key| {
            StoredSecret { name: name.into(), value: value.into() }.check(&app, key).is_ok()
        };
        assert!(check("refresh_token_key", "1000:aa:bb", None));
        assert!(!check("refresh_token_key", "", None));
        assert!(check("sessile_refresh_token_key", "c2VjcmV0", None));
        assert!(!check("sessile_refresh_token_key", "no base64!", None));
        let sealed =
            wrapping::wrap(Some(&key), &app, "refresh_token_key", "x", &SystemRandom).unwrap();
        assert!(check("refresh_token_key", &sealed, Some(&key)));
        assert!(!check("refresh_token_key", &sealed, None));
        assert!(!check("sessile_refresh_token_key", &sealed, Some(&key)), "of another name");
    }
}
