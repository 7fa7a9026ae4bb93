use sessile_core::{Error, SessionService as _, VerifyRequest};

use crate::{
    Target,
    fixture::{Engine, access_token, answer, sessions_of_every_kind},
    plain_target,
};

/// Access tokens of all versions and algorithms: whatever is taken was issued.
pub struct AccessTokens {
    engine: Engine,
    issued: Vec<Vec<u8>>,
}

plain_target!(AccessTokens);

impl AccessTokens {
    /// An engine with a session of each kind.
    pub fn new() -> Self {
        let (engine, issued) = sessions_of_every_kind();
        let issued = issued.iter().map(|issued| access_token(issued).into()).collect();
        Self { engine, issued }
    }
}

impl Target for AccessTokens {
    fn name(&self) -> &'static str {
        "access_token"
    }

    fn samples(&self) -> &[Vec<u8>] {
        &self.issued
    }

    fn check(&self, input: &[u8]) {
        let text = String::from_utf8_lossy(input);
        let verified = answer(self.engine.verify(VerifyRequest::new(&text)));
        match &verified {
            Ok(session) => {
                assert_eq!(session.user_id(), "alice");
                // A signature may be written in one way only, so all bytes are the issued ones.
                let was_issued = self.issued.iter().any(|issued| issued == text.as_bytes());
                assert!(was_issued, "taken: {text:?}");
            }
            Err(Error::TryRefreshToken { .. }) => {
                let was_issued = self.issued.iter().any(|issued| issued == text.as_bytes());
                assert!(!was_issued, "refused: {text:?}");
            }
            Err(other) => panic!("{other}: {text:?}"),
        }
        // It is in the cache of verified tokens now, if it was good; the answer stays the same.
        if verified.is_ok() {
            assert!(answer(self.engine.identify(&text)).unwrap().is_some());
        }
    }
}
