use std::fmt;

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};

/// Signs whatever it is given with a key of an engine's, taken from an unsealed store.
pub struct Forge {
    key_id: String,
    algorithm: String,
    signer: Signer,
    public: Vec<u8>,
}

enum Signer {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl Forge {
    /// The key of that id and algorithm, by the text that a store keeps of it.
    pub fn new(key_id: &str, algorithm: &str, material: &str) -> Self {
        let (public, private) = material.split_once('|').unwrap();
        let pkcs8 = STANDARD.decode(private).unwrap();
        let signer = match algorithm {
            "ES256" => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8);
                Signer::Ecdsa(pair.unwrap())
            }
            "EdDSA" => Signer::Ed25519(Ed25519KeyPair::from_pkcs8(&pkcs8).unwrap()),
            "RS256" => Signer::Rsa(RsaKeyPair::from_pkcs8(&pkcs8).unwrap()),
            other => panic!("no algorithm of ours: {other}"),
        };
        Self {
            key_id: key_id.to_owned(),
            algorithm: algorithm.to_owned(),
            signer,
            public: STANDARD.decode(public).unwrap(),
        }
    }

    /// The id of the key.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The algorithm of the key, by its JWS name.
    pub fn algorithm(&self) -> &str {
        &self.algorithm
    }

    /// A token with a good signature over any header and any claims.
    pub fn sign(&self, header: &[u8], claims: &[u8]) -> String {
        self.sign_parts(&URL_SAFE_NO_PAD.encode(header), &URL_SAFE_NO_PAD.encode(claims))
    }

    /// A token with a good signature over two parts, however they are encoded.
    pub fn sign_parts(&self, header: &str, claims: &str) -> String {
        let message = format!("{header}.{claims}");
        let signature = self.signature(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A token whose signature is an HMAC under the public key: what a reader takes that believes
    /// the header's `alg`.
    pub fn sign_with_public_key(&self, header: &[u8], claims: &[u8]) -> String {
        let (header, claims) = (URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let message = format!("{header}.{claims}");
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.public);
        let signature = hmac::sign(&key, message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.signer {
            Signer::Ecdsa(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Signer::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Signer::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }
}

impl fmt::Debug for Forge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Forge").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}
