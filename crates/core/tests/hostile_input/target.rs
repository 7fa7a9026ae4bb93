//! Engines with a session each, and what must be true of everything that they refuse.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use sessile_core::{
    AccessTokenVersion, Algorithm, Error, IssuedSession, NewSession, SessionService,
    UnauthorisedReason,
    policy::{Policy, RefreshTokenFormat},
    store::{Accounts, SessionRecord, Store, StoredSigningKey},
};

use crate::support::{
    Engine, access_token, counting_store::Intent, forge::Forge, refresh_token, unauthorised,
};

/// The header of every V2 token.
pub(crate) const LEGACY_HEADER: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsInZlcnNpb24iOiIyIn0=";

/// Every kind of access token.
pub(crate) const KINDS: [(AccessTokenVersion, Algorithm); 6] = [
    (AccessTokenVersion::V2, Algorithm::Rs256),
    (AccessTokenVersion::V3, Algorithm::Es256),
    (AccessTokenVersion::V4, Algorithm::EdDsa),
    (AccessTokenVersion::V5, Algorithm::Es256),
    (AccessTokenVersion::V5, Algorithm::EdDsa),
    (AccessTokenVersion::V5, Algorithm::Rs256),
];

pub(crate) const FORMATS: [RefreshTokenFormat; 2] =
    [RefreshTokenFormat::Sessile, RefreshTokenFormat::SuperTokens];

/// An engine with one session of `alice`, and its keys.
pub(crate) struct Target {
    pub(crate) engine: Engine,
    pub(crate) version: AccessTokenVersion,
    pub(crate) issued: IssuedSession,
    pub(crate) forge: Forge,
}

/// Everything that a store keeps for the engine.
type Snapshot = (SessionRecord, Vec<StoredSigningKey>, usize);

impl Target {
    pub(crate) async fn of_kind((version, algorithm): (AccessTokenVersion, Algorithm)) -> Self {
        let policy = Policy { access_token_version: version, algorithm, ..Policy::default() };
        Self::with_policy(policy).await
    }

    pub(crate) async fn of_format(refresh_token_format: RefreshTokenFormat) -> Self {
        Self::with_policy(Policy { refresh_token_format, ..Policy::default() }).await
    }

    async fn with_policy(policy: Policy) -> Self {
        let version = policy.access_token_version;
        let engine = Engine::with_policy(policy).await;
        let new = NewSession::new("alice").jwt_payload(json!({ "role": "editor" }));
        let issued = engine.create_session(new).await.unwrap();
        let forge = Forge::of(&engine.store().inner().signing_keys(engine.app()).await.unwrap()[0]);
        Self { engine, version, issued, forge }
    }

    pub(crate) fn access_token(&self) -> &str {
        access_token(&self.issued)
    }

    pub(crate) fn refresh_token(&self) -> &str {
        refresh_token(&self.issued)
    }

    /// The header of the session's own token, before it is encoded.
    pub(crate) fn header(&self) -> Vec<u8> {
        self.decode(self.access_token().split('.').next().unwrap())
    }

    /// The claims of the session's own token, before they are encoded.
    pub(crate) fn claims(&self) -> Value {
        let part = self.access_token().split('.').nth(1).unwrap();
        serde_json::from_slice(&self.decode(part)).unwrap()
    }

    /// Reads a part as the version writes it.
    pub(crate) fn decode(&self, part: &str) -> Vec<u8> {
        match self.version {
            AccessTokenVersion::V2 => STANDARD.decode(part).unwrap(),
            _ => URL_SAFE_NO_PAD.decode(part).unwrap(),
        }
    }

    /// Writes a part as the version does.
    pub(crate) fn encode(&self, bytes: &[u8]) -> String {
        match self.version {
            AccessTokenVersion::V2 => STANDARD.encode(bytes),
            _ => URL_SAFE_NO_PAD.encode(bytes),
        }
    }

    /// A token with a good signature over two parts, however they are encoded.
    pub(crate) fn sign_parts(&self, header: &str, claims: &str) -> String {
        let token = self.forge.sign_parts(header, claims);
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        format!("{message}.{}", self.encode(&signature))
    }

    /// A token with a good signature over any claims, under the session's own header.
    pub(crate) fn sign_claims(&self, claims: impl AsRef<[u8]>) -> String {
        let header = self.access_token().split('.').next().unwrap();
        self.sign_parts(header, &self.encode(claims.as_ref()))
    }

    pub(crate) async fn snapshot(&self) -> Snapshot {
        let (store, app) = (self.engine.store().inner(), self.engine.app());
        let of_user = store
            .sessions_of_user(
                app,
                "alice",
                Accounts::Linked,
                &Default::default(),
                self.engine.now(),
            )
            .await
            .unwrap();
        let row = self.engine.row(self.issued.session.handle()).await.unwrap();
        (row, store.signing_keys(app).await.unwrap(), of_user.len())
    }

    /// Presents an access token everywhere where one is read. It may be taken only where
    /// `may_be_good` says so; the answer says whether it was.
    #[track_caller]
    pub(crate) fn present_access_token(
        &self,
        token: &str,
        may_be_good: bool,
    ) -> impl Future<Output = bool> {
        let caller = std::panic::Location::caller();
        let shown: String = token.chars().take(2000).collect();
        async move {
            self.engine.store().take_calls();
            let read = self.engine.read(token).await;
            let identified = self.engine.identify(token).await;
            let is_good = match &read {
                Ok(_) => true,
                Err(Error::TryRefreshToken { .. } | Error::Unauthorised { .. }) => false,
                Err(other) => panic!("{caller}: {other}: {shown:?}"),
            };
            let identified = identified.unwrap_or_else(|error| panic!("{caller}: {error}"));
            assert!(may_be_good || !is_good && identified.is_none(), "{caller}: taken: {shown:?}");
            if !may_be_good {
                match self.engine.regenerate_with(token, json!({ "role": "admin" })).await {
                    Err(Error::TryRefreshToken { .. } | Error::Unauthorised { .. }) => {}
                    Err(other) => panic!("{caller}: {other}: {shown:?}"),
                    Ok(_) => panic!("{caller}: regenerated: {shown:?}"),
                }
            }
            let calls = self.engine.store().take_calls();
            assert!(calls.iter().all(|call| *call == Intent::SigningKeys), "{caller}: {calls:?}");
            is_good
        }
    }

    /// Presents what is no refresh token of this engine's.
    #[track_caller]
    pub(crate) fn refuse_refresh_token(&self, token: &str) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            self.engine.store().take_calls();
            let described = self.engine.describe_refresh_token(token).await;
            assert!(described.is_none(), "{caller}: taken: {token:?}");
            let refused = self.engine.exchange(token).await;
            assert_eq!(unauthorised(refused), UnauthorisedReason::RefreshTokenInvalid, "{caller}");
            assert_eq!(self.engine.store().take_calls(), [], "{caller}");
        }
    }
}
