//! A run in its own folder: its processes, their records, and what is found in them.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::{BufRead, BufReader},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use sessile_core::{
    Sessions, SessionsBuilder,
    policy::{LateRetry, Policy, RotationPolicy},
    store::{SessionLimit, Store, WhenFull},
};
use sessile_histories::{
    History, MonotonicClock, Recorder,
    final_state::FinalState,
    invariants::{Invariant, Rules, Violation, check},
    wallet::Wallet,
    workload::{Workload, run},
};
use sessile_sqlite::SqliteStore;
use tempfile::TempDir;

use crate::faults::{Fault, FaultyStore, HALTED};

/// Where a process that this one starts finds its [`Part`].
const PART: &str = "SESSILE_HISTORY_PART";

/// How the sessions of a run live.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Settings {
    pub(crate) seed: u64,
    pub(crate) steps: u32,
    pub(crate) grace: Duration,
    pub(crate) late_retry_is_theft: bool,
    /// How many sessions a user may have, and whether one more is refused.
    pub(crate) limit: Option<(usize, bool)>,
    pub(crate) fault: Fault,
}

impl Settings {
    /// The variable `SESSILE_HISTORIES_SEED` adds to the seed, for other histories than the last.
    pub(crate) fn of_seed(seed: u64) -> Self {
        let more = env::var("SESSILE_HISTORIES_SEED").map_or(0, |more| more.parse().unwrap());
        let seed = seed + more;
        let grace = Duration::from_secs(30);
        let late_retry_is_theft = false;
        Self { seed, steps: 250, grace, late_retry_is_theft, limit: None, fault: Fault::None }
    }

    fn rules(&self) -> Rules {
        let session_limit = self.limit.map(|(maximum, refuse)| SessionLimit {
            maximum: NonZeroUsize::new(maximum).unwrap(),
            when_full: if refuse { WhenFull::Refuse } else { WhenFull::EndOldest },
        });
        Rules { grace: self.grace, session_limit }
    }

    fn policy(&self) -> Policy {
        let Rules { grace, session_limit } = self.rules();
        let late_retry = match self.late_retry_is_theft {
            true => LateRetry::TokenTheft,
            false => LateRetry::Unauthorised,
        };
        let rotation = RotationPolicy::Idempotent { grace };
        Policy { rotation, late_retry, session_limit, ..Policy::default() }
    }

    fn workload(&self, process: u32) -> Workload {
        let seed = self.seed * 1000 + u64::from(process);
        let workload = Workload { seed, steps: self.steps, ..Workload::default() };
        match self.limit {
            // Clients who keep logging in would be refused most of the time.
            Some((maximum, _)) => Workload { sessions: 2 * maximum, ..workload },
            None => workload,
        }
    }
}

/// What one process of a run does.
#[derive(Debug, Deserialize, Serialize)]
struct Part {
    folder: PathBuf,
    process: u32,
    settings: Settings,
    /// The rotation in the midst of which it halts, if it does.
    halts_at: Option<u32>,
}

pub(crate) struct Run {
    folder: TempDir,
    settings: Settings,
}

impl Run {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), settings }
    }

    /// Starts a process with a store of its own on the file of all.
    pub(crate) fn start(&self, process: u32) -> Child {
        self.start_part(process, None)
    }

    /// Starts a process and kills it while one rotation is made and not answered yet, and others
    /// are under way.
    pub(crate) fn start_and_kill(&self, process: u32) {
        let rotation = 100 + u32::try_from(self.settings.seed * 37 % 100).unwrap();
        let mut child = self.start_part(process, Some(rotation));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains(HALTED)), "the process ended early");
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success());
    }

    fn start_part(&self, process: u32, halts_at: Option<u32>) -> Child {
        let folder = self.folder.path().to_owned();
        let part = Part { folder, process, settings: self.settings, halts_at };
        Command::new(env::current_exe().unwrap())
            .args(["--exact", "a_process_of_a_run", "--ignored", "--nocapture"])
            .env(PART, serde_json::to_string(&part).unwrap())
            .stdout(if halts_at.is_some() { Stdio::piped() } else { Stdio::null() })
            .spawn()
            .unwrap()
    }

    /// Has all clients act in this process, on that store.
    pub(crate) async fn act_here(&self, store: impl Store) -> (History, Vec<Violation>) {
        let (path, store) = (self.folder.path(), FaultyStore::new(store, self.settings.fault));
        let recorder = Recorder::create(&record_of(path, 0), 0).unwrap();
        let wallet = Arc::new(Wallet::open(&path.join("wallet")).unwrap());
        let sessions = engine(store, &self.settings, &recorder).await;
        run(&sessions, &recorder, &wallet, self.settings.workload(0)).await;
        self.checked(sessions.store(), 1).await
    }

    /// What the processes have recorded on the store in the file, and what is found in it.
    pub(crate) fn finish(&self, processes: u32) -> (History, Vec<Violation>) {
        let store = open_store(self.folder.path());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(self.checked(&store, processes))
    }

    async fn checked(&self, store: &impl Store, processes: u32) -> (History, Vec<Violation>) {
        let records: Vec<_> =
            (0..processes).map(|process| record_of(self.folder.path(), process)).collect();
        let history = History::read(&records).unwrap();
        let last = FinalState::read(store, &history).await.unwrap();
        let violations = check(&history, &last, &self.settings.rules());
        (history, violations)
    }
}

/// The part of a run that this process was started for, if it was.
pub(crate) fn act_as_told() {
    let Ok(part) = env::var(PART) else { return };
    let Part { folder, process, settings, halts_at } = serde_json::from_str(&part).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let store = open_store(&folder);
        let recorder = Recorder::create(&record_of(&folder, process), process).unwrap();
        let wallet = Arc::new(Wallet::open(&folder.join("wallet")).unwrap());
        let store = FaultyStore::new(store, settings.fault).halting_at(halts_at);
        let sessions = engine(store, &settings, &recorder).await;
        run(&sessions, &recorder, &wallet, settings.workload(process)).await;
    });
}

async fn engine<S: Store>(store: S, settings: &Settings, recorder: &Arc<Recorder>) -> Sessions<S> {
    let builder: SessionsBuilder<S> = Sessions::builder(store);
    let builder = builder.policy(settings.policy()).clock(MonotonicClock);
    builder.on_event(recorder.listener()).build().await.unwrap()
}

fn record_of(folder: &Path, process: u32) -> PathBuf {
    folder.join(format!("process-{process}.jsonl"))
}

/// The store of all processes.
fn open_store(folder: &Path) -> SqliteStore {
    // Two processes that write without a pause may keep each other waiting for long.
    let options = SqliteStore::options().busy_timeout(Duration::from_secs(60));
    options.open(folder.join("sessions.db")).unwrap()
}

/// Fails with what was found, and keeps the records where it was asked for.
pub(crate) fn assert_nothing_found(run: &Run, (history, violations): &(History, Vec<Violation>)) {
    let failures: Vec<_> = history.failures().collect();
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

/// Fails if the invariant holds all the same.
pub(crate) fn assert_found(fault: Fault, violations: &[Violation], invariant: Invariant) {
    let found: BTreeMap<_, _> =
        violations.iter().map(|one| (one.invariant, one.explanation.as_str())).collect();
    assert!(found.contains_key(&invariant), "{invariant} holds with {fault:?}: {found:#?}");
}

/// Fails if one of these never happened: a history in which nothing meets shows nothing. Each is
/// a call and its outcome, or a kind of event.
pub(crate) fn assert_happened(history: &History, expected: &[&str]) {
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
    for one in expected {
        assert!(happened.contains(*one), "{one} never happened: {happened:?}");
    }
}
