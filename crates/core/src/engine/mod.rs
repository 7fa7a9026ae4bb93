//! The engine: [`SessionService`](crate::SessionService) on a [`Store`].

mod access;
mod builder;
mod compare_and_swap;
mod issue;
mod manage;
mod on_use;
mod refresh;
mod service;
mod signing;

use std::sync::Arc;

pub use builder::SessionsBuilder;
pub use compare_and_swap::{DataUpdate, VersionedData};

use crate::{
    access_token::VerifiedCache,
    clock::{Clock, Timestamp},
    error::Error,
    event::{EventKind, Events, RevocationReason},
    identifier::{AppId, SessionHandle},
    keys::{KeyManager, WrappingKey},
    policy::Policy,
    random::RandomSource,
    refresh_token::RefreshTokens,
    store::{Store, Sweep, Swept},
};

/// The sessions of one app in a store: creates, verifies, refreshes and revokes them.
///
/// Clones are cheap and share everything. What it can do is in
/// [`SessionService`](crate::SessionService); what only an engine can is here.
#[derive(Debug)]
pub struct Sessions<S> {
    engine: Arc<Engine<S>>,
}

impl<S> Clone for Sessions<S> {
    fn clone(&self) -> Self {
        Self { engine: Arc::clone(&self.engine) }
    }
}

/// What all apps of a store have in common.
#[derive(Debug)]
struct Surroundings<S> {
    store: S,
    clock: Arc<dyn Clock>,
    random: Arc<dyn RandomSource>,
    wrapping_key: Option<WrappingKey>,
    events: Events,
}

#[derive(Debug)]
struct Engine<S> {
    surroundings: Arc<Surroundings<S>>,
    app: AppId,
    policy: Policy,
    keys: KeyManager,
    refresh_tokens: RefreshTokens,
    verified: VerifiedCache,
}

impl<S: Store> Sessions<S> {
    /// Begins to describe an engine on `store`.
    pub fn builder(store: S) -> SessionsBuilder<S> {
        SessionsBuilder::new(store)
    }

    /// The sessions of another app in the same store, under a policy of its own.
    ///
    /// # Errors
    /// As [`SessionsBuilder::build`].
    pub async fn for_app(&self, app: AppId, policy: Policy) -> Result<Self, Error> {
        let surroundings = Arc::clone(&self.engine.surroundings);
        Ok(Self { engine: Arc::new(Engine::start(surroundings, app, policy).await?) })
    }

    /// The app whose sessions these are.
    pub fn app(&self) -> &AppId {
        &self.engine.app
    }

    /// The policy that they live by.
    pub fn policy(&self) -> &Policy {
        &self.engine.policy
    }

    /// The time by the clock that they live by.
    pub fn now(&self) -> Timestamp {
        self.engine.now()
    }

    /// The store that they are in.
    pub fn store(&self) -> &S {
        &self.engine.surroundings.store
    }

    /// Ends all sessions of the app that began before a moment, and says how many: after a backup
    /// was restored, for instance, which brings revoked sessions back. It goes on in short steps
    /// beside the traffic.
    ///
    /// # Errors
    /// [`Error::General`] when the store fails; what was ended until then stays ended.
    pub async fn revoke_sessions_created_before(&self, before: Timestamp) -> Result<usize, Error> {
        const STEP: usize = 256;
        let reason = RevocationReason::BeganBefore;
        let mut ended = 0;
        loop {
            let app = self.app();
            let removed = self.store().remove_sessions_created_before(app, before, STEP).await?;
            for session in &removed {
                self.engine.tell(&session.handle, &session.user_id, EventKind::Revoked { reason });
            }
            ended += removed.len();
            if removed.len() < STEP {
                return Ok(ended);
            }
        }
    }

    /// Removes all sessions that expired and all keys that retired, in short steps beside the
    /// traffic. Once an hour is plenty.
    ///
    /// # Errors
    /// [`Error::General`] when the store fails.
    pub async fn sweep_all(&self) -> Result<Swept, Error> {
        const STEP: usize = 256;
        let mut total = Swept::default();
        loop {
            let swept = self.sweep(STEP).await?;
            total.sessions += swept.sessions;
            total.keys += swept.keys;
            if swept.sessions < STEP {
                return Ok(total);
            }
        }
    }

    /// Removes sessions that expired and keys that retired, at most `limit` sessions in one short
    /// step.
    ///
    /// # Errors
    /// [`Error::General`] when the store fails.
    pub async fn sweep(&self, limit: usize) -> Result<Swept, Error> {
        let now = self.engine.now();
        let sweep = Sweep {
            sessions_expired_before: now,
            keys_created_before: now.minus(self.engine.keys.schedule().lifetime),
            limit,
        };
        Ok(self.store().sweep(self.app(), sweep).await?)
    }
}

impl<S: Store> Engine<S> {
    async fn start(
        surroundings: Arc<Surroundings<S>>,
        app: AppId,
        policy: Policy,
    ) -> Result<Self, Error> {
        policy.check()?;
        let Surroundings { store, clock, random, wrapping_key, .. } = &*surroundings;
        if store.is_shared_with_supertokens() {
            policy.check_shared(wrapping_key.is_some())?;
        }
        let format = policy.refresh_token_format;
        let refresh_tokens =
            RefreshTokens::load(store, &app, format, wrapping_key.as_ref(), &**random).await?;
        let keys =
            KeyManager::load(store, &app, &policy, wrapping_key.clone(), &**random, clock.now())
                .await?;
        let verified = VerifiedCache::new(policy.verified_token_memory);
        Ok(Self { surroundings, app, policy, keys, refresh_tokens, verified })
    }

    fn now(&self) -> Timestamp {
        self.surroundings.clock.now()
    }

    fn store(&self) -> &S {
        &self.surroundings.store
    }

    fn random(&self) -> &dyn RandomSource {
        &*self.surroundings.random
    }

    fn tell(&self, handle: &SessionHandle, user_id: &str, kind: EventKind) {
        self.surroundings.events.tell(&self.app, handle, user_id, kind);
    }
}
