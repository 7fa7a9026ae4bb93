use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use sessile_core::store::StoredSigningKey;

/// Signs whatever it is given with a key of the engine's, taken from an unsealed store.
pub(crate) struct Forge {
    pub(crate) key_id: String,
    algorithm: String,
    pkcs8: Vec<u8>,
    public: Vec<u8>,
}

impl Forge {
    pub(crate) fn of(key: &StoredSigningKey) -> Self {
        let (public, private) = key.material.split_once('|').unwrap();
        Self {
            key_id: key.key_id.clone(),
            algorithm: key.algorithm.clone(),
            pkcs8: STANDARD.decode(private).unwrap(),
            public: STANDARD.decode(public).unwrap(),
        }
    }

    /// The public half, as SubjectPublicKeyInfo.
    pub(crate) fn public(&self) -> &[u8] {
        &self.public
    }

    /// The header that the engine gives its own tokens.
    pub(crate) fn header(&self) -> Value {
        json!({ "alg": self.algorithm, "kid": self.key_id, "typ": "JWT", "version": "5" })
    }

    /// A good token with these claims.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.sign(&self.header().to_string(), claims.to_string().as_bytes())
    }

    /// A token with a good signature over any header and any claims.
    pub(crate) fn sign(&self, header: &str, claims: &[u8]) -> String {
        self.sign_parts(&URL_SAFE_NO_PAD.encode(header), &URL_SAFE_NO_PAD.encode(claims))
    }

    /// A token with a good signature over two parts, however they are encoded.
    pub(crate) fn sign_parts(&self, header: &str, claims: &str) -> String {
        let message = format!("{header}.{claims}");
        let signature = self.signature(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self.algorithm.as_str() {
            "ES256" => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.pkcs8)
                .unwrap()
                .sign(&random, message)
                .unwrap()
                .as_ref()
                .to_vec(),
            "EdDSA" => {
                Ed25519KeyPair::from_pkcs8(&self.pkcs8).unwrap().sign(message).as_ref().to_vec()
            }
            _ => {
                let pair = RsaKeyPair::from_pkcs8(&self.pkcs8).unwrap();
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }
}
