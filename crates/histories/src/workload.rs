//! Clients that do everything at once.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use fastrand::Rng;
use sessile_core::{AppId, Sessions, store::Store};
use tokio::task::{JoinSet, yield_now};

use crate::{client::Client, recorder::Recorder, wallet::Wallet};

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
    run_until(sessions, recorder, wallet, workload, &Arc::default()).await;
}

/// The same, but that no client begins anything once they are `stopped`.
pub async fn run_until<S: Store>(
    sessions: &Sessions<S>,
    recorder: &Arc<Recorder>,
    wallet: &Arc<Wallet>,
    workload: Workload,
    stopped: &Arc<AtomicBool>,
) {
    let mut clients = JoinSet::new();
    for number in 0..workload.clients {
        let client = Client::new(number, sessions, recorder, wallet);
        let stopped = Arc::clone(stopped);
        // Each has a generator of its own, so that none disturbs the choices of another.
        let mut random = Rng::with_seed(workload.seed << 32 | u64::from(number));
        clients.spawn(async move {
            for _ in 0..workload.steps {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                client.act(&mut random, &workload).await;
                client.pause_if_refused().await;
                yield_now().await;
            }
        });
    }
    clients.join_all().await;
}

/// Refreshes all sessions that go on, as far as the clients know, each with its newest token:
/// after a run, whoever was not answered can go on.
pub async fn refresh_all<S: Store>(
    sessions: &Sessions<S>,
    recorder: &Arc<Recorder>,
    wallet: &Arc<Wallet>,
) {
    let client = Client::new(0, sessions, recorder, wallet);
    for held in wallet.all_alive() {
        if let Some(token) = held.newest() {
            client.refresh(&held, token).await;
        }
    }
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
            36..50 => self.verify(&held, random).await,
            50..51 => self.verify_forged(&held, random).await,
            51..53 => self.read_keys().await,
            53..55 => self.unless_abandoned(random, self.revoke(&held)).await,
            55..57 => drop(tokio::join!(self.revoke(&held), self.revoke(&held))),
            57..58 => self.unless_abandoned(random, self.revoke_all(&user, None)).await,
            58..59 => self.revoke_all(&user, Some(&held)).await,
            59..71 => self.list(&user).await,
            71..72 => self.sweep().await,
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
}
