//! Fuzzes every parser on any stable toolchain, by small changes to sound inputs. The time for
//! all of them is `SESSILE_FUZZ_SECONDS` (2 unless given), the seed `SESSILE_FUZZ_SEED`; of the
//! same seed the same inputs come. A name among the arguments runs that target alone.

use std::time::{Duration, Instant};

use sessile_fuzz_targets::{Target, all};
use sessile_mutation::Dice;

fn seconds() -> f64 {
    let given = std::env::var("SESSILE_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    given.unwrap_or(2.0)
}

#[expect(clippy::disallowed_methods, reason = "how long to go on is no rule of Sessile's")]
fn now() -> Instant {
    Instant::now()
}

/// Runs the samples, then changes of them until the time is over; gives the number of runs.
fn fuzz(target: &dyn Target, mut dice: Dice, time: Duration) -> u64 {
    let samples = target.samples();
    let mut runs = 0;
    for sample in samples {
        target.check(sample);
        runs += 1;
    }
    let end = now() + time;
    while now() < end {
        for _ in 0..16 {
            let sample = dice.pick(samples);
            let other = dice.pick(samples);
            let mutated = dice.mutate(sample, other);
            target.check(&mutated);
            runs += 1;
        }
    }
    runs
}

fn main() {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    let targets: Vec<_> = all()
        .into_iter()
        .filter(|target| wanted.is_empty() || wanted.iter().any(|name| name == target.name()))
        .collect();
    let each = Duration::from_secs_f64(seconds() / targets.len().max(1) as f64);
    let dice = Dice::seeded();
    for target in &targets {
        let runs = fuzz(&**target, dice.clone(), each);
        println!("{:24} {runs:>9} runs", target.name());
    }
}
