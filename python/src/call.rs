use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use pyo3::{
    exceptions::{PyRuntimeError, PyStopIteration},
    intern,
    prelude::*,
    sync::PyOnceLock,
};

use crate::{
    ending,
    engine::Shared,
    failure::Failure,
    notifier::{CallWaker, Waiting},
    process::Process,
};

/// Makes the Python value of an outcome.
pub(crate) type Answer = Box<dyn for<'py> FnOnce(Python<'py>) -> PyResult<Py<PyAny>> + Send>;

/// What a call does.
pub(crate) type Work = Pin<Box<dyn Future<Output = Result<Answer, Failure>> + Send>>;

/// Something that may have to wait for the store. To await it polls it in the calling thread: what
/// needs no store is answered at once, without the event loop; for the rest, the event loop is
/// told when it can go on.
#[pyclass(frozen, module = "sessile._sessile")]
pub(crate) struct Call {
    shared: Arc<Shared>,
    process: Arc<Process>,
    work: Mutex<Option<Work>>,
    waker: OnceLock<Arc<CallWaker>>,
    /// Whether other Python threads may run meanwhile: it pays where something is signed or
    /// sealed, and costs more than a short answer itself.
    computes: bool,
}

/// How often a thread that waits looks for signals, such as an interruption by the keyboard.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

impl Call {
    pub(crate) fn new<F>(
        shared: &Arc<Shared>,
        process: Arc<Process>,
        computes: bool,
        work: F,
    ) -> Self
    where
        F: Future<Output = Result<Answer, Failure>> + Send + 'static,
    {
        Self {
            shared: Arc::clone(shared),
            process,
            work: Mutex::new(Some(Box::pin(work))),
            waker: OnceLock::new(),
            computes,
        }
    }

    fn work(&self) -> std::sync::MutexGuard<'_, Option<Work>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the work out, so that no lock is held while it is polled.
    fn take(&self) -> PyResult<Work> {
        self.work().take().ok_or_else(|| PyRuntimeError::new_err("this call was awaited before"))
    }

    /// Polls once; gives the work back if it is not done. It is without the interpreter meanwhile
    /// if `detached`, so nobody may be inside then.
    fn poll(
        &self,
        py: Python<'_>,
        mut work: Work,
        waker: &Waker,
        detached: bool,
    ) -> Result<PyResult<Py<PyAny>>, Work> {
        let mut poll = || {
            let mut context = Context::from_waker(waker);
            catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(&mut context)))
        };
        let polled = if detached { py.detach(poll) } else { poll() };
        let outcome = match polled {
            Ok(Poll::Pending) => return Err(work),
            Ok(Poll::Ready(outcome)) => outcome,
            Err(panic) => Err(Failure::from_panic(&*panic)),
        };
        Ok(ending::enter(py).and_then(|_inside| match outcome {
            Ok(answer) => answer(py),
            Err(failure) => Err(self.shared.error(py, failure)),
        }))
    }
}

#[pymethods]
impl Call {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let finish = |outcome: PyResult<Py<PyAny>>| Err(PyStopIteration::new_err((outcome?,)));
        let mut work = self.take()?;
        if self.waker.get().is_none() {
            match self.poll(py, work, Waker::noop(), self.computes) {
                Ok(outcome) => return finish(outcome),
                Err(pending) => work = pending,
            }
        }
        let _inside = ending::enter(py)?;
        let call_waker = self.waker.get_or_init(|| self.process.notifier().waker());
        let waker = Waker::from(Arc::clone(call_waker));
        loop {
            call_waker.begin();
            work = match self.poll(py, work, &waker, false) {
                Ok(outcome) => return finish(outcome),
                Err(pending) => pending,
            };
            let event_loop = running_loop(py)?;
            let future = event_loop.call_method0(intern!(py, "create_future"))?;
            let waiting = Waiting::new(event_loop.unbind(), future.clone().unbind());
            if call_waker.park(waiting) {
                *self.work() = Some(work);
                let iterator = future.call_method0(intern!(py, "__await__"))?;
                return Ok(iterator.call_method0(intern!(py, "__next__"))?.unbind());
            }
        }
    }

    /// Waits in this thread, for programs without an event loop.
    fn wait(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        {
            let _inside = ending::enter(py)?;
            if running_loop(py).is_ok() {
                return Err(PyRuntimeError::new_err(
                    "this would block the event loop of this thread: await the asynchronous \
                     function of that name instead",
                ));
            }
        }
        let mut work = self.take()?;
        let waker = Waker::from(Arc::new(ThreadWaker(thread::current())));
        loop {
            work = match self.poll(py, work, &waker, self.computes) {
                Ok(outcome) => return outcome,
                Err(pending) => pending,
            };
            py.detach(|| thread::park_timeout(SIGNAL_INTERVAL));
            let _inside = ending::enter(py)?;
            py.check_signals()?;
        }
    }
}

fn running_loop(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static GET_RUNNING_LOOP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    GET_RUNNING_LOOP.import(py, "asyncio", "get_running_loop")?.call0()
}

struct ThreadWaker(Thread);

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future in this thread, which must not hold the interpreter.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let waker = Waker::from(Arc::new(ThreadWaker(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
