use crate::{error::GeneralError, keys::Algorithm};

/// A version of SuperTokens' access-token format.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum AccessTokenVersion {
    /// As V2, with another number in the header. It is read, and kept where a token is replaced,
    /// and no session is given one.
    V1,
    /// Standard base64 with padding, a constant header without a key id, times in milliseconds,
    /// and the payload nested in one claim. RS256 alone.
    V2,
    /// A JWT (RFC 7519) with the payload's claims beside its own.
    V3,
    /// As V3, with the tenant (`tId`).
    V4,
    /// As V4, with the recipe user id (`rsub`).
    #[default]
    V5,
}

impl AccessTokenVersion {
    /// The versions whose header names a key.
    pub(crate) const WITH_KEY_ID: [Self; 3] = [Self::V3, Self::V4, Self::V5];

    /// The version as the header's `version` names it.
    pub const fn number(self) -> &'static str {
        match self {
            Self::V1 => "1",
            Self::V2 => "2",
            Self::V3 => "3",
            Self::V4 => "4",
            Self::V5 => "5",
        }
    }

    /// Whether it is older than JWTs with a key id: the payload is nested, and times are in
    /// milliseconds.
    pub(crate) const fn is_legacy(self) -> bool {
        matches!(self, Self::V1 | Self::V2)
    }

    /// Whether sessions may be given such tokens, and keys of that algorithm can sign them.
    pub(crate) fn check_issue(self, algorithm: Algorithm) -> Result<(), GeneralError> {
        if self == Self::V1 {
            let problem = "access_token_version V1 is only read; V2 is the oldest that is issued";
            return Err(GeneralError::Configuration(problem.into()));
        }
        self.check_algorithm(algorithm)
    }

    /// Whether keys of that algorithm can sign such tokens.
    pub(crate) fn check_algorithm(self, algorithm: Algorithm) -> Result<(), GeneralError> {
        if self.is_legacy() && algorithm != Algorithm::Rs256 {
            let number = self.number();
            let problem = format!("access_token_version V{number} needs the algorithm RS256");
            return Err(GeneralError::Configuration(problem.into()));
        }
        Ok(())
    }

    /// The claims that such a token must have, and that a payload must not name.
    pub const fn protected_claims(self) -> &'static [&'static str] {
        // Each version from V3 on adds one claim to the last.
        const V5: [&str; 9] = [
            "sub",
            "exp",
            "iat",
            "sessionHandle",
            "refreshTokenHash1",
            "parentRefreshTokenHash1",
            "antiCsrfToken",
            "tId",
            "rsub",
        ];
        const V2: [&str; 5] =
            ["userId", "expiryTime", "timeCreated", "sessionHandle", "refreshTokenHash1"];
        match self {
            Self::V1 | Self::V2 => &V2,
            Self::V3 => V5.split_at(7).0,
            Self::V4 => V5.split_at(8).0,
            Self::V5 => &V5,
        }
    }
}
