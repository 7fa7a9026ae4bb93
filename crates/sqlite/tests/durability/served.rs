use std::sync::{Arc, Mutex};

use fastrand::Rng;
use sessile_core::{
    Error, GeneralError, SessionHandle, SessionService, Sessions, VerifyRequest, WrappingKey,
    clock::ManualClock,
    random::SystemRandom,
    store::{StoreError, StoreErrorKind},
};
use sessile_sqlite::SqliteStore;
use tokio::runtime::Runtime;

use crate::{
    checker::check,
    disk::MountedDisk,
    ledger::{Event, Ledger, Life},
    load::{Load, START, engine, object},
    seed::seeded,
};

/// An engine that stays open on a disk, and clients whose answers are noted.
pub(crate) struct Served {
    pub(crate) runtime: Runtime,
    pub(crate) disk: MountedDisk,
    pub(crate) sessions: Sessions<SqliteStore>,
    pub(crate) rng: Rng,
    seed: String,
    key: WrappingKey,
    clock: Arc<ManualClock>,
    ledger: Arc<Mutex<Ledger>>,
}

impl Served {
    pub(crate) fn new() -> Self {
        let (rng, seed) = seeded();
        let runtime = Runtime::new().unwrap();
        let disk = MountedDisk::new();
        let key = WrappingKey::generate(&SystemRandom).unwrap();
        let clock = Arc::new(ManualClock::at(START));
        let store = SqliteStore::options().readers(2).open(disk.file()).unwrap();
        let sessions = runtime.block_on(engine(store, &key, Arc::clone(&clock))).unwrap();
        let ledger = Arc::default();
        Self { runtime, disk, sessions, rng, seed, key, clock, ledger }
    }

    /// What is known now.
    pub(crate) fn ledger(&self) -> Ledger {
        self.ledger.lock().unwrap().clone()
    }

    /// Runs the clients until `is_over` of what is known; what was known before comes first.
    pub(crate) fn work_until(
        &mut self,
        is_over: impl Fn(&Ledger, &Ledger) -> bool + Send + Sync + 'static,
    ) {
        let before = self.ledger();
        let (told, asked, since) =
            (Arc::clone(&self.ledger), Arc::clone(&self.ledger), before.clone());
        let load = Load {
            sessions: self.sessions.clone(),
            clock: Arc::clone(&self.clock),
            report: Arc::new(move |event: &Event| told.lock().unwrap().apply(event)),
            goes_on: Arc::new(move || {
                let now = asked.lock().unwrap();
                assert!(now.acknowledged < since.acknowledged + 20_000, "this never ends");
                !is_over(&since, &now)
            }),
        };
        self.runtime.block_on(load.run(&before, &mut self.rng));
    }

    /// Runs the clients for some hundred requests, all of which must be acknowledged.
    pub(crate) fn work(&mut self) {
        let before = self.ledger();
        self.work_until(|before, now| now.acknowledged >= before.acknowledged + 300);
        let now = self.ledger();
        let failures = |ledger: &Ledger| ledger.refused + ledger.unknown;
        assert_eq!(failures(&now), failures(&before), "{}: the same store works", self.seed);
    }

    /// Has a client's write refused, and gives what it is told.
    pub(crate) fn refused_write(&self) -> StoreError {
        let ledger = self.ledger();
        let mut sessions = ledger.clients.values().flat_map(|client| &client.sessions);
        let (handle, _) = sessions.find(|(_, known)| known.life == Life::Alive).unwrap();
        let handle = SessionHandle::new(handle);
        let update = self.sessions.update_session_data(&handle, object(7));
        match self.runtime.block_on(update) {
            Err(Error::General(GeneralError::Store(error))) => error,
            other => panic!("{}: not refused, but {other:?}", self.seed),
        }
    }

    /// Asserts that a write is refused so, with this in its text.
    pub(crate) fn assert_refused(&self, kind: StoreErrorKind, advice: &str) {
        let error = self.refused_write();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(advice), "{error}");
    }

    /// Asserts that what was acknowledged can be read from the open store.
    pub(crate) fn assert_reads(&self) {
        for known in self.ledger().clients.values().flat_map(|client| &client.sessions) {
            let (handle, known) = (SessionHandle::new(known.0), known.1);
            let information =
                self.runtime.block_on(self.sessions.get_session_information(&handle)).unwrap();
            match (information, known.life) {
                (Some(found), Life::Alive | Life::Unknown) => {
                    let data =
                        known.data.iter().any(|&number| object(number) == found.session_data);
                    assert!(data, "{}: data of {handle}", self.seed);
                    let verified = self.sessions.verify(VerifyRequest::new(&known.tokens.access));
                    self.runtime.block_on(verified).unwrap();
                }
                (None, Life::Ended | Life::Unknown) => {}
                (found, life) => panic!("{}: {found:?} is {life:?}", self.seed),
            }
        }
    }

    /// Closes the store, and asserts that everything is in the file.
    pub(crate) fn close_and_check(self) {
        let mut ledger = self.ledger();
        drop(self.sessions);
        self.disk.wait_until_closed();
        let problems = self.runtime.block_on(check(&self.disk.file(), &mut ledger, &self.key));
        let problem = problems.first().map(ToString::to_string);
        assert_eq!(problem, None, "{}", self.seed);
    }
}
