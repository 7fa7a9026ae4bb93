use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use sessile_core::{AccessTokenVersion, fuzzing::rewrite_claims};

use crate::{
    Target,
    fixture::{KINDS, access_token, sessions_of_every_kind},
    plain_target,
};

const VERSIONS: [AccessTokenVersion; 5] = [
    AccessTokenVersion::V1,
    AccessTokenVersion::V2,
    AccessTokenVersion::V3,
    AccessTokenVersion::V4,
    AccessTokenVersion::V5,
];

/// Claims behind a good signature: what is taken has all claims of its version, of their types,
/// and is written as it was read. The first byte says which version.
pub struct AccessTokenClaims {
    samples: Vec<Vec<u8>>,
}

plain_target!(AccessTokenClaims);

impl AccessTokenClaims {
    /// The claims of a session of each kind, and odd ones.
    pub fn new() -> Self {
        let (_, issued) = sessions_of_every_kind();
        let mut samples = Vec::new();
        for ((version, _), issued) in KINDS.iter().zip(&issued) {
            let part = access_token(issued).split('.').nth(1).unwrap();
            let claims = match version {
                AccessTokenVersion::V2 => STANDARD.decode(part).unwrap(),
                _ => URL_SAFE_NO_PAD.decode(part).unwrap(),
            };
            let index = VERSIONS.iter().position(|known| known == version).unwrap();
            samples.push([&[index as u8], claims.as_slice()].concat());
        }
        let odd = json!({ "sub": null, "exp": 1e300, "iat": -1, "a": [[{}]], "userData": {},
            "tId": "\u{1}", "": "\u{ff}" });
        samples.push([b"\x04", odd.to_string().as_bytes()].concat());
        samples.push([b"\x03", "[".repeat(200).as_bytes()].concat());
        Self { samples }
    }
}

impl Target for AccessTokenClaims {
    fn name(&self) -> &'static str {
        "access_token_claims"
    }

    fn samples(&self) -> &[Vec<u8>] {
        &self.samples
    }

    fn check(&self, input: &[u8]) {
        let Some((&version, claims)) = input.split_first() else { return };
        let version = VERSIONS[usize::from(version) % VERSIONS.len()];
        let Some(written) = rewrite_claims(version, claims) else { return };
        assert_eq!(rewrite_claims(version, &written).as_ref(), Some(&written), "written as read");
        let read: Value = serde_json::from_slice(claims).unwrap();
        let rewritten: Value = serde_json::from_slice(&written).unwrap();
        for name in version.protected_claims() {
            assert!(read.get(name).is_some(), "{name} is missing");
        }
        if version <= AccessTokenVersion::V2 {
            assert_eq!(rewritten["userData"], read["userData"]);
            return;
        }
        // Seconds are kept as milliseconds, so what is three million centuries away is "never".
        let is_near = |name: &str| read[name].as_i64().unwrap().checked_mul(1000).is_some();
        if is_near("exp") && is_near("iat") {
            assert_eq!(rewritten, read);
        }
    }
}
