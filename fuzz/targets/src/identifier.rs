use sessile_core::{Algorithm, AppId, SessionHandle, TenantId};

use crate::{Target, plain_target};

/// Names of apps, tenants and algorithms, and handles with their tenants.
pub struct Identifiers {
    samples: Vec<Vec<u8>>,
}

plain_target!(Identifiers);

impl Identifiers {
    /// Some of each.
    pub fn new() -> Self {
        let samples = [
            "public",
            "tenant-1",
            "ES256",
            "EdDSA",
            "RS256",
            "_",
            "Ä/.x",
            "018bcfe5-6800-7e5c-8d5a-0a1b2c3d4e5f_tenant-1",
        ];
        Self { samples: samples.map(|text| text.as_bytes().to_vec()).to_vec() }
    }
}

impl Target for Identifiers {
    fn name(&self) -> &'static str {
        "identifier"
    }

    fn samples(&self) -> &[Vec<u8>] {
        &self.samples
    }

    fn check(&self, input: &[u8]) {
        let text = &*String::from_utf8_lossy(input);
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let is_name = |text: &str| (1..=64).contains(&text.len()) && text.bytes().all(plain);
        assert_eq!(text.parse::<AppId>().is_ok(), is_name(text), "{text:?}");
        assert_eq!(text.parse::<TenantId>().is_ok(), is_name(text), "{text:?}");
        if let Ok(app) = text.parse::<AppId>() {
            assert_eq!(app.as_str(), text);
        }
        let handle = SessionHandle::new(text);
        assert_eq!(handle.as_str(), text);
        let named = text.split('_').nth(1).filter(|tenant| is_name(tenant));
        assert_eq!(handle.tenant().as_str(), named.unwrap_or("public"));
        if let Ok(algorithm) = text.parse::<Algorithm>() {
            assert_eq!(algorithm.name(), text);
        }
    }
}
