//! A run in its own folder: its processes, their records, and what is found in them.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use sessile_core::{
    Error, GeneralError, Sessions,
    store::{Store, StoreError, StoreErrorKind},
};
use sessile_histories::{
    History, MonotonicClock, Recorder,
    final_state::FinalState,
    history::OperationId,
    invariants::{Invariant, Violation, check},
    wallet::Wallet,
    workload::{refresh_all, run, run_until},
};
use sessile_postgres::PostgresOptions;
use sessile_sqlite::SqliteStore;
use tempfile::TempDir;
use tokio::{
    runtime::{self, Runtime},
    time::sleep,
};

use crate::{
    faulty_store::{FaultyStore, HALTED},
    settings::Settings,
};

/// Where a process that this one starts finds its [`Part`].
const PART: &str = "SESSILE_HISTORY_PART";

/// What one process of a run does.
#[derive(Debug, Deserialize, Serialize)]
struct Part {
    folder: PathBuf,
    process: u32,
    settings: Settings,
    database: Database,
    behaviour: Behaviour,
}

/// Where all processes of a run have their sessions.
#[derive(Clone, Debug, Deserialize, Serialize)]
enum Database {
    /// In a file of the run's folder.
    Sqlite,
    /// Where this URL leads.
    Postgres(String),
}

/// How a process of a run ends.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
enum Behaviour {
    /// When all clients have done their steps.
    WhenDone,
    /// In the midst of the rotation of that number, or of a later one, where it halts until it is
    /// killed.
    HaltingAt(u32),
    /// When its input ends. Until then it says on its output how it gets on.
    WhenTold,
}

pub(crate) struct Run {
    folder: TempDir,
    pub(crate) settings: Settings,
    database: Database,
}

impl Run {
    /// A run on SQLite.
    pub(crate) fn new(settings: Settings) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), settings, database: Database::Sqlite }
    }

    /// A run on PostgreSQL.
    pub(crate) fn on(url: String, settings: Settings) -> Self {
        Self { database: Database::Postgres(url), ..Self::new(settings) }
    }

    /// Starts a process with a store of its own on the database of all.
    pub(crate) fn start(&self, process: u32) -> Child {
        self.start_part(process, Behaviour::WhenDone)
    }

    /// Starts a process that goes on until its input ends.
    pub(crate) fn start_until_told(&self, process: u32) -> Child {
        self.start_part(process, Behaviour::WhenTold)
    }

    /// Starts a process and kills it while one rotation is made and not answered yet, and others
    /// are under way.
    pub(crate) fn start_and_kill(&self, process: u32) {
        let rotation = 20 + u32::try_from(self.settings.seed * 37 % 100).unwrap();
        let mut child = self.start_part(process, Behaviour::HaltingAt(rotation));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains(HALTED)), "the process ended early");
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success());
    }

    fn start_part(&self, process: u32, behaviour: Behaviour) -> Child {
        let (folder, database) = (self.folder.path().to_owned(), self.database.clone());
        let part = Part { folder, process, settings: self.settings, database, behaviour };
        let is_told = behaviour == Behaviour::WhenTold;
        let speaks = behaviour != Behaviour::WhenDone;
        Command::new(env::current_exe().unwrap())
            .args(["--exact", "a_process_of_a_run", "--ignored", "--nocapture"])
            .env(PART, serde_json::to_string(&part).unwrap())
            .stdin(if is_told { Stdio::piped() } else { Stdio::null() })
            .stdout(if speaks { Stdio::piped() } else { Stdio::null() })
            .spawn()
            .unwrap()
    }

    /// Has all clients act in this process, on that store.
    pub(crate) async fn act_here(&self, store: impl Store) -> (History, Vec<Violation>) {
        let path = self.folder.path();
        let recorder = Recorder::create(&record_of(path, 0), 0).unwrap();
        let wallet = Arc::new(Wallet::open(&path.join("wallet")).unwrap());
        let store = FaultyStore::new(store, self.settings.fault, &recorder);
        let sessions = engine(store, &self.settings, &recorder).await.unwrap();
        run(&sessions, &recorder, &wallet, self.settings.workload(0)).await;
        self.checked(sessions.store(), 1).await
    }

    /// Refreshes, as another process, what the clients still hold.
    pub(crate) fn refresh_all(&self, process: u32) {
        let path = self.folder.path();
        let recorder = Recorder::create(&record_of(path, process), process).unwrap();
        let wallet = Arc::new(Wallet::open(&path.join("wallet")).unwrap());
        runtime().block_on(async {
            let store = open_postgres(self.url()).await.unwrap();
            let sessions = engine(store, &self.settings, &recorder).await.unwrap();
            refresh_all(&sessions, &recorder, &wallet).await;
        });
    }

    fn url(&self) -> &str {
        match &self.database {
            Database::Postgres(url) => url,
            Database::Sqlite => panic!("this run is not on PostgreSQL"),
        }
    }

    /// What the processes have recorded on the database, and what is found in it.
    pub(crate) fn finish(&self, processes: u32) -> (History, Vec<Violation>) {
        runtime().block_on(async {
            match &self.database {
                Database::Sqlite => self.checked(&open_sqlite(self.folder.path()), processes).await,
                Database::Postgres(url) => {
                    self.checked(&open_postgres(url).await.unwrap(), processes).await
                }
            }
        })
    }

    async fn checked(&self, store: &impl Store, processes: u32) -> (History, Vec<Violation>) {
        let records: Vec<_> =
            (0..processes).map(|process| record_of(self.folder.path(), process)).collect();
        let history = History::read(&records).unwrap();
        let last = FinalState::read(store, &history).await.unwrap();
        let violations = check(&history, &last, &self.settings.policy());
        (history, violations)
    }
}

fn runtime() -> Runtime {
    runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// The part of a run that this process was started for, if it was.
pub(crate) fn act_as_told() {
    let Ok(part) = env::var(PART) else { return };
    let part: Part = serde_json::from_str(&part).unwrap();
    let recorder = Recorder::create(&record_of(&part.folder, part.process), part.process).unwrap();
    runtime().block_on(async {
        match &part.database {
            Database::Sqlite => {
                let store = open_sqlite(&part.folder);
                let sessions = part.engine(store, &recorder).await.unwrap();
                part.act(&sessions, &recorder).await;
            }
            Database::Postgres(url) => {
                let sessions = loop {
                    // The server may be away at this moment.
                    match part.engine_on_postgres(url, &recorder).await {
                        Ok(sessions) => break sessions,
                        Err(error) => assert!(is_unavailable(&error), "{error}"),
                    }
                    sleep(Duration::from_millis(50)).await;
                };
                part.act(&sessions, &recorder).await;
            }
        }
    });
}

impl Part {
    async fn engine<S: Store>(
        &self,
        store: S,
        recorder: &Arc<Recorder>,
    ) -> Result<Sessions<FaultyStore<S>>, Error> {
        let store = FaultyStore::new(store, self.settings.fault, recorder);
        let store = match self.behaviour {
            Behaviour::WhenDone => store,
            Behaviour::HaltingAt(rotation) => store.halting_at(rotation),
            Behaviour::WhenTold => store.saying_how_it_gets_on(),
        };
        engine(store, &self.settings, recorder).await
    }

    async fn engine_on_postgres(
        &self,
        url: &str,
        recorder: &Arc<Recorder>,
    ) -> Result<Sessions<FaultyStore<impl Store>>, Error> {
        let store = open_postgres(url).await.map_err(GeneralError::from)?;
        self.engine(store, recorder).await
    }

    async fn act<S: Store>(&self, sessions: &Sessions<S>, recorder: &Arc<Recorder>) {
        let wallet = Arc::new(Wallet::open(&self.folder.join("wallet")).unwrap());
        let mut workload = self.settings.workload(self.process);
        if let Behaviour::HaltingAt(_) = self.behaviour {
            // However many of its steps are rotations.
            workload.steps = u32::MAX;
        }
        let stopped = Arc::new(AtomicBool::new(false));
        if self.behaviour == Behaviour::WhenTold {
            let stopped = Arc::clone(&stopped);
            thread::spawn(move || {
                drop(std::io::stdin().read_to_end(&mut Vec::new()));
                stopped.store(true, Ordering::Relaxed);
            });
        }
        run_until(sessions, recorder, &wallet, workload, &stopped).await;
    }
}

fn is_unavailable(error: &Error) -> bool {
    matches!(error, Error::General(GeneralError::Store(error))
        if error.kind() == StoreErrorKind::Unavailable)
}

async fn engine<S: Store>(
    store: S,
    settings: &Settings,
    recorder: &Arc<Recorder>,
) -> Result<Sessions<S>, Error> {
    let builder = Sessions::builder(store).policy(settings.policy()).clock(MonotonicClock);
    builder.on_event(recorder.listener()).build().await
}

fn record_of(folder: &Path, process: u32) -> PathBuf {
    folder.join(format!("process-{process}.jsonl"))
}

fn open_sqlite(folder: &Path) -> SqliteStore {
    // Two processes that write without a pause may keep each other waiting for long.
    let options = SqliteStore::options().busy_timeout(Duration::from_secs(60));
    options.open(folder.join("sessions.db")).unwrap()
}

async fn open_postgres(url: &str) -> Result<impl Store + use<>, StoreError> {
    PostgresOptions::from_url(url).unwrap().open().await
}

/// Fails with what was found, and keeps the records where it was asked for.
pub(crate) fn assert_nothing_found(run: &Run, found: &(History, Vec<Violation>)) {
    fail_with(run, &found.0.failures().collect::<Vec<_>>(), &found.1);
}

/// The same, where the store was away at times.
pub(crate) fn assert_nothing_else_found(run: &Run, found: &(History, Vec<Violation>)) {
    fail_with(run, &found.0.unexplained_failures().collect::<Vec<_>>(), &found.1);
}

fn fail_with(run: &Run, failures: &[(OperationId, &str)], violations: &[Violation]) {
    if failures.is_empty() && violations.is_empty() {
        return;
    }
    if let Some(kept) = env::var_os("SESSILE_HISTORIES_KEPT") {
        let kept = PathBuf::from(kept).join(format!("seed-{}", run.settings.seed));
        fs::create_dir_all(&kept).unwrap();
        for entry in fs::read_dir(run.folder.path()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), kept.join(entry.file_name())).unwrap();
        }
    }
    let violations: Vec<_> = violations.iter().map(Violation::to_string).collect();
    panic!("{:?}: {failures:?}\n{}", run.settings, violations.join("\n"));
}

/// In so many histories there is one in which processes meet where a test needs them to.
const HISTORIES: u64 = 5;

/// Fails if the invariant holds all the same in each of some histories.
pub(crate) fn assert_found(
    settings: Settings,
    invariant: Invariant,
    violations_in: impl Fn(Settings) -> Vec<Violation>,
) {
    let mut found = Vec::new();
    for number in 0..HISTORIES {
        let violations = violations_in(Settings { seed: settings.seed + 100 * number, ..settings });
        if violations.iter().any(|one| one.invariant == invariant) {
            return;
        }
        found.extend(violations.iter().map(Violation::to_string));
    }
    panic!("{invariant} holds with {:?}: {}", settings.fault, found.join("\n"));
}

/// Fails if one of these happens in none of some histories: a history in which nothing meets shows
/// nothing. Each is a call and its outcome, or a kind of event.
pub(crate) fn assert_happens(
    settings: Settings,
    expected: &[&str],
    history_of: impl Fn(Settings) -> History,
) {
    let mut happened = BTreeSet::new();
    for number in 0..HISTORIES {
        let settings = Settings { seed: settings.seed + 100 * number, ..settings };
        happened.extend(happened_in(&history_of(settings)));
        if expected.iter().all(|one| happened.contains(*one)) {
            return;
        }
    }
    let missing: Vec<_> = expected.iter().filter(|one| !happened.contains(**one)).collect();
    panic!("{missing:?} never happened: {happened:?}");
}

fn happened_in(history: &History) -> BTreeSet<String> {
    let first_word = |text: &str| text.split([' ', '(']).next().unwrap_or_default().to_owned();
    let mut happened = BTreeSet::new();
    for operation in &history.operations {
        let outcome = match &operation.answer {
            None => "unanswered".to_owned(),
            Some(answer) => first_word(&format!("{:?}", answer.outcome)),
        };
        let call = first_word(&format!("{:?}", operation.call));
        happened.insert(format!("{call} {outcome}"));
    }
    happened.extend(history.events.iter().map(|event| format!("{:?}", event.kind)));
    happened
}
