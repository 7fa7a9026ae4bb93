use sessile_core::{Error, RefreshRequest, SessionService as _, UnauthorisedReason};

use crate::{
    Target,
    fixture::{Engine, answer, refresh_token, sessions_of_every_kind},
    plain_target,
};

/// Refresh tokens of both formats: whatever is opened was issued. Their sessions are gone, so
/// that an opened token finds nothing to rotate.
pub struct RefreshTokens {
    engine: Engine,
    issued: Vec<Vec<u8>>,
}

plain_target!(RefreshTokens);

impl RefreshTokens {
    /// An engine that issued some, and ended all sessions.
    pub fn new() -> Self {
        let (engine, issued) = sessions_of_every_kind();
        answer(engine.revoke_all_sessions_for_user("alice")).unwrap();
        let issued = issued.iter().take(4).map(|issued| refresh_token(issued).into()).collect();
        Self { engine, issued }
    }

    /// What is sealed of a token is all of it, but for the version of SuperTokens' format, which
    /// its core compares loosely too.
    fn sealed_part(token: &[u8]) -> &[u8] {
        match token {
            [sealed @ .., b'.', b'v' | b'V', b'1' | b'2'] => sealed,
            all => all,
        }
    }
}

impl Target for RefreshTokens {
    fn name(&self) -> &'static str {
        "refresh_token"
    }

    fn samples(&self) -> &[Vec<u8>] {
        &self.issued
    }

    fn check(&self, input: &[u8]) {
        let text = String::from_utf8_lossy(input);
        match answer(self.engine.refresh(RefreshRequest::from(&*text))) {
            Err(Error::Unauthorised { reason: UnauthorisedReason::SessionNotFound }) => {
                let sealed = Self::sealed_part(text.as_bytes());
                let was_issued = self.issued.iter().any(|token| Self::sealed_part(token) == sealed);
                assert!(was_issued, "opened: {text:?}");
            }
            Err(Error::Unauthorised { reason: UnauthorisedReason::RefreshTokenInvalid }) => {
                assert!(!self.issued.iter().any(|issued| issued == text.as_bytes()));
            }
            other => panic!("{:?}: {text:?}", other.map(drop)),
        }
    }
}
