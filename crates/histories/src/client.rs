//! The calls that a client makes, and what it makes of the answers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use fastrand::Rng;
use sessile_core::{
    DataUpdate, Error, GeneralError, IssuedSession, JsonObject, NewSession, RefreshRequest,
    SessionHandle, SessionService, Sessions, TenantScope, UnauthorisedReason, VerifyRequest,
    VersionedData,
    event::RevocationReason,
    policy::Revocation,
    store::{Store, StoreErrorKind},
};
use tokio::time::sleep;

use crate::{
    history::{Call, OperationId, Outcome, TokenId},
    recorder::Recorder,
    signature::{Signature, forge},
    wallet::{Held, Wallet},
};

/// Where session data keeps its list of writes.
const WRITES: &str = "writes";

pub(crate) struct Client<S> {
    number: u32,
    sessions: Sessions<S>,
    recorder: Arc<Recorder>,
    pub(crate) wallet: Arc<Wallet>,
    /// Whether the store was away when it was asked last.
    is_refused: AtomicBool,
}

impl<S: Store> Client<S> {
    pub(crate) fn new(
        number: u32,
        sessions: &Sessions<S>,
        recorder: &Arc<Recorder>,
        wallet: &Arc<Wallet>,
    ) -> Self {
        Self {
            number,
            sessions: sessions.clone(),
            recorder: Arc::clone(recorder),
            wallet: Arc::clone(wallet),
            is_refused: AtomicBool::new(false),
        }
    }

    pub(crate) async fn log_in(&self, user: &str) {
        let call = Call::LogIn { user: user.to_owned() };
        let issued = self.recorder.operation(self.number, call, async |id| {
            let new = NewSession::new(user).session_data(data_of(&[id.to_string()]));
            match self.sessions.create_session(new).await {
                Ok(issued) => {
                    let handle = issued.session.handle().as_str().to_owned();
                    (Outcome::LoggedIn { handle, token: refresh_token(&issued) }, Some(issued))
                }
                Err(Error::General(GeneralError::TooManySessions { .. })) => {
                    (Outcome::TooManySessions, None)
                }
                Err(error) => (self.failed(&error), None),
            }
        });
        if let Some(issued) = issued.await {
            self.keep(&issued, None);
        }
    }

    pub(crate) async fn refresh(&self, held: &Held, token: &str) {
        let presented = TokenId::of(token);
        let call = Call::Refresh { handle: held.handle.clone(), token: presented.clone() };
        let (issued, is_reported) = self
            .recorder
            .operation(self.number, call, async |_| {
                match self.sessions.refresh(RefreshRequest::from(token)).await {
                    Ok(issued) => {
                        let outcome = Outcome::Refreshed { token: refresh_token(&issued) };
                        (outcome, (Some(issued), false))
                    }
                    Err(error) => {
                        let outcome = self.refused(&held.handle, &error);
                        let is_reported = matches!(outcome, Outcome::TheftReported { .. });
                        (outcome, (None, is_reported))
                    }
                }
            })
            .await;
        if let Some(issued) = issued {
            self.keep(&issued, Some(presented));
        }
        // As SDKs do, of whom some forget it.
        if is_reported && self.number.is_multiple_of(2) {
            self.revoke(held).await;
        }
    }

    pub(crate) async fn verify(&self, held: &Held, random: &mut Rng) {
        let Some(token) = held.with_access_token(random) else { return };
        let Some(signature) = Signature::of(&token.access_token) else { return };
        let call = Call::Verify { handle: held.handle.clone(), token: token.id.clone(), signature };
        self.about(held, call, async |_| self.verified(&token.access_token).await).await;
    }

    /// Presents tokens that name a key which nobody has made, all at once.
    pub(crate) async fn verify_forged(&self, held: &Held, random: &mut Rng) {
        let Some(token) = held.with_access_token(random) else { return };
        let key = format!("d-{}", random.u32(..));
        let Some(forged) = forge(&token.access_token, &key) else { return };
        let presented = || async {
            let call = Call::VerifyForged { key: key.clone() };
            self.about(held, call, async |_| self.verified(&forged).await).await;
        };
        tokio::join!(presented(), presented(), presented(), presented());
    }

    async fn verified(&self, access_token: &str) -> Result<Outcome, Error> {
        let revocation = Some(Revocation::Immediate);
        let request = VerifyRequest { revocation, ..VerifyRequest::new(access_token) };
        let session = self.sessions.verify(request).await?;
        Ok(Outcome::Verified { replaced: session.new_access_token().is_some() })
    }

    pub(crate) async fn read_keys(&self) {
        self.recorder
            .operation(self.number, Call::ReadKeys, async |_| {
                match self.sessions.get_json_web_key_set().await {
                    Ok(set) => {
                        let keys = set.document["keys"].as_array().into_iter().flatten();
                        let names = keys.filter_map(|key| key["kid"].as_str().map(str::to_owned));
                        let max_age = u64::try_from(set.max_age.as_millis()).unwrap_or(u64::MAX);
                        (Outcome::Keys { keys: names.collect(), max_age }, ())
                    }
                    Err(error) => (self.failed(&error), ()),
                }
            })
            .await;
    }

    pub(crate) async fn sweep(&self) {
        self.recorder
            .operation(self.number, Call::Sweep, async |_| match self.sessions.sweep(64).await {
                Ok(_) => (Outcome::Swept, ()),
                Err(error) => (self.failed(&error), ()),
            })
            .await;
    }

    pub(crate) async fn revoke(&self, held: &Held) {
        let call = Call::Revoke { handle: held.handle.clone() };
        let handles = [SessionHandle::new(&held.handle)];
        let revoked = self.recorder.operation(self.number, call, async |_| {
            let reason = RevocationReason::Requested;
            let revoked = self.sessions.revoke_sessions(&handles, reason).await;
            (
                revoked.as_deref().map_or_else(|error| self.failed(error), revoked_these),
                revoked.is_ok(),
            )
        });
        if revoked.await {
            self.wallet.over(&held.handle);
        }
    }

    pub(crate) async fn revoke_all(&self, user: &str, except: Option<&Held>) {
        let except = except.map(|held| held.handle.as_str());
        let call = Call::RevokeAll { user: user.to_owned(), except: except.map(str::to_owned) };
        let except = except.map(SessionHandle::new);
        let revoked = self.recorder.operation(self.number, call, async |_| {
            let tenants = TenantScope::All;
            let sessions = &self.sessions;
            let revoked = sessions.revoke_sessions_of_user(user, &tenants, except.as_ref()).await;
            (revoked.as_deref().map_or_else(|error| self.failed(error), revoked_these), revoked)
        });
        for handle in revoked.await.unwrap_or_default() {
            self.wallet.over(handle.as_str());
        }
    }

    pub(crate) async fn list(&self, user: &str) {
        let call = Call::List { user: user.to_owned() };
        self.recorder
            .operation(self.number, call, async |_| {
                match self.sessions.get_sessions_of_user(user, &TenantScope::All).await {
                    Ok(listed) => {
                        let handles = listed.iter().map(|one| one.handle.as_str().to_owned());
                        (Outcome::Listed { handles: handles.collect() }, ())
                    }
                    Err(error) => (self.failed(&error), ()),
                }
            })
            .await;
    }

    pub(crate) async fn read_data(&self, held: &Held) -> Option<VersionedData> {
        let call = Call::ReadData { handle: held.handle.clone() };
        let handle = SessionHandle::new(&held.handle);
        self.recorder
            .operation(self.number, call, async |_| {
                match self.sessions.get_versioned_session_data(&handle).await {
                    Ok(data) => {
                        (Outcome::Data { writes: writes_of(&data.session_data) }, Some(data))
                    }
                    Err(error) => (self.refused(&held.handle, &error), None),
                }
            })
            .await
    }

    pub(crate) async fn overwrite(&self, held: &Held) {
        let call = Call::Overwrite { handle: held.handle.clone() };
        let handle = SessionHandle::new(&held.handle);
        self.about(held, call, async |id| {
            let data = data_of(&[id.to_string()]);
            self.sessions.update_session_data(&handle, data).await.map(|()| Outcome::Overwritten)
        })
        .await;
    }

    pub(crate) async fn append(&self, held: &Held) {
        let call = Call::Append { handle: held.handle.clone() };
        let handle = SessionHandle::new(&held.handle);
        self.about(held, call, async |id| {
            let change = |data: &mut JsonObject| *data = with_write(data, id);
            let data = self.sessions.modify_session_data(&handle, change).await?;
            Ok(Outcome::Data { writes: writes_of(&data) })
        })
        .await;
    }

    pub(crate) async fn compare_and_swap(&self, held: &Held, base: VersionedData) {
        let writes = writes_of(&base.session_data);
        let call = Call::CompareAndSwap { handle: held.handle.clone(), base: writes };
        let handle = SessionHandle::new(&held.handle);
        self.about(held, call, async |id| {
            let data = with_write(&base.session_data, id);
            let swap = self.sessions.compare_and_swap_session_data(&handle, &data, base.version);
            Ok(match swap.await? {
                DataUpdate::Updated => Outcome::Data { writes: writes_of(&data) },
                DataUpdate::Conflict => Outcome::Conflict,
            })
        })
        .await;
    }

    /// Makes a call about a session, after which the client holds nothing new.
    async fn about(
        &self,
        held: &Held,
        call: Call,
        work: impl AsyncFnOnce(OperationId) -> Result<Outcome, Error>,
    ) {
        self.recorder
            .operation(self.number, call, async |id| match work(id).await {
                Ok(outcome) => (outcome, ()),
                Err(error) => (self.refused(&held.handle, &error), ()),
            })
            .await;
    }

    fn keep(&self, issued: &IssuedSession, made_from: Option<TokenId>) {
        let handle = issued.session.handle().as_str();
        let refresh_token = issued.refresh_token.token.expose();
        self.wallet.give(handle, refresh_token, made_from, issued.access_token.token.expose());
    }

    /// What an error about this session says.
    fn refused(&self, handle: &str, error: &Error) -> Outcome {
        let outcome = match error {
            Error::Unauthorised { reason: UnauthorisedReason::SessionNotFound } => {
                Outcome::SessionNotFound
            }
            Error::Unauthorised {
                reason:
                    reason @ (UnauthorisedReason::LateRetry | UnauthorisedReason::OrphanedBranch),
            } => Outcome::Ended { theft: false, kind: reason.code().to_owned() },
            Error::Unauthorised { reason: UnauthorisedReason::RotatedOut } => {
                return Outcome::RotatedOut;
            }
            Error::TryRefreshToken { reason } => {
                return Outcome::Refused { reason: reason.code().to_owned() };
            }
            Error::TokenTheftDetected { kind, session_ended: false, .. } => {
                return Outcome::TheftReported { kind: kind.code().to_owned() };
            }
            Error::TokenTheftDetected { kind, .. } => {
                Outcome::Ended { theft: true, kind: kind.code().to_owned() }
            }
            other => return self.failed(other),
        };
        self.wallet.over(handle);
        outcome
    }

    fn failed(&self, error: &Error) -> Outcome {
        let text = error.to_string();
        match error {
            Error::General(GeneralError::Store(store))
                if store.kind() == StoreErrorKind::Unavailable =>
            {
                self.is_refused.store(true, Ordering::Relaxed);
                Outcome::Unavailable { error: text }
            }
            _ => Outcome::Failed { error: text },
        }
    }

    /// Waits a moment where the store was away: whoever is told so comes back later.
    pub(crate) async fn pause_if_refused(&self) {
        if self.is_refused.swap(false, Ordering::Relaxed) {
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// The text of a refresh token is nobody's business but its holder's.
fn refresh_token(issued: &IssuedSession) -> TokenId {
    TokenId::of(issued.refresh_token.token.expose())
}

fn revoked_these(handles: &[SessionHandle]) -> Outcome {
    let handles = handles.iter().map(|handle| handle.as_str().to_owned()).collect();
    Outcome::Revoked { handles }
}

fn data_of(writes: &[String]) -> JsonObject {
    let writes = writes.iter().cloned().map(Into::into).collect();
    JsonObject::from_iter([(WRITES.to_owned(), serde_json::Value::Array(writes))])
}

fn with_write(data: &JsonObject, write: OperationId) -> JsonObject {
    let mut writes = writes_of(data);
    writes.push(write.to_string());
    data_of(&writes)
}

/// The writes that made this data.
pub(crate) fn writes_of(data: &JsonObject) -> Vec<String> {
    let writes = data.get(WRITES).and_then(serde_json::Value::as_array);
    let texts = writes.into_iter().flatten().filter_map(serde_json::Value::as_str);
    texts.map(str::to_owned).collect()
}
