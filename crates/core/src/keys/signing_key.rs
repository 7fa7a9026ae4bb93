use std::fmt;

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom as SigningRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
        RsaKeyPair, VerificationAlgorithm,
    },
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use super::{Algorithm, WrappingKey, wrapping};
use crate::{
    access_token::AccessTokenVersion,
    clock::Timestamp,
    error::GeneralError,
    identifier::AppId,
    policy::SigningKeyKind,
    random::{RandomSource, random_bytes},
    store::StoredSigningKey,
};

enum Signer {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

/// A signing key, ready for use: parsed once, with everything that is constant for it.
pub(crate) struct SigningKey {
    key_id: String,
    algorithm: Algorithm,
    created_at: Timestamp,
    signer: Signer,
    verifier: ParsedPublicKey,
    encoded_headers: [String; 3],
    is_static: bool,
    json_web_key: Value,
    public_key: String,
}

const UNREADABLE: GeneralError = GeneralError::Cryptography("reading a signing key");
const GENERATING: GeneralError = GeneralError::Cryptography("generating a signing key");

/// What checks the signatures of a public key: an uncompressed point, 32 bytes, or RSAPublicKey in
/// DER.
pub(super) fn verifier(
    algorithm: Algorithm,
    public: &[u8],
) -> Result<ParsedPublicKey, GeneralError> {
    let verification: &'static dyn VerificationAlgorithm = match algorithm {
        Algorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
        Algorithm::EdDsa => &ED25519,
        Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
    };
    ParsedPublicKey::new(verification, public).map_err(|_| UNREADABLE)
}

impl SigningKey {
    /// Makes a new key and the record that a store keeps of it:
    /// `<SubjectPublicKeyInfo>|<PKCS #8>`, both DER in base64, as SuperTokens keeps its keys.
    pub(crate) fn generate(
        algorithm: Algorithm,
        kind: SigningKeyKind,
        app: &AppId,
        wrapping_key: Option<&WrappingKey>,
        created_at: Timestamp,
        random: &dyn RandomSource,
    ) -> Result<StoredSigningKey, GeneralError> {
        let (public, private) = match algorithm {
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                    .map_err(|_| GENERATING)?;
                let public = pair.public_key().as_der().map_err(|_| GENERATING)?;
                let private = pair.to_pkcs8v1().map_err(|_| GENERATING)?;
                (STANDARD.encode(public.as_ref()), STANDARD.encode(private.as_ref()))
            }
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::generate().map_err(|_| GENERATING)?;
                let public = pair.public_key().as_der().map_err(|_| GENERATING)?;
                let private = pair.to_pkcs8v1().map_err(|_| GENERATING)?;
                (STANDARD.encode(public.as_ref()), STANDARD.encode(private.as_ref()))
            }
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| GENERATING)?;
                let public = pair.public_key().as_der().map_err(|_| GENERATING)?;
                let private = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair)
                    .map_err(|_| GENERATING)?;
                (STANDARD.encode(public.as_ref()), STANDARD.encode(private.as_ref()))
            }
        };
        let is_static = kind == SigningKeyKind::Static;
        let key_id = if is_static {
            let id = uuid::Builder::from_random_bytes(random_bytes(random)?).into_uuid();
            format!("s-{id}")
        } else {
            format!("d-{}", created_at.as_millis())
        };
        let plain = zeroize::Zeroizing::new(format!("{public}|{private}"));
        let material = wrapping::wrap(wrapping_key, app, &key_id, &plain, random)?;
        Ok(StoredSigningKey {
            key_id,
            algorithm: algorithm.name().to_owned(),
            created_at,
            material,
            is_static,
        })
    }

    /// Reads a key that a store kept.
    pub(crate) fn load(
        stored: &StoredSigningKey,
        app: &AppId,
        wrapping_key: Option<&WrappingKey>,
    ) -> Result<Self, GeneralError> {
        let plain = wrapping::unwrap(wrapping_key, app, &stored.key_id, &stored.material)?;
        // Cores of SuperTokens up to 3.x put a semicolon between the halves.
        let (public, private) = plain.split_once(['|', ';']).ok_or(UNREADABLE)?;
        let private = STANDARD.decode(private).map_err(|_| UNREADABLE)?;
        let algorithm: Algorithm = stored.algorithm.parse().map_err(|_| UNREADABLE)?;
        let (signer, verifier, mut json_web_key) = match algorithm {
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &private)
                    .map_err(|_| UNREADABLE)?;
                let point = pair.public_key().as_ref();
                let verifier = verifier(algorithm, point)?;
                // An uncompressed point: 4, x, y.
                let (x, y) =
                    point.get(1..).and_then(|xy| xy.split_at_checked(32)).ok_or(UNREADABLE)?;
                let jwk = json!({
                    "kty": "EC",
                    "crv": "P-256",
                    "x": URL_SAFE_NO_PAD.encode(x),
                    "y": URL_SAFE_NO_PAD.encode(y),
                });
                (Signer::Ecdsa(pair), verifier, jwk)
            }
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::from_pkcs8(&private).map_err(|_| UNREADABLE)?;
                let point = pair.public_key().as_ref();
                let verifier = verifier(algorithm, point)?;
                let jwk = json!({
                    "kty": "OKP",
                    "crv": "Ed25519",
                    "x": URL_SAFE_NO_PAD.encode(point),
                });
                (Signer::Ed25519(pair), verifier, jwk)
            }
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::from_pkcs8(&private).map_err(|_| UNREADABLE)?;
                let public = pair.public_key();
                let verifier = verifier(algorithm, public.as_ref())?;
                let modulus = public.modulus();
                let exponent = public.exponent();
                let jwk = json!({
                    "kty": "RSA",
                    "n": URL_SAFE_NO_PAD.encode(modulus.big_endian_without_leading_zero()),
                    "e": URL_SAFE_NO_PAD.encode(exponent.big_endian_without_leading_zero()),
                });
                (Signer::Rsa(pair), verifier, jwk)
            }
        };
        json_web_key["kid"] = json!(stored.key_id);
        json_web_key["alg"] = json!(algorithm.name());
        json_web_key["use"] = json!("sig");
        let encoded_headers = AccessTokenVersion::WITH_KEY_ID.map(|version| {
            let header = json!({
                "alg": algorithm.name(),
                "kid": stored.key_id,
                "typ": "JWT",
                "version": version.number(),
            });
            URL_SAFE_NO_PAD.encode(header.to_string())
        });
        Ok(Self {
            key_id: stored.key_id.clone(),
            algorithm,
            created_at: stored.created_at,
            signer,
            verifier,
            encoded_headers,
            is_static: stored.is_static,
            json_web_key,
            public_key: public.to_owned(),
        })
    }

    pub(crate) fn key_id(&self) -> &str {
        &self.key_id
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn created_at(&self) -> Timestamp {
        self.created_at
    }

    pub(crate) fn is_static(&self) -> bool {
        self.is_static
    }

    /// The JOSE header of every token of that version that this key signs, in base64url; V1 and V2
    /// have another one, which names no key.
    pub(crate) fn encoded_header(&self, version: AccessTokenVersion) -> &str {
        let index = AccessTokenVersion::WITH_KEY_ID.iter().position(|known| *known == version);
        &self.encoded_headers[index.unwrap_or_default()]
    }

    /// The public half as a JSON Web Key (RFC 7517).
    pub(crate) fn json_web_key(&self) -> &Value {
        &self.json_web_key
    }

    /// The public half as SubjectPublicKeyInfo: DER in base64.
    pub(crate) fn public_key(&self) -> &str {
        &self.public_key
    }

    /// Signs `message`.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, GeneralError> {
        const SIGNING: GeneralError = GeneralError::Cryptography("signing");
        let random = SigningRandom::new();
        match &self.signer {
            Signer::Ecdsa(pair) => pair
                .sign(&random, message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| SIGNING),
            Signer::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Signer::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map_err(|_| SIGNING)?;
                Ok(signature)
            }
        }
    }

    /// Whether `signature` is this key's over `message`.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.verifier.verify_sig(message, signature).is_ok()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SigningKey")
            .field("key_id", &self.key_id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}
