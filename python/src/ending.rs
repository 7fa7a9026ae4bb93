//! How the interpreter comes to its end while other threads are in this module.
//!
//! Until Python 3.14, a thread that wants an interpreter which has ended is ended itself, by
//! unwinding its stack. This must not reach a function of Rust, which ends the program with a
//! signal. PyO3 sees to it where a thread comes back to the interpreter, but not where a function
//! of Rust runs Python code, which lets other threads run whenever it likes. So threads say when
//! they may run Python code from here, and the interpreter does not end before the last has left.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

use pyo3::{exceptions::PyRuntimeError, prelude::*};

/// How many threads of this process may run Python code from here.
static INSIDE: AtomicUsize = AtomicUsize::new(0);

/// How often this process came to be by a fork, in which other threads stayed behind.
static FORKS: AtomicUsize = AtomicUsize::new(0);

/// The thread that ends the interpreter, once the others may not come in any more.
static ENDING: OnceLock<Thread> = OnceLock::new();

/// How often the thread that ends the interpreter looks who is still inside, and for how long: 5 s.
/// Only code of the program's own, such as its event loop's, can take that long, and what waits
/// there for ever must not keep the program from its end.
const INTERVAL: Duration = Duration::from_millis(10);
const MOST_INTERVALS: u32 = 500;

/// As long as there is one, Python code may run from here. It must not be kept while the thread
/// is without the interpreter.
#[must_use]
pub(crate) struct Inside {
    forks: usize,
}

impl Drop for Inside {
    fn drop(&mut self) {
        // What was counted before a fork counts no more after it.
        if self.forks == FORKS.load(Ordering::SeqCst)
            && INSIDE.fetch_sub(1, Ordering::SeqCst) == 1
            && let Some(ending) = ENDING.get()
        {
            ending.unpark();
        }
    }
}

/// Lets the thread run Python code from here.
///
/// # Errors
/// A `RuntimeError`, which is made without running any, where another thread ends the interpreter.
pub(crate) fn enter(_: Python<'_>) -> PyResult<Inside> {
    if ENDING.get().is_some_and(|ending| ending.id() != thread::current().id()) {
        let text = "sessions cannot be used at the end of the interpreter";
        return Err(PyRuntimeError::new_err(text));
    }
    INSIDE.fetch_add(1, Ordering::SeqCst);
    Ok(Inside { forks: FORKS.load(Ordering::SeqCst) })
}

/// Whether the interpreter ends, and no Python code may run that nobody asked for.
pub(crate) fn has_begun() -> bool {
    ENDING.get().is_some()
}

/// Lets no other thread run Python code from here any more, and waits for those that do.
#[pyfunction]
pub(crate) fn keep_others_out(py: Python<'_>) {
    // Who comes in has the interpreter, as this thread has now: nobody does so meanwhile.
    ENDING.get_or_init(thread::current);
    py.detach(|| {
        for _ in 0..MOST_INTERVALS {
            if INSIDE.load(Ordering::SeqCst) == 0 {
                break;
            }
            thread::park_timeout(INTERVAL);
        }
    });
}

/// Says that this process was forked just now, and has one thread only.
#[pyfunction]
pub(crate) fn forget_other_threads() {
    FORKS.fetch_add(1, Ordering::SeqCst);
    INSIDE.store(0, Ordering::SeqCst);
}
