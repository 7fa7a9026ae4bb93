//! The open store of one process.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use async_lock::OnceCell;
use futures_channel::oneshot;
use sessile::{
    Sessions, SessionsBuilder, WebSessions,
    policy::RefreshTokenFormat,
    postgres::PostgresOptions,
    store::{Store as _, StoreError},
};

use crate::{
    call::block_on,
    failure::Failure,
    file_store::FileStore,
    notifier::Notifier,
    postgres_store::PostgresStore,
    settings::{Location, Settings},
    store::OpenStore,
};

/// What an engine has in one process. It does not survive a fork: threads stay behind.
pub(crate) struct Process {
    id: u32,
    notifier: Notifier,
    opened: OnceCell<Opened>,
    threads: Arc<Mutex<Threads>>,
}

/// What there is to be waited for, or closed, when the store is closed.
#[derive(Default)]
struct Threads {
    is_closed: bool,
    opening: Vec<JoinHandle<()>>,
    opened: Vec<Sessions<OpenStore>>,
}

fn lock(threads: &Mutex<Threads>) -> MutexGuard<'_, Threads> {
    threads.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A store that was opened, and the sessions in it.
pub(crate) struct Opened {
    pub(crate) web: WebSessions,
    pub(crate) sessions: Sessions<OpenStore>,
}

impl Process {
    pub(crate) fn start() -> Result<Self, Failure> {
        let notifier = Notifier::start().map_err(Failure::Thread)?.ok_or(Failure::Closed)?;
        let (opened, threads) = (OnceCell::new(), Arc::default());
        Ok(Self { id: std::process::id(), notifier, opened, threads })
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
        self.opened.get_or_try_init(|| self.open_in_a_thread(Arc::clone(settings))).await
    }

    /// Opening waits for the disk or the network, which must not hold the event loop up.
    async fn open_in_a_thread(&self, settings: Arc<Settings>) -> Result<Opened, Failure> {
        let (sender, receiver) = oneshot::channel();
        let threads = Arc::clone(&self.threads);
        let work = move || {
            let opened = catch_unwind(AssertUnwindSafe(|| block_on(open(&settings))))
                .unwrap_or_else(|panic| Err(Failure::from_panic(&*panic)));
            if let Ok(opened) = &opened {
                lock(&threads).opened.push(opened.sessions.clone());
            }
            drop(sender.send(opened));
        };
        {
            let mut threads = lock(&self.threads);
            if threads.is_closed {
                return Err(Failure::Closed);
            }
            let builder = thread::Builder::new().name("sessile-open".to_owned());
            threads.opening.push(builder.spawn(work).map_err(Failure::Thread)?);
        }
        receiver.await.unwrap_or(Err(Failure::Closed))
    }

    /// Finishes what was begun, closes the store and ends the threads. Must be called without
    /// holding the interpreter.
    pub(crate) fn close(&self) {
        lock(&self.threads).is_closed = true;
        self.wait_for_opening();
        for sessions in &self.all_opened() {
            sessions.store().close();
        }
        // Last, so that whoever waited for any of this is told.
        self.notifier.stop();
    }

    /// A copy, because who closes one may have to wait for a fork, which needs to see them too.
    fn all_opened(&self) -> Vec<Sessions<OpenStore>> {
        lock(&self.threads).opened.clone()
    }

    fn wait_for_opening(&self) {
        let opening = mem::take(&mut lock(&self.threads).opening);
        for thread in opening {
            // What it panicked with it has told whoever waits.
            drop(thread.join());
        }
    }

    /// Finishes what was begun and closes the store, until `end_fork`. Must be called without
    /// holding the interpreter.
    pub(crate) fn begin_fork(&self) {
        self.wait_for_opening();
        for sessions in &self.all_opened() {
            sessions.store().begin_fork();
        }
    }

    /// Opens the store again, in the process that has forked, and lets those go on who wait for it.
    pub(crate) fn end_fork(&self) -> Result<(), StoreError> {
        self.all_opened().iter().try_for_each(|sessions| sessions.store().end_fork())
    }
}

async fn open(settings: &Settings) -> Result<Opened, Failure> {
    let mut policy = settings.policy.clone();
    let builder = match &settings.location {
        Location::Memory => Sessions::builder(OpenStore::in_memory()),
        Location::File(path) => {
            let key = sessile::wrapping_key_of(path)?;
            Sessions::builder(OpenStore::in_file(FileStore::open(path)?)).wrapping_key(key)
        }
        Location::Postgres(options) => {
            let key = sessile::wrapping_key_from_environment()?;
            let store = PostgresStore::new(PostgresOptions::clone(options).open().await?);
            let store = OpenStore::in_postgres(store);
            if store.is_shared_with_supertokens() {
                policy.refresh_token_format = RefreshTokenFormat::SuperTokens;
            }
            let builder = Sessions::builder(store);
            match key {
                Some(key) => builder.wrapping_key(key),
                None => builder,
            }
        }
    };
    let sessions = configured(builder.policy(policy), settings).build().await?;
    sessions.store().forget_calls();
    let web = WebSessions::new(sessions.clone(), settings.web.clone())?;
    Ok(Opened { web, sessions })
}

fn configured(
    builder: SessionsBuilder<OpenStore>,
    settings: &Settings,
) -> SessionsBuilder<OpenStore> {
    let builder = builder.app(settings.app.clone());
    match &settings.clock {
        Some(clock) => builder.clock(Arc::clone(clock)),
        None => builder,
    }
}
