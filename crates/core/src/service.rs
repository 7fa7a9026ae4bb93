use std::{fmt, time::Duration};

use async_trait::async_trait;
use serde::Serialize;

use crate::{
    access_token::AccessTokenVersion,
    error::{Error, GeneralError},
    event::RevocationReason,
    identifier::{SessionHandle, TenantId, TenantScope},
    json::{JsonObject, to_json_object},
    keys::JsonWebKeySet,
    policy::{Revocation, RotationPolicy, SigningKeyKind},
    session::{
        IssuedSession, RefreshTokenDescription, Regenerated, SessionInformation, VerifiedSession,
    },
};

/// A session to be created.
///
/// ```
/// # use sessile_core::NewSession;
/// use serde_json::json;
///
/// let new = NewSession::new("alice")
///     .jwt_payload(json!({ "role": "editor" }))
///     .session_data(json!({ "cart": [] }))
///     .client_label("Firefox on Linux");
/// ```
#[derive(Debug)]
#[must_use = "a session exists once it is created"]
pub struct NewSession {
    pub(crate) user_id: String,
    pub(crate) tenant: TenantId,
    pub(crate) jwt_payload: Result<JsonObject, GeneralError>,
    pub(crate) session_data: Result<JsonObject, GeneralError>,
    pub(crate) client_label: Option<String>,
    pub(crate) anti_csrf_token: bool,
    pub(crate) issue: IssueOptions,
}

/// How new tokens differ from what the policy says; nothing where nothing is said.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct IssueOptions {
    /// The format of the access token.
    pub access_token_version: Option<AccessTokenVersion>,
    /// Which kind of signing key signs, from now on.
    pub signing_key_kind: Option<SigningKeyKind>,
    /// How long the access token is good for: more than zero, and not longer than the policy's
    /// validity. The next refresh starts from the policy again.
    pub access_token_validity: Option<Duration>,
}

impl NewSession {
    /// A session of this user, with an empty payload and no data.
    ///
    /// A user id is 1 to 256 bytes of text without control characters; creation refuses any
    /// other.
    pub fn new(user_id: impl Into<String>) -> Self {
        Self {
            user_id: user_id.into(),
            tenant: TenantId::default(),
            jwt_payload: Ok(JsonObject::new()),
            session_data: Ok(JsonObject::new()),
            client_label: None,
            anti_csrf_token: false,
            issue: IssueOptions::default(),
        }
    }

    /// What its access tokens carry: anything that serialises to a JSON object. Clients can read
    /// it; they cannot change it. Creation refuses anything else.
    pub fn jwt_payload<T: Serialize>(mut self, payload: T) -> Self {
        self.jwt_payload = to_json_object(&payload);
        self
    }

    /// What is kept with it in the store: anything that serialises to a JSON object. Clients
    /// never see it. Creation refuses anything else.
    pub fn session_data<T: Serialize>(mut self, data: T) -> Self {
        self.session_data = to_json_object(&data);
        self
    }

    /// What its client is called in a list of the user's sessions. The first 256 characters are
    /// kept.
    pub fn client_label(mut self, label: &str) -> Self {
        self.client_label = Some(label.chars().take(256).collect());
        self
    }

    /// The tenant of its user; `public` where nothing is said.
    pub fn tenant(mut self, tenant: TenantId) -> Self {
        self.tenant = tenant;
        self
    }

    /// How its first tokens differ from what the policy says.
    pub fn issue(mut self, options: IssueOptions) -> Self {
        self.issue = options;
        self
    }

    /// Whether its tokens come with an anti-CSRF token; they do not where nothing is said.
    pub fn anti_csrf_token(mut self, wanted: bool) -> Self {
        self.anti_csrf_token = wanted;
        self
    }
}

/// Whether a request's anti-CSRF token is checked.
#[derive(Clone, Copy, Default)]
pub enum AntiCsrf<'a> {
    /// It is not: the request is guarded otherwise.
    #[default]
    Unchecked,
    /// It is; this is what the request carries.
    Token(Option<&'a str>),
}

impl fmt::Debug for AntiCsrf<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unchecked => "Unchecked",
            Self::Token(None) => "Token(None)",
            Self::Token(Some(_)) => "Token(…)",
        })
    }
}

/// An access token to be verified.
#[derive(Clone, Copy)]
pub struct VerifyRequest<'a> {
    /// The token.
    pub access_token: &'a str,
    /// Whether the request's anti-CSRF token is checked.
    pub anti_csrf: AntiCsrf<'a>,
    /// How soon a revocation must hold; the policy's choice where nothing is said.
    pub revocation: Option<Revocation>,
    /// The rotation policy that this request follows; the policy's choice where nothing is said.
    pub rotation: Option<RotationPolicy>,
    /// How long ago the login may be at most, for what must not be done in an old session. One
    /// store call; the session is there then.
    pub login_within: Option<Duration>,
}

impl<'a> VerifyRequest<'a> {
    /// Verifies `access_token` as the policy says, without an anti-CSRF check.
    pub const fn new(access_token: &'a str) -> Self {
        Self {
            access_token,
            anti_csrf: AntiCsrf::Unchecked,
            revocation: None,
            rotation: None,
            login_within: None,
        }
    }
}

impl fmt::Debug for VerifyRequest<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("VerifyRequest")
            .field("anti_csrf", &self.anti_csrf)
            .field("revocation", &self.revocation)
            .finish_non_exhaustive()
    }
}

/// A refresh token to be exchanged for the next pair.
#[derive(Clone, Copy)]
pub struct RefreshRequest<'a> {
    /// The token.
    pub refresh_token: &'a str,
    /// Whether the request's anti-CSRF token is checked. A refresh token that came without one is
    /// not refused for lacking it.
    pub anti_csrf: AntiCsrf<'a>,
    /// Whether the next pair comes with an anti-CSRF token.
    pub new_anti_csrf_token: bool,
    /// The rotation policy that this request follows; the policy's choice where nothing is said.
    /// A session may follow another one with every request.
    pub rotation: Option<RotationPolicy>,
    /// How the next pair differs from what the policy says.
    pub issue: IssueOptions,
}

impl<'a> From<&'a str> for RefreshRequest<'a> {
    fn from(refresh_token: &'a str) -> Self {
        Self {
            refresh_token,
            anti_csrf: AntiCsrf::Unchecked,
            new_anti_csrf_token: false,
            rotation: None,
            issue: IssueOptions::default(),
        }
    }
}

impl fmt::Debug for RefreshRequest<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RefreshRequest")
            .field("anti_csrf", &self.anti_csrf)
            .field("new_anti_csrf_token", &self.new_anti_csrf_token)
            .finish_non_exhaustive()
    }
}

/// A session whose payload is to be replaced, by its access token.
#[derive(Clone)]
pub struct RegenerateRequest<'a> {
    /// The access token; it may have expired meanwhile.
    pub access_token: &'a str,
    /// The new payload; `None` keeps the stored one and makes a token that carries it.
    pub jwt_payload: Option<JsonObject>,
}

impl fmt::Debug for RegenerateRequest<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RegenerateRequest").finish_non_exhaustive()
    }
}

/// What every back end of sessions can do: an engine in this process, or a remote core.
///
/// Every method may also fail with [`Error::General`] when the store does. Methods that take a
/// handle answer [`Error::Unauthorised`] where they need a session and there is none.
#[async_trait]
pub trait SessionService: fmt::Debug + Send + Sync + 'static {
    /// Creates a session. One store call.
    ///
    /// # Errors
    /// [`GeneralError::ProtectedClaim`], [`GeneralError::PayloadTooLarge`],
    /// [`GeneralError::NotAnObject`], [`GeneralError::AccessTokenValidity`] and
    /// [`GeneralError::UserId`] refuse what cannot be kept;
    /// nothing is created then.
    async fn create_session(&self, new: NewSession) -> Result<IssuedSession, Error>;

    /// Verifies an access token. No store call under [`Revocation::AtExpiry`], one under
    /// [`Revocation::Immediate`]. Under [`RotationPolicy::OnUse`] the first use of a token after
    /// a refresh is one more, and gives a token to replace it.
    ///
    /// # Errors
    /// [`Error::TryRefreshToken`] when the token is not good; [`Error::Unauthorised`] when its
    /// session is gone (seen under [`Revocation::Immediate`] only).
    async fn verify(&self, request: VerifyRequest<'_>) -> Result<VerifiedSession, Error>;

    /// As [`verify`](Self::verify), but at once: `None` where somebody has to be asked, be it for a
    /// revocation, an unknown signing key or the first use of a token. It never waits, so it also
    /// serves callers that cannot: a service that answers `None` to everything is right, but slow.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    fn verify_locally(
        &self,
        request: &VerifyRequest<'_>,
    ) -> Option<Result<VerifiedSession, Error>> {
        let _ = request;
        None
    }

    /// The session that an access token of ours names, expired or not; `None` for any other text.
    /// It proves who the client was, not that the session goes on.
    async fn identify(&self, access_token: &str) -> Result<Option<VerifiedSession>, Error>;

    /// Exchanges a refresh token for the next pair. One store call unless it meets a race.
    ///
    /// # Errors
    /// [`Error::Unauthorised`] when the session is gone or the token is not ours;
    /// [`Error::TokenTheftDetected`] when the token had been replaced before, which ends the
    /// session. `docs/rotation.md` has every case.
    async fn refresh(&self, request: RefreshRequest<'_>) -> Result<IssuedSession, Error>;

    /// What a refresh token says about itself; `None` for a text that is none of ours. It asks
    /// nobody, and says nothing about whether the token is still good.
    async fn describe_refresh_token(&self, refresh_token: &str) -> Option<RefreshTokenDescription>;

    /// Replaces the payload, and the access token with one that has the same expiry. One store
    /// call.
    ///
    /// # Errors
    /// As [`verify`](Self::verify), but that an expired token is taken; and as
    /// [`create_session`](Self::create_session) for the payload. Nothing is changed then.
    async fn regenerate(&self, request: RegenerateRequest<'_>) -> Result<Regenerated, Error>;

    /// All that is known of a session; `None` if there is none.
    async fn get_session_information(
        &self,
        handle: &SessionHandle,
    ) -> Result<Option<SessionInformation>, Error>;

    /// The data kept with a session. One store call.
    async fn get_session_data(&self, handle: &SessionHandle) -> Result<JsonObject, Error>;

    /// Overwrites the data kept with a session. One store call.
    async fn update_session_data(
        &self,
        handle: &SessionHandle,
        session_data: JsonObject,
    ) -> Result<(), Error>;

    /// The stored payload of a session, which may be newer than any access token. One store call.
    async fn get_jwt_payload(&self, handle: &SessionHandle) -> Result<JsonObject, Error>;

    /// Replaces the stored payload of a session; its client sees it with the next refresh.
    ///
    /// # Errors
    /// As [`create_session`](Self::create_session) for the payload.
    async fn update_jwt_payload(
        &self,
        handle: &SessionHandle,
        jwt_payload: JsonObject,
    ) -> Result<(), Error>;

    /// Ends the sessions of these names and gives those that existed. One store call.
    async fn revoke_sessions(
        &self,
        handles: &[SessionHandle],
        reason: RevocationReason,
    ) -> Result<Vec<SessionHandle>, Error>;

    /// Ends a session; says whether it existed. One store call.
    async fn revoke_session(&self, handle: &SessionHandle) -> Result<bool, Error> {
        let handles = std::slice::from_ref(handle);
        Ok(!self.revoke_sessions(handles, RevocationReason::Requested).await?.is_empty())
    }

    /// Ends several sessions and gives those that existed. One store call.
    async fn revoke_multiple_sessions(
        &self,
        handles: &[SessionHandle],
    ) -> Result<Vec<SessionHandle>, Error> {
        self.revoke_sessions(handles, RevocationReason::Requested).await
    }

    /// Ends all sessions of a user, but `except`, and gives their names. One store call. No
    /// session that was there when it began survives. Where accounts are linked, the id may be
    /// that of the primary user or of any of them, and the sessions of all are meant.
    async fn revoke_sessions_of_user(
        &self,
        user_id: &str,
        tenants: &TenantScope,
        except: Option<&SessionHandle>,
    ) -> Result<Vec<SessionHandle>, Error>;

    /// As [`revoke_sessions_of_user`](Self::revoke_sessions_of_user), but of the account of that
    /// id alone, whatever others are linked to it.
    async fn revoke_sessions_of_account(
        &self,
        user_id: &str,
        tenants: &TenantScope,
        except: Option<&SessionHandle>,
    ) -> Result<Vec<SessionHandle>, Error>;

    /// Ends all sessions of a user, in every tenant, and gives their names. One store call.
    async fn revoke_all_sessions_for_user(
        &self,
        user_id: &str,
    ) -> Result<Vec<SessionHandle>, Error> {
        self.revoke_sessions_of_user(user_id, &TenantScope::All, None).await
    }

    /// The sessions of a user, oldest first. One store call. Linked accounts are meant as in
    /// [`revoke_sessions_of_user`](Self::revoke_sessions_of_user).
    async fn get_sessions_of_user(
        &self,
        user_id: &str,
        tenants: &TenantScope,
    ) -> Result<Vec<SessionInformation>, Error>;

    /// As [`get_sessions_of_user`](Self::get_sessions_of_user), but of the account of that id
    /// alone, whatever others are linked to it.
    async fn get_sessions_of_account(
        &self,
        user_id: &str,
        tenants: &TenantScope,
    ) -> Result<Vec<SessionInformation>, Error>;

    /// The names of all sessions of a user, oldest first. One store call.
    async fn get_all_session_handles_for_user(
        &self,
        user_id: &str,
    ) -> Result<Vec<SessionHandle>, Error> {
        let sessions = self.get_sessions_of_user(user_id, &TenantScope::All).await?;
        Ok(sessions.into_iter().map(|session| session.handle).collect())
    }

    /// The public keys that verify access tokens. No store call, unless a key is due.
    async fn get_json_web_key_set(&self) -> Result<JsonWebKeySet, Error>;
}
