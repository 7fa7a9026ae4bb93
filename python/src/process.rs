//! The open store of one process.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
    thread,
};

use async_lock::OnceCell;
use futures_channel::oneshot;
use sessile::{Sessions, SessionsBuilder, WebSessions, sqlite::SqliteStore};

use crate::{
    call::block_on,
    failure::Failure,
    notifier::Notifier,
    settings::{Location, Settings},
    store::OpenStore,
};

/// What an engine has in one process. It does not survive a fork: threads stay behind.
pub(crate) struct Process {
    id: u32,
    notifier: Notifier,
    opened: OnceCell<Opened>,
}

/// A store that was opened, and the sessions in it.
pub(crate) struct Opened {
    pub(crate) web: WebSessions,
    pub(crate) sessions: Sessions<OpenStore>,
}

impl Process {
    pub(crate) fn start() -> Result<Self, Failure> {
        let notifier = Notifier::start().map_err(Failure::Thread)?;
        Ok(Self { id: std::process::id(), notifier, opened: OnceCell::new() })
    }

    /// Whether this process is the one that it was made in.
    pub(crate) fn is_current(&self) -> bool {
        self.id == std::process::id()
    }

    pub(crate) fn notifier(&self) -> &Notifier {
        &self.notifier
    }

    /// The store, if it is open.
    pub(crate) fn opened_already(&self) -> Option<&Opened> {
        self.opened.get()
    }

    /// The store, which the first call opens; those that come meanwhile wait for it.
    pub(crate) async fn opened(&self, settings: &Arc<Settings>) -> Result<&Opened, Failure> {
        self.opened.get_or_try_init(|| open_in_a_thread(Arc::clone(settings))).await
    }

    /// Finishes what was begun, closes the store and ends the threads. Must be called without
    /// holding the interpreter.
    pub(crate) fn close(&self) {
        if let Some(opened) = self.opened.get() {
            opened.sessions.store().close();
        }
        self.notifier.stop();
    }
}

/// Opening waits for the disk, which must not hold the event loop up.
async fn open_in_a_thread(settings: Arc<Settings>) -> Result<Opened, Failure> {
    let (sender, receiver) = oneshot::channel();
    let work = move || {
        let opened = catch_unwind(AssertUnwindSafe(|| block_on(open(&settings))))
            .unwrap_or_else(|panic| Err(Failure::from_panic(&*panic)));
        drop(sender.send(opened));
    };
    let builder = thread::Builder::new().name("sessile-open".to_owned());
    builder.spawn(work).map_err(Failure::Thread)?;
    receiver.await.unwrap_or(Err(Failure::Closed))
}

async fn open(settings: &Settings) -> Result<Opened, Failure> {
    let builder = match &settings.location {
        Location::Memory => Sessions::builder(OpenStore::in_memory()),
        Location::File(path) => {
            let key = sessile::wrapping_key_of(path)?;
            Sessions::builder(OpenStore::in_file(open_file(path)?)).wrapping_key(key)
        }
    };
    let sessions = configured(builder, settings).build().await?;
    sessions.store().forget_calls();
    let web = WebSessions::new(sessions.clone(), settings.web.clone())?;
    Ok(Opened { web, sessions })
}

fn open_file(path: &Path) -> Result<SqliteStore, Failure> {
    Ok(SqliteStore::open(path)?)
}

fn configured(
    builder: SessionsBuilder<OpenStore>,
    settings: &Settings,
) -> SessionsBuilder<OpenStore> {
    let builder = builder.policy(settings.policy.clone()).app(settings.app.clone());
    match &settings.clock {
        Some(clock) => builder.clock(Arc::clone(clock)),
        None => builder,
    }
}
