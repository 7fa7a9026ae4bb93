use std::{cmp::Reverse, sync::Arc};

use sessile_core::{
    AntiCsrf, Error, GeneralError, IssuedSession, NewSession, RefreshRequest, SessionService,
    TryRefreshReason, UnauthorisedReason, VerifiedSession, event::RevocationReason,
};
use smallvec::smallvec;

use crate::{
    anti_csrf::{AntiCsrfMode, check_fetch_metadata, check_request},
    config::{BrowserContract, Transfer, WebConfig},
    cookies::SessionCookie,
    error::{ForbiddenReason, WebError},
    request::{RequestHead, Values, looks_like_access_token},
    requirements::{AntiCsrfCheck, Requirements},
    response::{ANTI_CSRF, ResponseChanges},
    session::Session,
};

/// Sessions, as requests and answers carry them. Clones are cheap and share everything.
#[derive(Clone, Debug)]
pub struct WebSessions(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    service: Box<dyn SessionService>,
    config: Arc<WebConfig>,
}

/// The tokens that a request offers, and how they came.
struct Offered<'a> {
    transfer: Transfer,
    values: Values<'a>,
    duplicated: bool,
}

impl WebSessions {
    /// Sessions of `service`, by `config`.
    ///
    /// # Errors
    /// [`GeneralError::Configuration`] names what contradicts itself or cannot be read.
    pub fn new(service: impl SessionService, config: WebConfig) -> Result<Self, GeneralError> {
        let config = Arc::new(config.checked()?);
        Ok(Self(Arc::new(Shared { service: Box::new(service), config })))
    }

    /// The configuration.
    pub fn config(&self) -> &Arc<WebConfig> {
        &self.0.config
    }

    /// The sessions themselves, for what needs no request: by handle, or of a user.
    pub fn service(&self) -> &dyn SessionService {
        &*self.0.service
    }

    /// The session that the request carries; `None` if it carries none.
    ///
    /// # Errors
    /// [`WebError::Forbidden`] when another site may have sent it,
    /// [`Error::TryRefreshToken`] when its access token is not good,
    /// [`Error::Unauthorised`] when its session is gone, which also clears its cookies.
    pub async fn authenticate(
        &self,
        head: &RequestHead<'_>,
        requirements: Requirements,
        response: &ResponseChanges,
    ) -> Result<Option<Session>, WebError> {
        match self.authenticate_locally(head, requirements, response) {
            Some(session) => Ok(Some(session)),
            // In a box, so that the future of the usual case stays small.
            None => Box::pin(self.authenticate_otherwise(head, requirements, response)).await,
        }
    }

    /// The session of the request in the usual case, for which nobody is asked: one token, and a
    /// good one. `None` says no more than that [`authenticate`](Self::authenticate) must be asked.
    pub fn authenticate_locally(
        &self,
        head: &RequestHead<'_>,
        requirements: Requirements,
        response: &ResponseChanges,
    ) -> Option<Session> {
        // Some clients say by a cookie whether they have a session, whatever else they carry.
        if self.is_id_cookie_missing(head) {
            return None;
        }
        let offered = self.offered_access_tokens(head)?;
        let [access_token] = offered.values[..] else { return None };
        let checked = requirements.check_anti_csrf(head);
        let by_cookie = offered.transfer == Transfer::Cookie;
        if offered.duplicated || checked && by_cookie && check_request(head, self.config()).is_err()
        {
            return None;
        }
        let anti_csrf = self.anti_csrf_token(head, offered.transfer, checked);
        let request = requirements.of_token(access_token, anti_csrf);
        let verified = self.service().verify_locally(&request)?.ok()?;
        Some(self.session(verified, offered.transfer, response))
    }

    fn is_id_cookie_missing(&self, head: &RequestHead<'_>) -> bool {
        self.config().contract == BrowserContract::IdRefreshToken && !head.has_id_refresh_cookie()
    }

    async fn authenticate_otherwise(
        &self,
        head: &RequestHead<'_>,
        requirements: Requirements,
        response: &ResponseChanges,
    ) -> Result<Option<Session>, WebError> {
        if self.is_id_cookie_missing(head) {
            return Ok(None);
        }
        let checked = requirements.check_anti_csrf(head);
        let Some(offered) = self.offered_access_tokens(head) else {
            if self.config().contract == BrowserContract::IdRefreshToken {
                return Err(Error::from(TryRefreshReason::Missing).into());
            }
            return if self.can_refresh_in_place(head) {
                self.refresh_in_place(head, checked, response).await.map(Some)
            } else {
                Ok(None)
            };
        };
        if checked && offered.transfer == Transfer::Cookie {
            check_request(head, self.config()).map_err(WebError::Forbidden)?;
        }
        let result = self.verify_offered(head, &offered, checked, requirements).await;
        match result {
            Ok(verified) => {
                if let Some(new) = verified.new_access_token() {
                    response.set_access_token(&verified, new, offered.transfer);
                }
                if offered.duplicated {
                    response.heal_access_token(&verified, head);
                }
                Ok(Some(self.session(verified, offered.transfer, response)))
            }
            Err(Error::TryRefreshToken { reason })
                if reason != TryRefreshReason::AntiCsrfMismatch
                    && offered.transfer == Transfer::Cookie
                    && self.can_refresh_in_place(head) =>
            {
                self.refresh_in_place(head, checked, response).await.map(Some)
            }
            Err(Error::TryRefreshToken { .. })
                if offered.transfer == Transfer::Header
                    && !looks_like_access_token(offered.values[0]) =>
            {
                // A bearer token of another system, which is not for us to judge.
                Ok(None)
            }
            Err(Error::Unauthorised { reason: UnauthorisedReason::LoginNotFresh }) => {
                Err(WebError::Forbidden(ForbiddenReason::LoginNotFresh))
            }
            Err(error) => {
                if let Error::Unauthorised { .. } = error {
                    response.clear(offered.transfer);
                }
                Err(error.into())
            }
        }
    }

    /// As [`authenticate`](Self::authenticate), where there must be a session.
    ///
    /// # Errors
    /// As there, and [`Error::Unauthorised`] when the request carries none.
    pub async fn require(
        &self,
        head: &RequestHead<'_>,
        requirements: Requirements,
        response: &ResponseChanges,
    ) -> Result<Session, WebError> {
        let session = self.authenticate(head, requirements, response).await?;
        session.ok_or_else(|| Error::from(UnauthorisedReason::NoSession).into())
    }

    /// Creates a session for the client of this request, and ends the one that it had.
    ///
    /// # Errors
    /// As [`SessionService::create_session`]; the client keeps the session that it had then.
    pub async fn create_new_session(
        &self,
        head: &RequestHead<'_>,
        new: NewSession,
        response: &ResponseChanges,
    ) -> Result<Session, WebError> {
        let transfer = head.wanted_transfer(self.config());
        let wants_token =
            transfer == Transfer::Cookie && self.config().anti_csrf == AntiCsrfMode::Token;
        let issued = self.service().create_session(new.anti_csrf_token(wants_token)).await?;
        if let Err(error) = self.end_replaced(head, &issued, transfer, response).await {
            // Nobody has its tokens, so nobody else would end it.
            let handles = std::slice::from_ref(issued.session.handle());
            self.service().revoke_sessions(handles, RevocationReason::Requested).await?;
            return Err(error.into());
        }
        Ok(self.hand_out(issued, transfer, response))
    }

    /// Ends the sessions that a login replaces, so that a token that was planted before the login
    /// is worth nothing after it.
    async fn end_replaced(
        &self,
        head: &RequestHead<'_>,
        issued: &IssuedSession,
        transfer: Transfer,
        response: &ResponseChanges,
    ) -> Result<(), Error> {
        let Some(offered) = self.offered_access_tokens(head) else { return Ok(()) };
        let mut replaced = Vec::new();
        for value in &offered.values {
            if let Some(old) = self.service().identify(value).await?
                && old.handle() != issued.session.handle()
            {
                replaced.push(old.handle().clone());
            }
        }
        if !replaced.is_empty() {
            self.service().revoke_sessions(&replaced, RevocationReason::ReplacedByLogin).await?;
        }
        if offered.transfer != transfer {
            response.clear(offered.transfer);
        }
        if offered.transfer == Transfer::Cookie {
            self.heal_if_duplicated(head, response);
        }
        Ok(())
    }

    /// Exchanges the request's refresh token for the next pair of tokens. Always guarded against
    /// other sites where it came in a cookie.
    ///
    /// # Errors
    /// [`WebError::Forbidden`], and as [`SessionService::refresh`]; when the session is over, the
    /// client's tokens are cleared.
    pub async fn refresh_session(
        &self,
        head: &RequestHead<'_>,
        response: &ResponseChanges,
    ) -> Result<Session, WebError> {
        let has_cookie = head.refresh_cookies().count > 0;
        let transfer = match head.bearer(self.config()) {
            Some(_) if !has_cookie => Transfer::Header,
            // A client that has come to want headers still has its session in cookies.
            None if has_cookie => Transfer::Cookie,
            _ => head.wanted_transfer(self.config()),
        };
        if transfer == Transfer::Cookie {
            check_request(head, self.config()).map_err(WebError::Forbidden)?;
        }
        let checked = self.config().contract == BrowserContract::Current;
        let anti_csrf = self.anti_csrf_token(head, transfer, checked);
        self.refresh_by(head, transfer, anti_csrf, response).await
    }

    /// Takes the tokens from the client, as far as its request shows how it has them; not if
    /// another site sent the request, which comes without the cookies and must not take them away.
    pub fn clear_tokens(&self, head: &RequestHead<'_>, response: &ResponseChanges) {
        let transfer = match self.offered_access_tokens(head) {
            Some(offered) => offered.transfer,
            None => head.wanted_transfer(self.config()),
        };
        if transfer == Transfer::Header || check_fetch_metadata(head, self.config()).is_ok() {
            response.clear(transfer);
        }
    }

    /// Ends the session of the request and clears the client's tokens. Always guarded against
    /// other sites.
    ///
    /// # Errors
    /// As [`require`](Self::require).
    pub async fn sign_out(
        &self,
        head: &RequestHead<'_>,
        response: &ResponseChanges,
    ) -> Result<(), WebError> {
        let requirements =
            Requirements { anti_csrf: AntiCsrfCheck::Required, ..Requirements::default() };
        let mut session = self.require(head, requirements, response).await?;
        Ok(session.revoke_session().await?)
    }

    fn session(
        &self,
        verified: VerifiedSession,
        transfer: Transfer,
        response: &ResponseChanges,
    ) -> Session {
        Session { web: self.clone(), verified, transfer, response: response.clone() }
    }

    fn hand_out(
        &self,
        issued: IssuedSession,
        transfer: Transfer,
        response: &ResponseChanges,
    ) -> Session {
        response.set_tokens(&issued, transfer);
        self.session(issued.session, transfer, response)
    }

    /// A session's bearer token comes before the cookie; another system's does not hide it.
    fn offered_access_tokens<'a>(&self, head: &RequestHead<'a>) -> Option<Offered<'a>> {
        let cookies = head.access_cookies();
        match head.bearer(self.config()) {
            Some(token) if cookies.values.is_empty() || looks_like_access_token(token) => {
                Some(Offered {
                    transfer: Transfer::Header,
                    values: smallvec![token],
                    duplicated: false,
                })
            }
            _ if cookies.values.is_empty() => None,
            _ => Some(Offered {
                transfer: Transfer::Cookie,
                duplicated: cookies.are_duplicated(),
                values: cookies.values,
            }),
        }
    }

    /// Verifies every token offered; of those that are good, the newest counts.
    async fn verify_offered(
        &self,
        head: &RequestHead<'_>,
        offered: &Offered<'_>,
        checked: bool,
        requirements: Requirements,
    ) -> Result<VerifiedSession, Error> {
        let anti_csrf = self.anti_csrf_token(head, offered.transfer, checked);
        let mut best: Option<VerifiedSession> = None;
        let mut refused = None;
        for access_token in offered.values.iter().copied() {
            let request = requirements.of_token(access_token, anti_csrf);
            match self.service().verify(request).await {
                Ok(verified) => {
                    let newer = best.as_ref().is_none_or(|best| {
                        (verified.issued_at(), verified.expires_at())
                            >= (best.issued_at(), best.expires_at())
                    });
                    if newer {
                        best = Some(verified);
                    }
                }
                Err(error @ Error::General(_)) => return Err(error),
                // That a refresh may help outweighs that another session is over.
                Err(error) => match refused {
                    Some(Error::TryRefreshToken { .. }) => {}
                    _ => refused = Some(error),
                },
            }
        }
        best.ok_or_else(|| refused.unwrap_or_else(|| TryRefreshReason::Missing.into()))
    }

    fn anti_csrf_token<'a>(
        &self,
        head: &RequestHead<'a>,
        transfer: Transfer,
        checked: bool,
    ) -> AntiCsrf<'a> {
        if checked && transfer == Transfer::Cookie && self.config().anti_csrf == AntiCsrfMode::Token
        {
            AntiCsrf::Token(head.header(&ANTI_CSRF))
        } else {
            AntiCsrf::Unchecked
        }
    }

    fn can_refresh_in_place(&self, head: &RequestHead<'_>) -> bool {
        self.config().refresh_in_place && head.refresh_cookies().count > 0
    }

    /// A request that changes nothing may come from a link on another site, and is served: to
    /// refresh gives that site nothing.
    async fn refresh_in_place(
        &self,
        head: &RequestHead<'_>,
        checked: bool,
        response: &ResponseChanges,
    ) -> Result<Session, WebError> {
        if checked {
            check_request(head, self.config()).map_err(WebError::Forbidden)?;
        }
        let anti_csrf = self.anti_csrf_token(head, Transfer::Cookie, checked);
        self.refresh_by(head, Transfer::Cookie, anti_csrf, response).await
    }

    async fn refresh_by(
        &self,
        head: &RequestHead<'_>,
        transfer: Transfer,
        anti_csrf: AntiCsrf<'_>,
        response: &ResponseChanges,
    ) -> Result<Session, WebError> {
        let tokens = match transfer {
            Transfer::Cookie => head.refresh_cookies().values,
            Transfer::Header => head.bearer(self.config()).into_iter().collect::<Values<'_>>(),
        };
        if transfer == Transfer::Cookie {
            self.heal_if_duplicated(head, response);
        }
        let new_anti_csrf_token =
            transfer == Transfer::Cookie && self.config().anti_csrf == AntiCsrfMode::Token;
        let mut refused = Error::from(if tokens.is_empty() {
            UnauthorisedReason::MissingRefreshToken
        } else {
            UnauthorisedReason::RefreshTokenInvalid
        });
        for refresh_token in self.newest_of_each_session(tokens).await {
            let request = RefreshRequest {
                anti_csrf,
                new_anti_csrf_token,
                ..RefreshRequest::from(refresh_token)
            };
            match self.service().refresh(request).await {
                Ok(issued) => return Ok(self.hand_out(issued, transfer, response)),
                // Another session's token beside it may still be good.
                Err(error @ Error::Unauthorised { .. }) => refused = error,
                Err(error) => {
                    refused = error;
                    break;
                }
            }
        }
        if let Error::TokenTheftDetected { session_handle, session_ended: false, .. } = &refused {
            let handles = std::slice::from_ref(session_handle);
            self.service().revoke_sessions(handles, RevocationReason::TokenTheft).await?;
        }
        let clears = match &refused {
            Error::General(_) => false,
            Error::Unauthorised { reason: UnauthorisedReason::AntiCsrfMismatch } => false,
            // A form on another site comes without the cookies, and must not take them away.
            Error::Unauthorised { reason: UnauthorisedReason::MissingRefreshToken } => {
                transfer == Transfer::Header || head.access_cookies().count > 0
            }
            _ => true,
        };
        if clears {
            response.clear(transfer);
        }
        Err(refused.into())
    }

    /// Of several refresh tokens, the newest of each session, newest first: an older one beside it
    /// is a left-over cookie and must not look like a theft.
    async fn newest_of_each_session<'a>(&self, tokens: Values<'a>) -> Values<'a> {
        if tokens.len() < 2 {
            return tokens;
        }
        let mut known = Vec::new();
        for token in tokens {
            match self.service().describe_refresh_token(token).await {
                Some(description) => known.push((description, token)),
                None => tracing::debug!("dropping a refresh cookie that cannot be read"),
            }
        }
        known.sort_by_key(|(description, _)| Reverse(description.created_at));
        let mut sessions = Vec::new();
        known.retain(|(description, _)| {
            let first = !sessions.contains(&description.handle);
            sessions.push(description.handle.clone());
            first
        });
        known.into_iter().map(|(_, token)| token).collect()
    }

    fn heal_if_duplicated(&self, head: &RequestHead<'_>, response: &ResponseChanges) {
        if head.access_cookies().are_duplicated() {
            response.heal(SessionCookie::Access, None, head);
        }
        if head.refresh_cookies().are_duplicated() {
            response.heal(SessionCookie::Refresh, None, head);
        }
    }
}
