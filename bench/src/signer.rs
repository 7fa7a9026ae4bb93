//! The cryptography alone: the same keys and the same bytes, without anything around them.

use anyhow::{Context as _, anyhow};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
        RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use sessile::{Algorithm, Sessions, store::Store};

/// The key pair of an app, parsed.
#[expect(missing_debug_implementations, reason = "it has what must not be printed")]
pub struct Signer {
    pair: Pair,
    random: SystemRandom,
    verifier: ParsedPublicKey,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

/// A token, taken apart.
#[expect(missing_debug_implementations, reason = "it has what must not be printed")]
pub struct Signed {
    /// The header and the payload, as they were signed.
    pub message: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
}

impl Signed {
    /// Takes a token apart.
    ///
    /// # Errors
    /// When it has no signature.
    pub fn from_token(token: &str) -> anyhow::Result<Self> {
        let (message, signature) = token.rsplit_once('.').context("a token without signature")?;
        Ok(Self { message: message.into(), signature: URL_SAFE_NO_PAD.decode(signature)? })
    }
}

impl Signer {
    /// Takes the key of these sessions from their store, where it is not sealed.
    ///
    /// # Errors
    /// The store's, and when the key is sealed.
    pub async fn of<S: Store>(sessions: &Sessions<S>) -> anyhow::Result<Self> {
        let keys = sessions.store().signing_keys(sessions.app()).await?;
        let key = keys.first().context("the store has no key")?;
        let (_, private) = key.material.split_once('|').context("the key is sealed")?;
        let private = STANDARD.decode(private)?;
        let refused = |_| anyhow!("the key cannot be read");
        let (pair, verifier) = match sessions.policy().algorithm {
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &private)
                    .map_err(refused)?;
                let verifier = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key());
                (Pair::Ecdsa(pair), verifier)
            }
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::from_pkcs8(&private).map_err(refused)?;
                let verifier = ParsedPublicKey::new(&ED25519, pair.public_key());
                (Pair::Ed25519(pair), verifier)
            }
            _ => {
                let pair = RsaKeyPair::from_pkcs8(&private).map_err(refused)?;
                let verifier = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key());
                (Pair::Rsa(pair), verifier)
            }
        };
        let verifier = verifier.map_err(refused)?;
        Ok(Self { pair, random: SystemRandom::new(), verifier })
    }

    /// Signs `message`.
    ///
    /// # Errors
    /// None that is expected.
    pub fn sign(&self, message: &[u8]) -> anyhow::Result<Vec<u8>> {
        let failed = |_| anyhow!("signing failed");
        match &self.pair {
            Pair::Ecdsa(pair) => {
                Ok(pair.sign(&self.random, message).map_err(failed)?.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &self.random, message, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
        }
    }

    /// Verifies a signature.
    ///
    /// # Errors
    /// When it is not good.
    pub fn verify(&self, signed: &Signed) -> anyhow::Result<()> {
        self.verifier
            .verify_sig(&signed.message, &signed.signature)
            .map_err(|_| anyhow!("a signature is not good"))
    }
}
