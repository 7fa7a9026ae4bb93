//! Clients that keep an engine busy, and report what they ask for and are answered.

use std::{sync::Arc, time::Duration};

use fastrand::Rng;
use serde_json::json;
use sessile_core::{
    Error, GeneralError, IssuedSession, JsonObject, NewSession, SessionHandle, SessionService,
    Sessions, WrappingKey,
    clock::{Clock, ManualClock, Timestamp},
    policy::Policy,
    store::StoreErrorKind,
};
use sessile_sqlite::SqliteStore;
use tokio::task::JoinSet;

use crate::ledger::{Change, Client, Event, Ledger, Life, Outcome, Step, Tokens};

pub(crate) const START: Timestamp = Timestamp::from_seconds(1_700_000_000);

/// How many clients there are at a time.
pub(crate) const CLIENTS: usize = 6;

/// As many sessions as a client has at most.
const SESSIONS: usize = 4;

/// With a new signing key every few seconds, which must be there when its tokens come back.
fn policy() -> Policy {
    Policy {
        signing_key_update_interval: Duration::from_secs(20),
        signing_key_overlap: Duration::from_secs(5),
        ..Policy::default()
    }
}

/// An engine on that store.
pub(crate) async fn engine(
    store: SqliteStore,
    key: &WrappingKey,
    clock: Arc<ManualClock>,
) -> Result<Sessions<SqliteStore>, Error> {
    Sessions::builder(store).wrapping_key(key.clone()).policy(policy()).clock(clock).build().await
}

/// The object that a number stands for. Its size differs, so that rows move between pages.
pub(crate) fn object(number: u64) -> JsonObject {
    let filling = "x".repeat(usize::try_from(number * 37 % 700).unwrap());
    JsonObject::from_iter([
        ("number".to_owned(), json!(number)),
        ("filling".to_owned(), json!(filling)),
    ])
}

/// What the clients of a load have in common.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) sessions: Sessions<SqliteStore>,
    pub(crate) clock: Arc<ManualClock>,
    /// Is told of each step before the request is made, and after the answer came.
    pub(crate) report: Arc<dyn Fn(&Event) + Send + Sync>,
    /// Asked before each request.
    pub(crate) goes_on: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Load {
    /// Runs all clients until they need not go on.
    pub(crate) async fn run(&self, ledger: &Ledger, rng: &mut Rng) {
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let user = format!("user-{number}");
            let client = ledger.clients.get(&user).cloned().unwrap_or_default();
            let load = self.clone();
            clients.spawn(load.run_client(user, client, rng.fork()));
        }
        while let Some(finished) = clients.join_next().await {
            finished.unwrap();
        }
    }

    async fn run_client(self, user: String, mut client: Client, mut rng: Rng) {
        while (self.goes_on)() {
            if rng.u8(..25) == 0 {
                self.clock.advance(Duration::from_secs(1));
            }
            let (handle, change) = choose(&client, &mut rng);
            let known = handle.as_ref().map(|handle| client.sessions[handle].tokens.clone());
            self.tell(
                &user,
                &mut client,
                Step::Begun { handle: handle.clone(), change: change.clone() },
            );
            let outcome = self.request(&user, handle.as_deref(), known, change).await;
            self.tell(&user, &mut client, Step::Ended(outcome));
        }
    }

    fn tell(&self, user: &str, client: &mut Client, step: Step) {
        client.apply(step.clone());
        (self.report)(&Event { user: user.to_owned(), at: self.clock.now().as_millis(), step });
    }

    async fn request(
        &self,
        user: &str,
        handle: Option<&str>,
        tokens: Option<Tokens>,
        change: Change,
    ) -> Outcome {
        let sessions = &self.sessions;
        let handle = handle.map(SessionHandle::new);
        let done = match (change, handle, tokens) {
            (Change::Refresh, _, Some(tokens)) => {
                sessions.refresh(tokens.refresh.as_str().into()).await.map(|pair| issued(&pair))
            }
            (Change::ReplaceData(number), Some(handle), _) => {
                let replaced = sessions.update_session_data(&handle, object(number)).await;
                replaced.map(|()| Outcome::Done)
            }
            (Change::ReplacePayload(number), Some(handle), _) => {
                let replaced = sessions.update_jwt_payload(&handle, object(number)).await;
                replaced.map(|()| Outcome::Done)
            }
            (Change::Revoke, Some(handle), _) => {
                sessions.revoke_session(&handle).await.map(|existed| {
                    assert!(existed, "a session of {user} is gone while the store is open");
                    Outcome::Done
                })
            }
            _ => {
                let new = NewSession::new(user).session_data(object(0)).jwt_payload(object(0));
                sessions.create_session(new).await.map(|pair| issued(&pair))
            }
        };
        done.unwrap_or_else(|error| outcome_of(&error))
    }
}

fn issued(issued: &IssuedSession) -> Outcome {
    Outcome::Issued {
        handle: issued.session.handle().as_str().to_owned(),
        tokens: Tokens {
            refresh: issued.refresh_token.token.expose().to_owned(),
            access: issued.access_token.token.expose().to_owned(),
        },
    }
}

/// What a failure says of the change. A store may fail; that it lost something is never right.
fn outcome_of(error: &Error) -> Outcome {
    match error {
        Error::General(GeneralError::Store(error)) => match error.kind() {
            StoreErrorKind::NotWritable => Outcome::Refused,
            StoreErrorKind::Unavailable => Outcome::Unknown,
            _ => panic!("the open store failed: {error}"),
        },
        _ => panic!("the open store lost something: {error}"),
    }
}

/// What a client does next, and with which session.
fn choose(client: &Client, rng: &mut Rng) -> (Option<String>, Change) {
    let alive: Vec<_> = client
        .sessions
        .iter()
        .filter(|(_, known)| known.life == Life::Alive)
        .map(|(handle, _)| handle)
        .collect();
    let Some(&handle) = rng.choice(&alive) else { return (None, Change::Create) };
    // Another than any before: what is found in the store says which it was.
    let number = rng.u64(1..1_000_000_000);
    let change = match rng.u8(..20) {
        0..3 if alive.len() < SESSIONS => return (None, Change::Create),
        0..3 if alive.len() > 1 => Change::Revoke,
        0..12 => Change::Refresh,
        12..17 => Change::ReplaceData(number),
        _ => Change::ReplacePayload(number),
    };
    (Some(handle.clone()), change)
}
