//! Keys without which nothing is answered: kept as digests, and compared in constant time.

use std::fmt;

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest};

/// What comes before the digest of a key in a configuration that does not show the key itself.
const DIGEST_PREFIX: &str = "sha256:";

/// The API keys of an app, of which a request must bring one. Where there are none, none is asked
/// for.
///
/// Only their SHA-256 digests are kept, and `Debug` tells nothing but how many they are.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct ApiKeys(Vec<[u8; 32]>);

/// Why a text is no list of API keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiKeyError {
    /// One is shorter than 20 characters.
    #[error("One of the API keys is too short. Please use at least 20 characters")]
    TooShort,
    /// One has a character that keys do not have.
    #[error(
        "Invalid characters in API key. Please only use '=', '-' and alpha-numeric (including \
         capitals)"
    )]
    InvalidCharacter,
    /// One begins with `sha256:`, and what follows is no digest.
    #[error("One of the API keys begins with sha256: and has not 64 hexadecimal digits after it")]
    InvalidDigest,
}

impl ApiKeys {
    /// Reads keys with commas between them. A key has at least 20 characters of `=`, `-`, letters
    /// and digits; or it is `sha256:` and the 64 hexadecimal digits of its SHA-256 digest. Spaces
    /// around a key do not count.
    ///
    /// # Errors
    /// [`ApiKeyError`], for the first key that is not as it must be. The error does not tell the
    /// key.
    ///
    /// ```
    /// use sessile_server::ApiKeys;
    ///
    /// let keys = ApiKeys::parse("first-key-of-20-chars, second-key-of-20-chars")?;
    /// assert_eq!(format!("{keys:?}"), "ApiKeys(2)");
    /// # Ok::<_, sessile_server::ApiKeyError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, ApiKeyError> {
        // A comma after the last key is none between two.
        let text = text.trim_end_matches([',', ' ']);
        text.split(',').map(|key| digest_of(key.trim())).collect::<Result<_, _>>().map(Self)
    }

    /// A single key of any length and of the characters that keys have.
    pub(crate) fn single(key: &str) -> Result<Self, ApiKeyError> {
        if key.chars().all(is_allowed) {
            Ok(Self(vec![sha256(key.as_bytes())]))
        } else {
            Err(ApiKeyError::InvalidCharacter)
        }
    }

    /// Keys of which nobody has one: no text is known that has this digest.
    pub(crate) fn closed() -> Self {
        Self(vec![[0; 32]])
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `key` is one of them. How long this takes tells nothing of the keys.
    pub(crate) fn contain(&self, key: &[u8]) -> bool {
        let presented = sha256(key);
        self.0
            .iter()
            .fold(false, |found, known| found | verify_slices_are_equal(known, &presented).is_ok())
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("ApiKeys").field(&self.0.len()).finish()
    }
}

fn digest_of(key: &str) -> Result<[u8; 32], ApiKeyError> {
    if let Some(digits) = key.strip_prefix(DIGEST_PREFIX) {
        return hexadecimal(digits).ok_or(ApiKeyError::InvalidDigest);
    }
    if key.chars().count() < 20 {
        Err(ApiKeyError::TooShort)
    } else if key.chars().all(is_allowed) {
        Ok(sha256(key.as_bytes()))
    } else {
        Err(ApiKeyError::InvalidCharacter)
    }
}

fn is_allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '=' | '-')
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

/// The 32 bytes that 64 hexadecimal digits tell.
fn hexadecimal(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let digits = digits.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let value =
            |digit: u8| char::from(digit).to_digit(16).and_then(|value| value.try_into().ok());
        let (high, low): (u8, u8) = (value(pair[0])?, value(pair[1])?);
        *byte = high << 4 | low;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "hg40239oirjgBHD9450=Beew123-";

    #[test]
    fn keys_are_trimmed_and_found_whole() {
        let keys = ApiKeys::parse(&format!(" {KEY} ,another-key-with-20-characters , ")).unwrap();
        assert!(keys.contain(KEY.as_bytes()));
        assert!(keys.contain(b"another-key-with-20-characters"));
        for wrong in ["", "another-key-with-20-character", &format!("{KEY}x"), &KEY.to_lowercase()]
        {
            assert!(!keys.contain(wrong.as_bytes()), "{wrong}");
        }
        assert!(!ApiKeys::default().contain(b""));
    }

    #[test]
    fn a_digest_stands_for_its_key() {
        // printf %s hg40239oirjgBHD9450=Beew123- | sha256sum
        let digest = "ad82e89bbc329dce6ecee14bad7e7956fcceb61b3bac70e005693901089b7b41";
        for digest in [digest.to_owned(), digest.to_uppercase()] {
            let keys = ApiKeys::parse(&format!("sha256:{digest}")).unwrap();
            assert!(keys.contain(KEY.as_bytes()));
            assert!(!keys.contain(format!("sha256:{digest}").as_bytes()));
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let digits = "0".repeat(63);
        for (text, error) in [
            ("", ApiKeyError::TooShort),
            (",", ApiKeyError::TooShort),
            ("nineteen-characters", ApiKeyError::TooShort),
            ("twenty-characters-is,ok", ApiKeyError::TooShort),
            ("an underscore is not_ok", ApiKeyError::InvalidCharacter),
            ("ümlauts-are-not-accepted", ApiKeyError::InvalidCharacter),
            (&format!("sha256:{digits}"), ApiKeyError::InvalidDigest),
            (&format!("sha256:{digits}g"), ApiKeyError::InvalidDigest),
            (&format!("sha256:{digits}ü"), ApiKeyError::InvalidDigest),
        ] {
            assert_eq!(ApiKeys::parse(text), Err(error), "{text}");
        }
    }
}
