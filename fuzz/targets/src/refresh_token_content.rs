use serde_json::json;
use sessile_core::{fuzzing::rewrite_refresh_token, policy::RefreshTokenFormat};

use crate::{Target, fixture::FORMATS, plain_target};

/// What is sealed in refresh tokens, of both formats. The first byte says which.
pub struct RefreshTokenContents {
    samples: Vec<Vec<u8>>,
}

plain_target!(RefreshTokenContents);

impl RefreshTokenContents {
    /// Contents with and without what is optional.
    pub fn new() -> Self {
        let field = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes(), bytes].concat();
        let some = |bytes: &[u8]| [vec![1], field(bytes)].concat();
        let (handle, user, time) = (field(b"h_t1"), field(b"alice"), field(b"1700000000000"));
        let full = [&[0], &*handle, &user, &some(&[7; 32]), &some(b"anti"), &time].concat();
        let least = [&[0], &*handle, &user, &[0], &[0], &time].concat();
        let json = |content: serde_json::Value| [b"\x01", content.to_string().as_bytes()].concat();
        let samples = vec![
            full,
            least,
            json(json!({ "sessionHandle": "h", "userId": "alice", "nonce": "n" })),
            json(json!({
                "sessionHandle": "h_t1", "userId": "alice", "nonce": "n",
                "parentRefreshTokenHash1": "0123456789abcdef".repeat(4),
                "antiCsrfToken": "anti", "tenantId": "t1",
            })),
            json(json!(["h", "alice", "0", "n", null, "t1"])),
        ];
        Self { samples }
    }
}

impl Target for RefreshTokenContents {
    fn name(&self) -> &'static str {
        "refresh_token_content"
    }

    fn samples(&self) -> &[Vec<u8>] {
        &self.samples
    }

    fn check(&self, input: &[u8]) {
        let Some((&format, content)) = input.split_first() else { return };
        let format = FORMATS[usize::from(format) % FORMATS.len()];
        let Some(written) = rewrite_refresh_token(format, content) else { return };
        match format {
            RefreshTokenFormat::Sessile => assert_eq!(written, content, "one way to write it"),
            // JSON has many ways to say one thing; the second reading finds the first one's.
            RefreshTokenFormat::SuperTokens => {
                assert_eq!(rewrite_refresh_token(format, &written), Some(written));
            }
        }
    }
}
