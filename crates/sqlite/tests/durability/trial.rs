//! Cuts the power of a disk while clients use a store on it, and checks what is left.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use fastrand::Rng;
use sessile_core::{
    WrappingKey,
    clock::{Clock, ManualClock},
    random::SystemRandom,
};
use sessile_sqlite::{Durability, SqliteStore};
use tokio::runtime::Runtime;

use crate::{
    checker::{Problem, ProblemKind, check},
    disk::{Disk, Image, MountedDisk},
    ledger::{Event, Ledger},
    load::{Load, START, engine},
};

/// The most operations of the disk between one cut and the next.
const WIDEST_GAP: u64 = 250;

/// The most requests between opening a store and closing it.
const LONGEST_PHASE: usize = 1_500;

/// What was on the disk when the power was cut, and what had been acknowledged.
struct Cut {
    image: Image,
    ledger: Ledger,
}

/// What many cuts have shown.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) cuts: usize,
    /// How many changes had been acknowledged before the cuts, all together.
    pub(crate) acknowledged: usize,
    /// How many had been refused.
    pub(crate) refused: usize,
    /// Of each cut that had any.
    pub(crate) problems: Vec<Vec<Problem>>,
    /// What the first of these left.
    image: Option<Image>,
}

impl Findings {
    /// The first problems of some cuts, and how many cuts had any.
    pub(crate) fn summary(&self) -> String {
        let mut summary = format!("{} of {} cuts did harm", self.problems.len(), self.cuts);
        for problem in self.problems.iter().filter_map(|problems| problems.first()).take(5) {
            summary.push_str(&format!("\n{problem}"));
        }
        summary
    }

    /// Keeps what the first cut that did harm left, for whoever looks into it.
    pub(crate) fn kept_image(&self) -> PathBuf {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("harmful-cut");
        // One from an earlier run may be there.
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).unwrap();
        self.image.iter().for_each(|image| image.write_to(&folder));
        folder
    }

    pub(crate) fn cuts_with(&self, kind: ProblemKind) -> usize {
        let has = |problems: &&Vec<Problem>| problems.iter().any(|problem| problem.kind == kind);
        self.problems.iter().filter(has).count()
    }
}

pub(crate) struct Trial {
    runtime: Runtime,
    key: WrappingKey,
    durability: Durability,
    fills_disks: bool,
}

impl Trial {
    pub(crate) fn new(durability: Durability) -> Self {
        Self {
            runtime: Runtime::new().unwrap(),
            key: WrappingKey::generate(&SystemRandom).unwrap(),
            durability,
            fills_disks: false,
        }
    }

    /// With disks that run full, and have room again, all the time.
    pub(crate) fn with_full_disks(self) -> Self {
        Self { fills_disks: true, ..self }
    }

    /// Runs clients on the disk until the power was cut so many times, and checks what was left.
    pub(crate) fn run(
        &self,
        disk: &MountedDisk,
        cuts: usize,
        rng: &mut Rng,
        findings: &mut Findings,
    ) {
        for cut in self.cut_power(disk, cuts, rng) {
            let problems = self.check(&cut);
            findings.cuts += 1;
            findings.acknowledged += cut.ledger.acknowledged;
            findings.refused += cut.ledger.refused;
            if !problems.is_empty() {
                findings.problems.push(problems);
                findings.image.get_or_insert(cut.image);
            }
        }
    }

    fn check(&self, cut: &Cut) -> Vec<Problem> {
        // Another of these disks, because nobody waits for one.
        let disk = MountedDisk::new();
        cut.image.write_to(disk.folder());
        self.runtime.block_on(check(&disk.file(), &mut cut.ledger.clone(), &self.key))
    }

    fn cut_power(&self, disk: &MountedDisk, number: usize, rng: &mut Rng) -> Vec<Cut> {
        let clock = Arc::new(ManualClock::at(START));
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let cuts = Arc::new(Mutex::new(Vec::new()));
        let witness = {
            let (clock, ledger, cuts) =
                (Arc::clone(&clock), Arc::clone(&ledger), Arc::clone(&cuts));
            move |image| {
                // No answer is noted while the files are looked at, and the store can give none
                // for what it has not done.
                let mut ledger = ledger.lock().unwrap().clone();
                ledger.now = clock.now().as_millis();
                cuts.lock().unwrap().push(Cut { image, ledger });
            }
        };
        disk.cut_power(number, WIDEST_GAP, rng.fork(), witness);
        while disk.has_cuts_left() {
            self.run_phase(disk, &clock, &ledger, rng);
            // Both: to the end of a close, and into it with the next opening.
            if rng.bool() {
                disk.wait_until_closed();
            }
        }
        std::mem::take(&mut *cuts.lock().unwrap())
    }

    /// Opens the store, has the clients use it, and drops it.
    fn run_phase(
        &self,
        disk: &MountedDisk,
        clock: &Arc<ManualClock>,
        ledger: &Arc<Mutex<Ledger>>,
        rng: &mut Rng,
    ) {
        disk.set_room(None);
        self.runtime.block_on(async {
            let options = SqliteStore::options().readers(2).durability(self.durability);
            let store = options.open(disk.file()).unwrap();
            let known = Arc::clone(ledger);
            let load = Load {
                sessions: engine(store, &self.key, Arc::clone(clock)).await.unwrap(),
                clock: Arc::clone(clock),
                report: Arc::new(move |event: &Event| known.lock().unwrap().apply(event)),
                goes_on: self.phase(disk.disk(), rng),
            };
            let known = ledger.lock().unwrap().clone();
            load.run(&known, rng).await;
        });
    }

    /// Ends after some requests, or with the last cut; and fills the disk meanwhile, or makes room.
    fn phase(&self, disk: Arc<Disk>, rng: &mut Rng) -> Arc<dyn Fn() -> bool + Send + Sync> {
        let requests = AtomicUsize::new(rng.usize(..LONGEST_PHASE));
        let (fills_disks, rng) = (self.fills_disks, Mutex::new(rng.fork()));
        Arc::new(move || {
            if fills_disks {
                let mut rng = rng.lock().unwrap();
                if rng.u8(..40) == 0 {
                    let room = rng.bool().then(|| rng.u64(..50_000));
                    disk.set_room(room);
                }
            }
            let one_less = |left: usize| left.checked_sub(1);
            let order = Ordering::Relaxed;
            disk.has_cuts_left() && requests.fetch_update(order, order, one_less).is_ok()
        })
    }
}
