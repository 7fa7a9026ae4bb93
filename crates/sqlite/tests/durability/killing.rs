//! `kill -9` in the midst of writes, 200 times.

use std::{
    env,
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
    checker::check,
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
    let (mut rng, seed) = seeded();
    let runtime = Runtime::new().unwrap();
    let key = WrappingKey::generate(&SystemRandom).unwrap();
    let (mut in_the_midst, mut acknowledged) = (0, 0);
    for number in 0..FILES {
        // The process that is killed has real files. Whoever checks them need not wait for the
        // disk.
        let disk = MountedDisk::new();
        let mut ledger = Ledger { now: START.as_millis(), ..Ledger::default() };
        for kill in 0..KILLS_OF_EACH_FILE {
            let task = Task {
                file: disk.file(),
                is_normal: number % 2 == 1,
                wrapping_key: key.to_text().to_string(),
                ledger: ledger.clone(),
                seed: rng.u64(..),
            };
            work_until_killed(&task, &mut ledger, &mut rng);
            in_the_midst += usize::from(ledger.waits_for_answers());
            let problems = runtime.block_on(check(&disk.file(), &mut ledger, &key));
            let problem = problems.first().map(ToString::to_string);
            assert_eq!(problem, None, "{seed}: kill {kill} of file {number}");
        }
        acknowledged += ledger.acknowledged;
    }
    let kills = FILES * KILLS_OF_EACH_FILE;
    assert!(in_the_midst > kills / 2, "{in_the_midst} of {kills} in the midst of writes");
    assert!(acknowledged > kills, "there was something to lose");
}

/// Has another process do the task, kills it at some moment, and notes what it has reported.
fn work_until_killed(task: &Task, ledger: &mut Ledger, rng: &mut Rng) {
    let mut process = start();
    let mut reports = BufReader::new(process.stderr.take().unwrap());
    serde_json::to_writer(process.stdin.take().unwrap(), task).unwrap();
    // Some are killed while they open the file.
    let lived = if rng.u8(..10) == 0 { 0 } else { rng.usize(1..80) };
    for _ in 0..lived {
        assert!(note_report(&mut reports, ledger), "the process ended by itself");
    }
    for _ in 0..rng.u32(..10_000) {
        thread::yield_now();
    }
    process.kill().unwrap();
    process.wait().unwrap();
    while note_report(&mut reports, ledger) {}
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
#[ignore = "the test above starts it as a process of its own"]
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
