//! Many clients at once, in this process.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use sessile_bench::clock;
use tokio::{runtime::Runtime, task::JoinSet};

/// Clients, each with what it keeps from call to call.
pub(crate) struct Clients<T> {
    runtime: Runtime,
    states: Vec<T>,
}

impl<T: Send + 'static> Clients<T> {
    /// The clients with these states.
    pub(crate) fn new(states: Vec<T>) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        Ok(Self { runtime, states })
    }

    /// The clients with the states that are made in their runtime.
    pub(crate) fn make(
        states: impl Future<Output = anyhow::Result<Vec<T>>>,
    ) -> anyhow::Result<Self> {
        let mut clients = Self::new(Vec::new())?;
        clients.states = clients.runtime.block_on(states)?;
        Ok(clients)
    }

    /// What the clients have now.
    pub(crate) fn states(&self) -> &[T] {
        &self.states
    }

    /// Has the clients make `count` calls among them, all at once, each one after the other.
    pub(crate) fn call<F>(
        &mut self,
        count: u64,
        call: impl Fn(T) -> F + Clone + Send + 'static,
    ) -> anyhow::Result<()>
    where
        F: Future<Output = anyhow::Result<T>> + Send,
    {
        let left = Arc::new(AtomicU64::new(count));
        self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for mut state in self.states.drain(..) {
                let (left, call) = (Arc::clone(&left), call.clone());
                tasks.spawn(async move {
                    let take = |left: u64| left.checked_sub(1);
                    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
                        state = call(state).await?;
                    }
                    anyhow::Ok(state)
                });
            }
            while let Some(finished) = tasks.join_next().await {
                self.states.push(finished??);
            }
            Ok(())
        })
    }
}

/// A client of whose calls each is timed.
pub(crate) struct Timed<T> {
    state: T,
    /// What each call took, in nanoseconds.
    times: Vec<u64>,
}

impl<T> Timed<T> {
    pub(crate) fn new(state: T) -> Self {
        Self { state, times: Vec::new() }
    }

    /// Makes the call.
    pub(crate) async fn time<F: Future<Output = anyhow::Result<T>>>(
        mut self,
        call: impl FnOnce(T) -> F,
    ) -> anyhow::Result<Self> {
        let began = clock::wall();
        self.state = call(self.state).await?;
        let took = (clock::wall() - began).as_nanos();
        self.times.push(u64::try_from(took).unwrap_or(u64::MAX));
        Ok(self)
    }

    /// How many calls were made.
    pub(crate) fn count(&self) -> usize {
        self.times.len()
    }

    /// What half of the calls of all took at most, and 99 of 100, in nanoseconds.
    pub(crate) fn quantiles(clients: &[Self]) -> [f64; 2] {
        let mut times: Vec<u64> =
            clients.iter().flat_map(|client| &client.times).copied().collect();
        times.sort_unstable();
        let last = times.len().saturating_sub(1);
        [0.5, 0.99].map(|part| {
            let place = (last as f64 * part) as usize;
            times.get(place).map_or(f64::NAN, |time| *time as f64)
        })
    }
}
