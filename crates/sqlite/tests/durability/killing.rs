//! `kill -9` in the midst of writes, 200 times.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Read, Write},
    path::PathBuf,
    process::{Child, ChildStderr, Command, Stdio},
    sync::Arc,
    thread,
};

use fastrand::Rng;
use serde::{Deserialize, Serialize};
use sessile_core::{WrappingKey, clock::ManualClock, random::SystemRandom};
use sessile_sqlite::{Durability, SqliteStore};
use tokio::runtime::Runtime;

use crate::{
    checker::{Problem, ProblemKind, check},
    disk::MountedDisk,
    ledger::{Event, Ledger},
    load::{Load, START, engine},
    seed::seeded,
};

const FILES: usize = 10;
const KILLS_OF_EACH_FILE: usize = 20;

/// Tells this program that it is the one to be killed.
const VARIABLE: &str = "SESSILE_DURABILITY_TASK";

/// What the process that is killed is told.
#[derive(Deserialize, Serialize)]
struct Task {
    file: PathBuf,
    is_normal: bool,
    wrapping_key: String,
    ledger: Ledger,
    seed: u64,
}

#[test]
fn nothing_acknowledged_is_lost_with_the_process() {
    let mut killer = Killer::new();
    let (mut in_the_midst, mut acknowledged) = (0, 0);
    for number in 0..FILES {
        let durability = [Durability::Full, Durability::Normal][number % 2];
        // The process that is killed has real files. Whoever checks them need not wait for the
        // disk.
        let disk = MountedDisk::new();
        let mut ledger = Ledger { now: START.as_millis(), ..Ledger::default() };
        for kill in 0..KILLS_OF_EACH_FILE {
            // Some are killed while they open the file.
            let lived = if killer.rng.u8(..10) == 0 { 0 } else { killer.rng.usize(1..80) };
            killer.kill_after(lived, disk.file(), durability, &mut ledger);
            in_the_midst += usize::from(ledger.waits_for_answers());
            let problem = killer.check(&disk, &mut ledger).first().map(ToString::to_string);
            assert_eq!(problem, None, "{}: kill {kill} of file {number}", killer.seed);
        }
        acknowledged += ledger.acknowledged;
    }
    let kills = FILES * KILLS_OF_EACH_FILE;
    assert!(in_the_midst > kills / 2, "{in_the_midst} of {kills} in the midst of writes");
    assert!(acknowledged > kills, "there was something to lose");
}

#[test]
fn without_the_log_the_same_checks_find_losses() {
    let mut killer = Killer::new();
    let disk = MountedDisk::new();
    let mut ledger = Ledger { now: START.as_millis(), ..Ledger::default() };
    killer.kill_after(80, disk.file(), Durability::Full, &mut ledger);
    fs::remove_file(disk.folder().join("sessions.db-wal")).unwrap();
    let problems = killer.check(&disk, &mut ledger);
    assert!(problems.iter().any(|problem| problem.kind == ProblemKind::Lost), "{}", killer.seed);
}

/// Starts processes and kills them.
struct Killer {
    runtime: Runtime,
    key: WrappingKey,
    rng: Rng,
    seed: String,
}

impl Killer {
    fn new() -> Self {
        let (rng, seed) = seeded();
        let key = WrappingKey::generate(&SystemRandom).unwrap();
        Self { runtime: Runtime::new().unwrap(), key, rng, seed }
    }

    /// Has another process use the file, kills it a moment after so many reports, and notes all
    /// that it has reported.
    fn kill_after(
        &mut self,
        lived: usize,
        file: PathBuf,
        durability: Durability,
        ledger: &mut Ledger,
    ) {
        let task = Task {
            file,
            is_normal: durability == Durability::Normal,
            wrapping_key: self.key.to_text().to_string(),
            ledger: ledger.clone(),
            seed: self.rng.u64(..),
        };
        let mut process = start();
        let mut reports = BufReader::new(process.stderr.take().unwrap());
        serde_json::to_writer(process.stdin.take().unwrap(), &task).unwrap();
        for _ in 0..lived {
            assert!(note_report(&mut reports, ledger), "the process ended by itself");
        }
        for _ in 0..self.rng.u32(..10_000) {
            thread::yield_now();
        }
        process.kill().unwrap();
        process.wait().unwrap();
        while note_report(&mut reports, ledger) {}
    }

    fn check(&self, disk: &MountedDisk, ledger: &mut Ledger) -> Vec<Problem> {
        self.runtime.block_on(check(&disk.file(), ledger, &self.key))
    }
}

fn start() -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "killing::works_until_it_is_killed", "--ignored", "--nocapture"])
        .env(VARIABLE, "")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Takes the next report; says whether there was one.
fn note_report(reports: &mut BufReader<ChildStderr>, ledger: &mut Ledger) -> bool {
    let mut line = Vec::new();
    reports.read_until(b'\n', &mut line).unwrap();
    // A report that is cut off was of an answer that nobody has seen.
    if line.pop() != Some(b'\n') {
        return false;
    }
    match serde_json::from_slice(&line) {
        Ok(event) => ledger.apply(&event),
        Err(_) => panic!("{}", String::from_utf8_lossy(&line)),
    }
    true
}

#[test]
#[ignore = "the tests above start it as a process of its own"]
fn works_until_it_is_killed() {
    if env::var_os(VARIABLE).is_none() {
        return;
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).unwrap();
    let task: Task = serde_json::from_str(&text).unwrap();
    let key = WrappingKey::from_text(&task.wrapping_key).unwrap();
    let durability = if task.is_normal { Durability::Normal } else { Durability::Full };
    let clock = Arc::new(ManualClock::at(task.ledger.now()));
    Runtime::new().unwrap().block_on(async {
        let store = SqliteStore::options().durability(durability).open(task.file).unwrap();
        let sessions = engine(store, &key, Arc::clone(&clock)).await.unwrap();
        let (report, goes_on) = (Arc::new(report), Arc::new(|| true));
        let load = Load { sessions, clock, report, goes_on };
        load.run(&task.ledger, &mut Rng::with_seed(task.seed)).await;
    });
}

/// One write for each: a pipe takes it wholly or not at all.
fn report(event: &Event) {
    let mut line = serde_json::to_vec(event).unwrap();
    line.push(b'\n');
    io::stderr().lock().write_all(&line).unwrap();
}
