//! Clients that do everything at once.

use std::{future::poll_fn, sync::Arc, task::Poll};

use fastrand::Rng;
use sessile_core::{
    AppId, DataUpdate, Error, GeneralError, IssuedSession, JsonObject, NewSession, RefreshRequest,
    SessionHandle, SessionService, Sessions, TenantScope, UnauthorisedReason, VerifyRequest,
    VersionedData, event::RevocationReason, policy::Revocation, store::Store,
};
use tokio::task::{JoinSet, yield_now};

use crate::{
    history::{Call, OperationId, Outcome, TokenId},
    recorder::Recorder,
    wallet::{Held, Wallet},
};

/// Where session data keeps its list of writes.
const WRITES: &str = "writes";

/// What the clients of one process do.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Begins the choices that are made. With the same seed a client chooses the same, as long as
    /// it is answered the same.
    pub seed: u64,
    /// The number of clients, which all act at the same time.
    pub clients: u32,
    /// How often each of them acts.
    pub steps: u32,
    /// The number of users.
    pub users: u32,
    /// The number of sessions below which clients rather log in than do something else.
    pub sessions: usize,
}

impl Default for Workload {
    fn default() -> Self {
        Self { seed: 0, clients: 8, steps: 250, users: 4, sessions: 12 }
    }
}

/// The app in whose sessions the clients act.
pub fn app() -> AppId {
    AppId::default()
}

/// The name of a user.
pub fn user(number: u32) -> String {
    format!("user-{number}")
}

/// Lets all clients act until they are done. A client whose task fails fails the caller.
pub async fn run<S: Store>(
    sessions: &Sessions<S>,
    recorder: &Arc<Recorder>,
    wallet: &Arc<Wallet>,
    workload: Workload,
) {
    let mut clients = JoinSet::new();
    for number in 0..workload.clients {
        let client = Client {
            number,
            sessions: sessions.clone(),
            recorder: Arc::clone(recorder),
            wallet: Arc::clone(wallet),
        };
        // Each has a generator of its own, so that none disturbs the choices of another.
        let mut random = Rng::with_seed(workload.seed << 32 | u64::from(number));
        clients.spawn(async move {
            for _ in 0..workload.steps {
                client.act(&mut random, &workload).await;
                yield_now().await;
            }
        });
    }
    clients.join_all().await;
}

struct Client<S> {
    number: u32,
    sessions: Sessions<S>,
    recorder: Arc<Recorder>,
    wallet: Arc<Wallet>,
}

impl<S: Store> Client<S> {
    async fn act(&self, random: &mut Rng, workload: &Workload) {
        let user = user(random.u32(..workload.users));
        let action = random.u32(..100);
        let held = self.wallet.session(random);
        // Where all sessions of a user have ended, little is left to act on.
        let few = self.wallet.alive() < workload.sessions;
        let (Some(held), false) = (held, action < 8 || few && random.bool()) else {
            return self.unless_abandoned(random, self.log_in(&user)).await;
        };
        match action {
            8..25 => {
                let Some(token) = held.newest() else { return };
                self.unless_abandoned(random, self.refresh(&held, token)).await;
            }
            25..31 => {
                let Some(token) = held.newest() else { return };
                tokio::join!(self.refresh(&held, token), self.refresh(&held, token));
            }
            31..34 => {
                let Some(token) = held.previous() else { return };
                self.refresh(&held, token).await;
            }
            34..36 => {
                let Some(token) = held.any(random) else { return };
                tokio::join!(self.refresh(&held, token), self.refresh(&held, token));
            }
            36..53 => self.verify(&held).await,
            53..55 => self.unless_abandoned(random, self.revoke(&held)).await,
            55..57 => drop(tokio::join!(self.revoke(&held), self.revoke(&held))),
            57..58 => self.unless_abandoned(random, self.revoke_all(&user, None)).await,
            58..59 => self.revoke_all(&user, Some(&held)).await,
            59..72 => self.list(&user).await,
            72..77 => drop(self.read_data(&held).await),
            77..79 => self.overwrite(&held).await,
            79..92 => self.unless_abandoned(random, self.append(&held)).await,
            _ => {
                if let Some(base) = self.read_data(&held).await {
                    self.compare_and_swap(&held, base).await;
                }
            }
        }
    }

    /// Lets the client go away before it is answered, once in a while.
    async fn unless_abandoned(&self, random: &mut Rng, operation: impl Future<Output = ()>) {
        if random.u8(..16) > 0 {
            return operation.await;
        }
        let patience = random.u8(1..8);
        let leaving = async {
            for _ in 0..patience {
                yield_now().await;
            }
        };
        let (mut operation, mut leaving) = (Box::pin(operation), Box::pin(leaving));
        poll_fn(|context| match operation.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => leaving.as_mut().poll(context),
        })
        .await;
    }

    async fn log_in(&self, user: &str) {
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
                Err(error) => (failed(&error), None),
            }
        });
        if let Some(issued) = issued.await {
            self.keep(&issued, None);
        }
    }

    async fn refresh(&self, held: &Held, token: &str) {
        let presented = TokenId::of(token);
        let call = Call::Refresh { handle: held.handle.clone(), token: presented.clone() };
        let issued = self.recorder.operation(self.number, call, async |_| {
            match self.sessions.refresh(RefreshRequest::from(token)).await {
                Ok(issued) => (Outcome::Refreshed { token: refresh_token(&issued) }, Some(issued)),
                Err(error) => (self.refused(&held.handle, &error), None),
            }
        });
        if let Some(issued) = issued.await {
            self.keep(&issued, Some(presented));
        }
    }

    async fn verify(&self, held: &Held) {
        let call = Call::Verify { handle: held.handle.clone() };
        let request = VerifyRequest {
            revocation: Some(Revocation::Immediate),
            ..VerifyRequest::new(&held.access_token)
        };
        self.about(held, call, async |_| {
            self.sessions.verify(request).await.map(|_| Outcome::Verified)
        })
        .await;
    }

    async fn revoke(&self, held: &Held) {
        let call = Call::Revoke { handle: held.handle.clone() };
        let handles = [SessionHandle::new(&held.handle)];
        let revoked = self.recorder.operation(self.number, call, async |_| {
            let reason = RevocationReason::Requested;
            let revoked = self.sessions.revoke_sessions(&handles, reason).await;
            (revoked.as_deref().map_or_else(failed, revoked_these), revoked.is_ok())
        });
        if revoked.await {
            self.wallet.over(&held.handle);
        }
    }

    async fn revoke_all(&self, user: &str, except: Option<&Held>) {
        let except = except.map(|held| held.handle.as_str());
        let call = Call::RevokeAll { user: user.to_owned(), except: except.map(str::to_owned) };
        let except = except.map(SessionHandle::new);
        let revoked = self.recorder.operation(self.number, call, async |_| {
            let tenants = TenantScope::All;
            let sessions = &self.sessions;
            let revoked = sessions.revoke_sessions_of_user(user, &tenants, except.as_ref()).await;
            (revoked.as_deref().map_or_else(failed, revoked_these), revoked)
        });
        for handle in revoked.await.unwrap_or_default() {
            self.wallet.over(handle.as_str());
        }
    }

    async fn list(&self, user: &str) {
        let call = Call::List { user: user.to_owned() };
        self.recorder
            .operation(self.number, call, async |_| {
                match self.sessions.get_sessions_of_user(user, &TenantScope::All).await {
                    Ok(listed) => {
                        let handles = listed.iter().map(|one| one.handle.as_str().to_owned());
                        (Outcome::Listed { handles: handles.collect() }, ())
                    }
                    Err(error) => (failed(&error), ()),
                }
            })
            .await;
    }

    async fn read_data(&self, held: &Held) -> Option<VersionedData> {
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

    async fn overwrite(&self, held: &Held) {
        let call = Call::Overwrite { handle: held.handle.clone() };
        let handle = SessionHandle::new(&held.handle);
        self.about(held, call, async |id| {
            let data = data_of(&[id.to_string()]);
            self.sessions.update_session_data(&handle, data).await.map(|()| Outcome::Overwritten)
        })
        .await;
    }

    async fn append(&self, held: &Held) {
        let call = Call::Append { handle: held.handle.clone() };
        let handle = SessionHandle::new(&held.handle);
        self.about(held, call, async |id| {
            let change = |data: &mut JsonObject| *data = with_write(data, id);
            let data = self.sessions.modify_session_data(&handle, change).await?;
            Ok(Outcome::Data { writes: writes_of(&data) })
        })
        .await;
    }

    async fn compare_and_swap(&self, held: &Held, base: VersionedData) {
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
            Error::TokenTheftDetected { kind, .. } => {
                Outcome::Ended { theft: true, kind: kind.code().to_owned() }
            }
            other => return failed(other),
        };
        self.wallet.over(handle);
        outcome
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

fn failed(error: &Error) -> Outcome {
    Outcome::Failed { error: error.to_string() }
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
