//! Sessile's engine and browser contract for Python: the extension module `sessile._sessile`,
//! which the packages `sessile` and `supertokens_fastapi` are written on.
//!
//! What needs no store runs in the calling thread and never waits. What needs one is an awaitable
//! `Call`: the store's own threads do the work, and wake the event loop.

#![deny(unsafe_code)]

mod call;
mod clock;
mod ending;
mod engine;
mod exchange;
mod failure;
mod file_store;
mod information;
mod json;
mod notifier;
mod postgres_store;
mod process;
mod session;
mod settings;
mod store;

use pyo3::prelude::*;

#[pymodule]
fn _sessile(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<call::Call>()?;
    module.add_class::<clock::ManualClock>()?;
    module.add_class::<engine::Engine>()?;
    module.add_class::<exchange::Exchange>()?;
    module.add_class::<session::Session>()?;
    module.add_function(wrap_pyfunction!(ending::forget_other_threads, module)?)?;
    module.add_function(wrap_pyfunction!(ending::keep_others_out, module)?)?;
    module.add_function(wrap_pyfunction!(notifier::stop_notifiers, module)?)?;
    module.add("BROWSER_SCRIPT", sessile::web::BROWSER_SCRIPT)?;
    module.add("CORS_EXPOSED_HEADERS", sessile::web::CORS_EXPOSED_HEADERS.to_vec())?;
    module.add("CORS_REQUEST_HEADERS", sessile::web::CORS_REQUEST_HEADERS.to_vec())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))
}
