//! How an event loop learns that a call can go on.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Wake,
    thread::{self, JoinHandle},
};

use crossbeam_channel::{Receiver, Sender};
use pyo3::{intern, prelude::*};

use crate::ending;

/// An event loop, and its future that a call waits for.
pub(crate) struct Waiting(Option<(Py<PyAny>, Py<PyAny>)>);

impl Waiting {
    pub(crate) fn new(event_loop: Py<PyAny>, future: Py<PyAny>) -> Self {
        Self(Some((event_loop, future)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // To let go of what Python has may run code of its own.
        if ending::has_begun() {
            std::mem::forget(self.0.take());
        }
    }
}

/// The way to the thread that completes futures, while there is one.
type Messages = Arc<Mutex<Option<Sender<Waiting>>>>;

/// A thread that completes futures. The store's threads only pass it a message: they never wait
/// for the interpreter, which one busy Python thread could keep from them.
#[derive(Clone)]
pub(crate) struct Notifier {
    messages: Messages,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

/// Every notifier whose thread may still run, with the process that it runs in. The interpreter
/// must not end before they have: a thread that asks for it afterwards ends the program with a
/// signal, and one that is about to say that a call is done may ask for it once more.
static STARTED: Mutex<Vec<(u32, Notifier)>> = Mutex::new(Vec::new());

/// Whether the interpreter is about to end.
static IS_ENDING: AtomicBool = AtomicBool::new(false);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stops every notifier of this process, whoever has it. No thread of this module asks for the
/// interpreter after that.
#[pyfunction]
pub(crate) fn stop_notifiers(py: Python<'_>) {
    IS_ENDING.store(true, Ordering::SeqCst);
    let started = std::mem::take(&mut *lock(&STARTED));
    py.detach(|| {
        for (process, notifier) in started {
            if process == std::process::id() {
                notifier.stop();
            } else {
                // Its thread is in the process that this one was forked from.
                std::mem::forget(notifier);
            }
        }
    });
}

impl Notifier {
    /// Starts the thread; `None` where the interpreter is about to end.
    pub(crate) fn start() -> std::io::Result<Option<Self>> {
        let mut started = lock(&STARTED);
        if IS_ENDING.load(Ordering::SeqCst) {
            return Ok(None);
        }
        let (messages, queue) = crossbeam_channel::unbounded();
        let name = "sessile-notifier".to_owned();
        let thread = thread::Builder::new().name(name).spawn(move || notify(&queue))?;
        let messages = Arc::new(Mutex::new(Some(messages)));
        let notifier = Self { messages, thread: Arc::new(Mutex::new(Some(thread))) };
        started.retain(|(_, known)| lock(&known.thread).as_ref().is_some_and(is_running));
        started.push((std::process::id(), notifier.clone()));
        Ok(Some(notifier))
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
        drop(lock(&self.messages).take());
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            drop(thread.join());
        }
    }
}

fn is_running(thread: &JoinHandle<()>) -> bool {
    !thread.is_finished()
}

fn notify(queue: &Receiver<Waiting>) {
    while let Ok(first) = queue.recv() {
        // Where the interpreter is ending, nobody waits any more.
        let completed = Python::try_attach(|py| -> PyResult<()> {
            let _inside = ending::enter(py)?;
            std::iter::once(first).chain(queue.try_iter()).for_each(|next| complete_soon(py, next));
            Ok(())
        });
        if !matches!(completed, Some(Ok(()))) {
            return;
        }
    }
}

/// Has the event loop complete the future in its own thread.
fn complete_soon(py: Python<'_>, mut waiting: Waiting) {
    let Some((event_loop, future)) = waiting.0.take() else { return };
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
    let _inside = ending::enter(py)?;
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
        let mut state = lock(&self.state);
        *state = change(std::mem::replace(&mut *state, WakerState::Running));
    }

    fn tell(&self, waiting: Waiting) {
        let messages = lock(&self.messages);
        let rest = match &*messages {
            Some(messages) => messages.send(waiting).err().map(|unsent| unsent.0),
            None => Some(waiting),
        };
        drop(messages);
        // The store is closed and its threads have ended, so this is a thread of Python's, in which
        // one call lets another go on.
        if let Some(waiting) = rest
            && !IS_ENDING.load(Ordering::SeqCst)
        {
            Python::try_attach(|py| ending::enter(py).map(|_inside| complete_soon(py, waiting)));
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
