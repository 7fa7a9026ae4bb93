use std::{fmt, sync::Arc};

use super::{Engine, Sessions, Surroundings};
use crate::{
    clock::{Clock, SystemClock},
    error::Error,
    event::{Event, Events},
    identifier::AppId,
    keys::WrappingKey,
    policy::Policy,
    random::{RandomSource, SystemRandom},
    store::Store,
};

/// Describes an engine; made by [`Sessions::builder`].
#[must_use = "an engine exists once it is built"]
pub struct SessionsBuilder<S> {
    surroundings: Surroundings<S>,
    app: AppId,
    policy: Policy,
}

impl<S: Store> SessionsBuilder<S> {
    pub(super) fn new(store: S) -> Self {
        Self {
            surroundings: Surroundings {
                store,
                clock: Arc::new(SystemClock),
                random: Arc::new(SystemRandom),
                wrapping_key: None,
                events: Events::default(),
            },
            app: AppId::default(),
            policy: Policy::default(),
        }
    }

    /// The rules that sessions live by.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The app whose sessions these are; `public` where nothing is said.
    pub fn app(mut self, app: AppId) -> Self {
        self.app = app;
        self
    }

    /// The clock; the system's where nothing is said.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.surroundings.clock = Arc::new(clock);
        self
    }

    /// The source of randomness; the system's where nothing is said.
    pub fn random(mut self, random: impl RandomSource) -> Self {
        self.surroundings.random = Arc::new(random);
        self
    }

    /// Seals the signing keys and secrets that are put into the store under this key. Without
    /// one, whoever reads the database can make tokens.
    pub fn wrapping_key(mut self, key: WrappingKey) -> Self {
        self.surroundings.wrapping_key = Some(key);
        self
    }

    /// Adds a listener that is told of every event, in the task that caused it and after the store
    /// has acknowledged it, at most once each. It must not block.
    ///
    /// ```
    /// # use sessile_core::{Sessions, event::EventKind, memory::MemoryStore};
    /// let builder = Sessions::builder(MemoryStore::new()).on_event(|event| {
    ///     if let EventKind::TheftDetected { kind } = event.kind {
    ///         eprintln!("{}: {kind}", event.user_id);
    ///     }
    /// });
    /// ```
    pub fn on_event(mut self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.surroundings.events.0.push(Arc::new(listener));
        self
    }

    /// Puts another store in place of this one, which may ask this one in turn: to measure it, for
    /// instance.
    ///
    /// ```
    /// # use sessile_core::{Sessions, memory::MemoryStore};
    /// let builder = Sessions::builder(MemoryStore::new()).map_store(|store| store);
    /// ```
    pub fn map_store<T: Store>(self, change: impl FnOnce(S) -> T) -> SessionsBuilder<T> {
        let Surroundings { store, clock, random, wrapping_key, events } = self.surroundings;
        let store = change(store);
        SessionsBuilder {
            surroundings: Surroundings { store, clock, random, wrapping_key, events },
            app: self.app,
            policy: self.policy,
        }
    }

    /// Builds the engine: reads the app's keys from the store, and makes them the first time.
    ///
    /// # Errors
    /// [`GeneralError::Configuration`](crate::GeneralError::Configuration) when the policy
    /// contradicts itself, [`GeneralError::WrappingKey`](crate::GeneralError::WrappingKey) when
    /// the keys were sealed under another key, and what the store reports.
    pub async fn build(self) -> Result<Sessions<S>, Error> {
        let engine = Engine::start(Arc::new(self.surroundings), self.app, self.policy).await?;
        Ok(Sessions { engine: Arc::new(engine) })
    }
}

impl<S: fmt::Debug> fmt::Debug for SessionsBuilder<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SessionsBuilder")
            .field("surroundings", &self.surroundings)
            .field("app", &self.app)
            .field("policy", &self.policy)
            .finish()
    }
}
