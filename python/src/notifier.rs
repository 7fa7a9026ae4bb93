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

enum Message {
    GoOn(Waiting),
    Stop,
}

/// A thread that completes futures. The store's threads only pass it a message: they never wait
/// for the interpreter, which one busy Python thread could keep from them.
pub(crate) struct Notifier {
    messages: Sender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Notifier {
    pub(crate) fn start() -> std::io::Result<Self> {
        let (messages, queue) = crossbeam_channel::unbounded();
        let name = "sessile-notifier".to_owned();
        let thread = thread::Builder::new().name(name).spawn(move || notify(&queue))?;
        Ok(Self { messages, thread: Mutex::new(Some(thread)) })
    }

    /// The waker of a new call.
    pub(crate) fn waker(&self) -> Arc<CallWaker> {
        Arc::new(CallWaker {
            state: Mutex::new(WakerState::Running),
            messages: self.messages.clone(),
        })
    }

    /// Completes what can be completed, and ends the thread: after this it never asks for the
    /// interpreter, which may come to its end. Must be called without holding the interpreter.
    pub(crate) fn stop(&self) {
        drop(self.messages.send(Message::Stop));
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            drop(thread.join());
        }
    }
}

fn notify(queue: &Receiver<Message>) {
    while let Ok(Message::GoOn(first)) = queue.recv() {
        // Where the interpreter is ending, nobody waits any more.
        let goes_on = Python::try_attach(|py| {
            complete_soon(py, first);
            loop {
                match queue.try_recv() {
                    Ok(Message::GoOn(next)) => complete_soon(py, next),
                    Ok(Message::Stop) => return false,
                    Err(_) => return true,
                }
            }
        });
        if goes_on != Some(true) {
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
    messages: Sender<Message>,
}

impl CallWaker {
    fn replace(&self, change: impl FnOnce(WakerState) -> WakerState) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = change(std::mem::replace(&mut *state, WakerState::Running));
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
        self.replace(|state| match state {
            WakerState::Parked(waiting) => {
                drop(self.messages.send(Message::GoOn(waiting)));
                WakerState::Running
            }
            _ => WakerState::Woken,
        });
    }
}
