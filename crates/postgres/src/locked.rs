//! Requests whose rows another program has locked for long.
//!
//! Nothing of the pool waits for such a lock: one task asks for all of a kind, now and then, whether
//! they are free.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use crate::{
    batch::{Batch, Gathered},
    failure::Failure,
    lane::{Lane, hire_if_wanted},
    shared::Shared,
};

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// Keeps them until they are free, or their callers' time is over.
pub(crate) fn set_aside<W: Gathered>(mut locked: Batch<'_, W>, shared: &Arc<Shared>) {
    if !locked.waiting.is_empty() && locked.lane.set_aside(&mut locked.waiting) {
        shared.runtime().spawn(ask_again::<W>(Arc::clone(shared)));
    }
}

async fn ask_again<W: Gathered>(shared: Arc<Shared>) {
    let mut task = Task { lane: W::lane(&shared), is_over: false };
    // The caller should be told why before it gives up.
    let time = shared.request_timeout().saturating_sub(2 * PAUSE);
    loop {
        sleep(PAUSE).await;
        let Some(mut batch) = task.lane.take_set_aside() else {
            // What is set aside from here on is another task's.
            task.is_over = true;
            return;
        };
        batch.refuse_after(time, &Failure::Locked);
        let mut locked = match shared.writers.turn().await {
            Ok(turn) => batch.run_again(&turn, &shared).await,
            Err(failure) => return batch.answer(Err(failure)),
        };
        task.lane.set_aside(&mut locked.waiting);
        // What waited for the sessions of those that were not locked any more.
        hire_if_wanted::<W>(&shared);
    }
}

/// The one that asks.
struct Task<'a, W: Gathered> {
    lane: &'a Lane<W>,
    is_over: bool,
}

impl<W: Gathered> Drop for Task<'_, W> {
    /// When it ends before its time, the callers learn it from their dropped senders.
    fn drop(&mut self) {
        if !self.is_over {
            self.lane.drop_set_aside();
        }
    }
}
