//! The connections of a store: a few that all reads share, and a few that write.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use arc_swap::ArcSwapOption;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::{connection::Connection, connector::Connector, failure::Failure};

/// Connections that are shared: a request is sent while the answers to others are awaited.
#[derive(Debug)]
pub(crate) struct Readers {
    connector: Arc<Connector>,
    slots: Vec<Arc<Slot>>,
    next: AtomicUsize,
}

/// The place of a connection.
#[derive(Debug, Default)]
struct Slot {
    current: ArcSwapOption<Connection>,
    /// Whoever connects holds it.
    connecting: tokio::sync::Mutex<()>,
    is_closed: AtomicBool,
}

impl Slot {
    fn usable(&self) -> Option<Arc<Connection>> {
        self.current.load_full().filter(|connection| connection.is_usable())
    }

    /// Connects, unless somebody has done it meanwhile.
    async fn connect(&self, connector: &Arc<Connector>) -> Result<Arc<Connection>, Failure> {
        let _connecting = self.connecting.lock().await;
        if let Some(connection) = self.usable() {
            return Ok(connection);
        }
        connector.suspension().over().await;
        if self.is_closed.load(Ordering::Acquire) {
            return Err(Failure::Closed);
        }
        let connection = connector.connect().await?;
        self.current.store(Some(Arc::clone(&connection)));
        if self.is_closed.load(Ordering::Acquire) {
            self.current.store(None);
        }
        Ok(connection)
    }
}

impl Readers {
    pub(crate) fn new(connector: Arc<Connector>, count: usize) -> Self {
        let slots = (0..count.max(1)).map(|_| Arc::default()).collect();
        Self { connector, slots, next: AtomicUsize::new(0) }
    }

    /// One that can be used; connects where the next in turn cannot.
    pub(crate) async fn connection(&self) -> Result<Arc<Connection>, Failure> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let slot = &self.slots[turn % self.slots.len()];
        if let Some(connection) = slot.usable() {
            return Ok(connection);
        }
        self.connector.check_away()?;
        let (slot, connector) = (Arc::clone(slot), Arc::clone(&self.connector));
        // In a task: a caller that is busy with something else must not hold up others who need
        // the connection.
        let connecting = async move { slot.connect(&connector).await };
        let connected = self.connector.runtime().spawn(connecting).await;
        connected.unwrap_or(Err(Failure::Interrupted))
    }

    pub(crate) fn close(&self) {
        self.slots.iter().for_each(|slot| slot.is_closed.store(true, Ordering::Release));
        self.forget();
    }

    /// Lets go of the connections; the next request makes another.
    pub(crate) fn forget(&self) {
        self.slots.iter().for_each(|slot| slot.current.store(None));
    }
}

/// Connections of which each serves one turn at a time. Whoever waits is served in order.
#[derive(Debug)]
pub(crate) struct Writers {
    connector: Arc<Connector>,
    turns: Arc<Semaphore>,
    /// Places for what may wait for locks as long as a request may take: fewer than there are turns,
    /// where there are several, so that others go on.
    long_places: Semaphore,
    count: u32,
    /// How many wait for a turn.
    waiting: AtomicUsize,
    /// The one that was used last is used next, so that in quiet times few are.
    idle: Mutex<Vec<Arc<Connection>>>,
}

impl Writers {
    pub(crate) fn new(connector: Arc<Connector>, count: usize) -> Self {
        let count = u32::try_from(count.max(1)).unwrap_or(u32::MAX);
        let turns = Arc::new(Semaphore::new(count as usize));
        let long_places = Semaphore::new((count as usize - 1).max(1));
        let (waiting, idle) = (AtomicUsize::new(0), Mutex::default());
        Self { connector, turns, long_places, count, waiting, idle }
    }

    /// Waits until a connection is free.
    pub(crate) async fn turn(self: &Arc<Self>) -> Result<Turn, Failure> {
        let permit = match Arc::clone(&self.turns).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let _waiting = Waiting::new(&self.waiting);
                let permit = Arc::clone(&self.turns).acquire_owned().await;
                permit.map_err(|_| Failure::Closed)?
            }
        };
        Ok(Turn {
            writers: Arc::clone(self),
            connection: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
            _permit: permit,
        })
    }

    /// A place for what may be long, to be had before a turn.
    pub(crate) async fn long_place(&self) -> Result<SemaphorePermit<'_>, Failure> {
        self.long_places.acquire().await.map_err(|_| Failure::Closed)
    }

    /// Whether somebody waits for a turn: whoever has one should not make it longer.
    pub(crate) fn are_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Puts a connection among those that are free.
    pub(crate) fn put(&self, connection: Arc<Connection>) {
        if connection.is_usable() && !self.turns.is_closed() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }

    fn take(&self) -> Option<Arc<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    pub(crate) fn close(&self) {
        self.turns.close();
        self.long_places.close();
        self.forget();
    }

    /// Waits until nothing is being written, and lets nobody begin. Gives the number of turns that
    /// it took: none where they are closed.
    pub(crate) async fn stop(&self) -> u32 {
        let _waiting = Waiting::new(&self.waiting);
        match self.turns.acquire_many(self.count).await {
            Ok(turns) => {
                turns.forget();
                self.count
            }
            Err(_) => 0,
        }
    }

    /// Gives back the turns that were taken.
    pub(crate) fn go_on(&self, turns: u32) {
        self.turns.add_permits(turns as usize);
    }

    /// Lets go of the connections that nobody uses.
    pub(crate) fn forget(&self) {
        while self.take().is_some() {}
    }
}

/// One who waits, counted for as long as this lives.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The right to use a connection that writes.
#[derive(Debug)]
pub(crate) struct Turn {
    writers: Arc<Writers>,
    connection: Mutex<Option<Arc<Connection>>>,
    /// Whoever connects holds it.
    connecting: tokio::sync::Mutex<()>,
    _permit: OwnedSemaphorePermit,
}

impl Turn {
    /// A connection that can be used; connects where there is none.
    pub(crate) async fn connection(&self) -> Result<Arc<Connection>, Failure> {
        if let Some(connection) = self.usable() {
            return Ok(connection);
        }
        let _connecting = self.connecting.lock().await;
        // The other one who shares the turn may have connected meanwhile.
        if let Some(connection) = self.usable() {
            return Ok(connection);
        }
        let connection = self.writers.connector.connect().await?;
        *self.current() = Some(Arc::clone(&connection));
        Ok(connection)
    }

    /// The turn's connection, or one that is free.
    fn usable(&self) -> Option<Arc<Connection>> {
        let mut current = self.current();
        if !current.as_ref().is_some_and(|connection| connection.is_usable()) {
            let mut idle = std::iter::from_fn(|| self.writers.take());
            *current = idle.find(|connection| connection.is_usable());
        }
        current.clone()
    }

    fn current(&self) -> MutexGuard<'_, Option<Arc<Connection>>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(connection) = self.current().take() {
            self.writers.put(connection);
        }
    }
}
