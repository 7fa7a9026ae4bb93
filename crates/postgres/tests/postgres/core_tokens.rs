//! Tokens, keys and rows as SuperTokens' core makes them, from what is known of its formats.

use std::num::NonZeroU32;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    digest::{SHA256, digest},
    encoding::{AsDer, Pkcs8V1Der},
    pbkdf2,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

/// What a core has for an app: a signing key, and the secret of its refresh tokens.
pub(crate) struct Core {
    pair: RsaKeyPair,
    pub(crate) key_created_at: i64,
    pub(crate) secret: String,
}

/// SHA-256 in lower-case hexadecimal digits, as the core hashes texts.
pub(crate) fn sha(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Core {
    pub(crate) fn new(key_created_at: i64) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let secret = format!("1000:{}:{}", sha("salt").repeat(2), sha("secret").repeat(2));
        Self { pair, key_created_at, secret }
    }

    /// `<SubjectPublicKeyInfo>|<PKCS #8>`, each DER in base64.
    pub(crate) fn key_text(&self) -> String {
        let public = self.pair.public_key().as_der().unwrap();
        let private = AsDer::<Pkcs8V1Der<'_>>::as_der(&self.pair).unwrap();
        format!("{}|{}", STANDARD.encode(public.as_ref()), STANDARD.encode(private.as_ref()))
    }

    fn signed(&self, header: &str, payload: &str) -> String {
        let message = format!("{header}.{payload}");
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let random = SystemRandom::new();
        self.pair.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).unwrap();
        let signature = if header.ends_with('=') {
            STANDARD.encode(signature)
        } else {
            URL_SAFE_NO_PAD.encode(signature)
        };
        format!("{message}.{signature}")
    }

    /// An access token of version 5.
    pub(crate) fn access_token(&self, claims: &Value) -> String {
        let key_id = format!("d-{}", self.key_created_at);
        let header = json!({"kid": key_id, "typ": "JWT", "version": "5", "alg": "RS256"});
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        self.signed(&header, &URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    /// An access token of version 2.
    pub(crate) fn old_access_token(&self, claims: &Value) -> String {
        let header = STANDARD.encode(r#"{"alg":"RS256","typ":"JWT","version":"2"}"#);
        self.signed(&header, &STANDARD.encode(claims.to_string()))
    }

    fn sealing_key(&self, salt: &[u8]) -> LessSafeKey {
        let mut key = [0; 32];
        let iterations = NonZeroU32::new(100).unwrap();
        let secret = self.secret.as_bytes();
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, iterations, salt, secret, &mut key);
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap())
    }

    /// A refresh token.
    pub(crate) fn refresh_token(
        &self,
        handle: &str,
        user_id: &str,
        parent: Option<&str>,
    ) -> String {
        let nonce = sha(&format!("{handle} {parent:?}"));
        let mut content = json!({"sessionHandle": handle, "userId": user_id, "nonce": nonce});
        if let Some(parent) = parent {
            content["parentRefreshTokenHash1"] = json!(sha(parent));
        }
        let salt: [u8; 12] = digest(&SHA256, nonce.as_bytes()).as_ref()[..12].try_into().unwrap();
        let mut text = content.to_string().into_bytes();
        let key = self.sealing_key(&salt);
        let unique = Nonce::assume_unique_for_key(salt);
        key.seal_in_place_append_tag(unique, Aad::empty(), &mut text).unwrap();
        format!("{}.{nonce}.V2", STANDARD.encode([&salt[..], &text].concat()))
    }

    /// What is in a refresh token.
    pub(crate) fn open_refresh_token(&self, token: &str) -> Value {
        let mut parts = token.split('.');
        let sealed = STANDARD.decode(parts.next().unwrap()).unwrap();
        let (salt, text) = sealed.split_at(12);
        let nonce = Nonce::try_assume_unique_for_key(salt).unwrap();
        let mut text = text.to_vec();
        let text = self.sealing_key(salt).open_in_place(nonce, Aad::empty(), &mut text).unwrap();
        let content: Value = serde_json::from_slice(text).unwrap();
        assert_eq!(parts.next(), content["nonce"].as_str());
        assert_eq!((parts.next(), parts.next()), (Some("V2"), None));
        content
    }
}
