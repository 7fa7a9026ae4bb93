//! Sealing: authenticated encryption under a key that is used once.
//!
//! HKDF-SHA256 (RFC 5869) makes the key from a secret, 32 fresh random bytes and a context;
//! AES-256-GCM encrypts under it. A key per message means that no number of messages wears a
//! secret out, so the nonce can be constant.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf,
};

use crate::{
    error::GeneralError,
    random::{RandomSource, random_bytes},
};

const SALT_LENGTH: usize = 32;

fn key(secret: &[u8], salt: &[u8], context: &[&str]) -> Option<LessSafeKey> {
    // Lengths keep ["ab", "c"] and ["a", "bc"] apart.
    let info: Vec<u8> = context
        .iter()
        .flat_map(|part| (part.len() as u64).to_be_bytes().into_iter().chain(part.bytes()))
        .collect();
    let info = [info.as_slice()];
    let pseudorandom = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    let output = pseudorandom.expand(&info, &AES_256_GCM).ok()?;
    Some(LessSafeKey::new(UnboundKey::from(output)))
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

/// Seals `plaintext`; only who has `secret` and knows `context` opens it.
pub(crate) fn seal(
    secret: &[u8],
    context: &[&str],
    plaintext: &[u8],
    random: &dyn RandomSource,
) -> Result<Vec<u8>, GeneralError> {
    let salt: [u8; SALT_LENGTH] = random_bytes(random)?;
    let key = key(secret, &salt, context).ok_or(GeneralError::Cryptography("deriving a key"))?;
    let mut ciphertext = plaintext.to_vec();
    key.seal_in_place_append_tag(nonce(), Aad::empty(), &mut ciphertext)
        .map_err(|_| GeneralError::Cryptography("sealing"))?;
    Ok([salt.as_slice(), &ciphertext].concat())
}

/// Opens what [`seal`] made; `None` if it was made otherwise or changed since.
pub(crate) fn open(secret: &[u8], context: &[&str], sealed: &[u8]) -> Option<Vec<u8>> {
    let (salt, ciphertext) = sealed.split_at_checked(SALT_LENGTH)?;
    let key = key(secret, salt, context)?;
    let mut buffer = ciphertext.to_vec();
    let length = key.open_in_place(nonce(), Aad::empty(), &mut buffer).ok()?.len();
    buffer.truncate(length);
    Some(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandom;

    #[test]
    fn opens_only_with_the_same_secret_context_and_bytes() {
        let sealed = seal(b"secret", &["a", "bc"], b"text", &SystemRandom).unwrap();
        assert_eq!(open(b"secret", &["a", "bc"], &sealed).unwrap(), b"text");
        assert!(open(b"other", &["a", "bc"], &sealed).is_none());
        assert!(open(b"secret", &["ab", "c"], &sealed).is_none());
        for position in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[position] ^= 1;
            assert!(open(b"secret", &["a", "bc"], &changed).is_none(), "byte {position}");
            assert!(open(b"secret", &["a", "bc"], &sealed[..position]).is_none());
        }
    }
}
