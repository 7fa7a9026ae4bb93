//! How an event loop learns that a call can go on.

use std::{
    sync::{Arc, Mutex, PoisonError},
    task::Wake,
    thread::{self, JoinHandle},
};

use crossbeam_channel::{Receiver, Sender};
use pyo3::{intern, prelude::*};

/// A future of an event loop that a call waits for.
pub(crate) struct Waiting {
    pub(crate) event_loop: Py<PyAny>,
    pub(crate) future: Py<PyAny>,
}

/// The way to the thread that completes futures, while there is one.
type Messages = Arc<Mutex<Option<Sender<Waiting>>>>;

/// A thread that completes futures. The store's threads only pass it a message: they never wait
/// for the interpreter, which one busy Python thread could keep from them.
pub(crate) struct Notifier {
    messages: Messages,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Notifier {
    pub(crate) fn start() -> std::io::Result<Self> {
        let (messages, queue) = crossbeam_channel::unbounded();
        let name = "sessile-notifier".to_owned();
        let thread = thread::Builder::new().name(name).spawn(move || notify(&queue))?;
        let messages = Arc::new(Mutex::new(Some(messages)));
        Ok(Self { messages, thread: Mutex::new(Some(thread)) })
    }

    /// The waker of a new call.
    pub(crate) fn waker(&self) -> Arc<CallWaker> {
        Arc::new(CallWaker {
            state: Mutex::new(WakerState::Running),
            messages: Arc::clone(&self.messages),
        })
    }

    /// Completes what can be completed, and ends the thread: after this it never asks for the
    /// interpreter, which may come to its end. Must be called without holding the interpreter.
    pub(crate) fn stop(&self) {
        drop(self.messages.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            drop(thread.join());
        }
    }
}

fn notify(queue: &Receiver<Waiting>) {
    while let Ok(first) = queue.recv() {
        // Where the interpreter is ending, nobody waits any more.
        let attached = Python::try_attach(|py| {
            std::iter::once(first).chain(queue.try_iter()).for_each(|next| complete_soon(py, next));
        });
        if attached.is_none() {
            return;
        }
    }
}

/// Has the event loop complete the future in its own thread.
fn complete_soon(py: Python<'_>, waiting: Waiting) {
    let Waiting { event_loop, future } = waiting;
    let scheduled = wrap_pyfunction!(complete, py).and_then(|complete| {
        let name = intern!(py, "call_soon_threadsafe");
        event_loop.call_method1(py, name, (complete, future))
    });
    // A loop that was closed meanwhile refuses, and whoever waited is gone with it.
    drop(scheduled);
}

/// Completes a future, unless it was cancelled.
#[pyfunction]
fn complete(future: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = future.py();
    if !future.call_method0(intern!(py, "done"))?.extract::<bool>()? {
        future.call_method1(intern!(py, "set_result"), (py.None(),))?;
    }
    Ok(())
}

enum WakerState {
    /// The call is being polled, or can be.
    Running,
    /// It can go on, though nobody waits yet.
    Woken,
    /// An event loop waits.
    Parked(Waiting),
}

/// Wakes the event loop that waits for a call.
pub(crate) struct CallWaker {
    state: Mutex<WakerState>,
    messages: Messages,
}

impl CallWaker {
    fn replace(&self, change: impl FnOnce(WakerState) -> WakerState) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = change(std::mem::replace(&mut *state, WakerState::Running));
    }

    fn tell(&self, waiting: Waiting) {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = match &*messages {
            Some(messages) => messages.send(waiting).err().map(|unsent| unsent.0),
            None => Some(waiting),
        };
        drop(messages);
        // The store is closed and its threads have ended, so this is a thread of Python's, in which
        // one call lets another go on.
        if let Some(waiting) = rest {
            Python::try_attach(|py| complete_soon(py, waiting));
        }
    }

    /// Says that the call is polled now: what woke it before is taken into account.
    pub(crate) fn begin(&self) {
        self.replace(|_| WakerState::Running);
    }

    /// Lets the event loop wait; `false` if the call can go on already.
    pub(crate) fn park(&self, waiting: Waiting) -> bool {
        let mut parked = true;
        self.replace(|state| match state {
            WakerState::Woken => {
                parked = false;
                WakerState::Running
            }
            _ => WakerState::Parked(waiting),
        });
        parked
    }
}

impl Wake for CallWaker {
    fn wake(self: Arc<Self>) {
        let mut parked = None;
        self.replace(|state| match state {
            WakerState::Parked(waiting) => {
                parked = Some(waiting);
                WakerState::Running
            }
            _ => WakerState::Woken,
        });
        // No lock is held while this may wait for the interpreter.
        if let Some(waiting) = parked {
            self.tell(waiting);
        }
    }
}
