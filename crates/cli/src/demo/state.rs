use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use sessile::{
    Secret, SessionHandle,
    event::{Event, EventKind},
};

/// What the demo remembers beside the sessions themselves, while it runs.
#[derive(Default)]
pub(super) struct DemoState(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    refreshes: HashMap<SessionHandle, u64>,
    stolen: HashMap<SessionHandle, Secret>,
}

impl DemoState {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts refreshes, and forgets sessions that end.
    pub(super) fn note(&self, event: &Event) {
        let mut memory = self.memory();
        match event.kind {
            EventKind::Refreshed => {
                *memory.refreshes.entry(event.session_handle.clone()).or_default() += 1;
            }
            EventKind::Revoked { .. } | EventKind::TheftDetected { .. } => {
                memory.refreshes.remove(&event.session_handle);
                memory.stolen.remove(&event.session_handle);
            }
            _ => {}
        }
    }

    /// The number of the session's refresh token since the demo was started; the first is 1.
    pub(super) fn generation(&self, handle: &SessionHandle) -> u64 {
        self.memory().refreshes.get(handle).copied().unwrap_or_default() + 1
    }

    /// Keeps a session's refresh token, as a thief would.
    pub(super) fn keep_stolen(&self, handle: SessionHandle, refresh_token: Secret) {
        self.memory().stolen.insert(handle, refresh_token);
    }

    pub(super) fn stolen(&self, handle: &SessionHandle) -> Option<Secret> {
        self.memory().stolen.get(handle).cloned()
    }
}
