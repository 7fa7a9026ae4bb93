use std::time::Duration;

use sessile_core::{AntiCsrf, VerifyRequest, policy::Revocation};

use crate::{anti_csrf::is_safe, request::RequestHead};

/// Whether a request with a session is checked for coming from another site.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AntiCsrfCheck {
    /// By its method: GET, HEAD, OPTIONS and TRACE are not checked, all others are.
    #[default]
    ByMethod,
    /// It is.
    Required,
    /// It is not.
    Skipped,
}

/// What a handler requires of a session beyond its being there.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Requirements {
    /// Whether the request is checked for coming from another site.
    pub anti_csrf: AntiCsrfCheck,
    /// How soon a revocation must hold; the policy's choice where nothing is said.
    pub revocation: Option<Revocation>,
    /// How long ago the login may be at most. One store call.
    pub login_within: Option<Duration>,
}

impl Requirements {
    /// Whether this request is checked.
    pub(crate) fn check_anti_csrf(&self, head: &RequestHead<'_>) -> bool {
        match self.anti_csrf {
            AntiCsrfCheck::ByMethod => !is_safe(head.method),
            AntiCsrfCheck::Required => true,
            AntiCsrfCheck::Skipped => false,
        }
    }

    /// The verification of this token that they ask for.
    pub(crate) fn of_token<'a>(
        &self,
        access_token: &'a str,
        anti_csrf: AntiCsrf<'a>,
    ) -> VerifyRequest<'a> {
        VerifyRequest {
            anti_csrf,
            revocation: self.revocation,
            login_within: self.login_within,
            ..VerifyRequest::new(access_token)
        }
    }
}
