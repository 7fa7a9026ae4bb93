//! Many clients at once, in this process.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

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
