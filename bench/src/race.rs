//! Measures things side by side, in rounds, so that what disturbs one disturbs the other.

use std::{iter, ops::AddAssign, time::Duration};

use clap::Args;

use crate::clock;

/// How long to measure.
#[derive(Args, Clone, Copy, Debug)]
pub struct Effort {
    /// Rounds, of which medians are taken
    #[arg(long, global = true, default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// How long each thing is measured in each round, in milliseconds
    #[arg(long, global = true, value_name = "MILLISECONDS", default_value_t = 200)]
    round_time: u64,
}

impl Effort {
    /// The number of rounds.
    pub fn rounds(self) -> usize {
        usize::from(self.rounds)
    }

    /// How long each thing is measured in each round.
    pub fn round_time(self) -> Duration {
        Duration::from_millis(self.round_time)
    }

    /// The same number of rounds, each longer: where each operation waits for a disk or a network.
    #[must_use]
    pub fn longer(self, factor: u64) -> Self {
        Self { round_time: self.round_time * factor, ..self }
    }
}

/// Whether a round counts. The first one only warms up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Measured {
    /// It counts.
    Yes,
    /// It does not.
    No,
}

/// All rounds: one that warms up, and then those that count.
pub fn rounds(effort: Effort) -> impl Iterator<Item = Measured> {
    iter::once(Measured::No).chain(iter::repeat_n(Measured::Yes, effort.rounds()))
}

/// One round of one thing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Round {
    /// How often it was done.
    pub operations: u64,
    /// The processor time that it took.
    pub cpu: Duration,
    /// The time that passed.
    pub wall: Duration,
}

impl AddAssign for Round {
    fn add_assign(&mut self, more: Self) {
        self.operations += more.operations;
        self.cpu += more.cpu;
        self.wall += more.wall;
    }
}

/// All rounds of one thing.
#[derive(Clone, Debug, Default)]
pub struct Figure {
    rounds: Vec<Round>,
}

impl Figure {
    /// The figure of a thing that was not measured yet.
    pub const fn new() -> Self {
        Self { rounds: Vec::new() }
    }

    /// Adds a round.
    pub fn push(&mut self, round: Round) {
        self.rounds.push(round);
    }

    fn values(&self, value: impl Fn(&Round) -> f64) -> Vec<f64> {
        self.rounds.iter().map(value).collect()
    }

    /// Nanoseconds of processor time for each operation, round by round.
    fn cpu_values(&self) -> Vec<f64> {
        self.values(|round| nanoseconds(round.cpu) / round.operations as f64)
    }

    /// Nanoseconds of processor time for one operation.
    pub fn cpu(&self) -> f64 {
        median(self.cpu_values())
    }

    /// The least and the most of any round, in nanoseconds of processor time.
    pub fn cpu_range(&self) -> (f64, f64) {
        range(&self.cpu_values())
    }

    /// Operations in a second of processor time.
    pub fn per_cpu_second(&self) -> f64 {
        1e9 / self.cpu()
    }

    /// Operations in a second that passed.
    pub fn per_second(&self) -> f64 {
        median(self.values(|round| round.operations as f64 / round.wall.as_secs_f64()))
    }

    /// How many times the processor time of `other` this takes. Each round is compared with the
    /// same round of the other, because slow times of the machine hit both.
    pub fn ratio(&self, other: &Self) -> f64 {
        self.ratio_to_sum(&[other])
    }

    /// The least and the most of [`ratio`](Self::ratio) in any round.
    pub fn ratio_range(&self, other: &Self) -> (f64, f64) {
        range(&self.ratios_to_sum(&[other]))
    }

    /// How many times the processor time of all `others` together this takes.
    pub fn ratio_to_sum(&self, others: &[&Self]) -> f64 {
        median(self.ratios_to_sum(others))
    }

    fn ratios_to_sum(&self, others: &[&Self]) -> Vec<f64> {
        let own = self.cpu_values().into_iter().enumerate();
        let others: Vec<Vec<f64>> = others.iter().map(|other| other.cpu_values()).collect();
        own.map(|(i, own)| own / others.iter().map(|other| other[i]).sum::<f64>()).collect()
    }

    /// How many times the rate of `other` this has, in time that passed.
    pub fn rate_ratio(&self, other: &Self) -> f64 {
        median(self.rate_ratios(other))
    }

    /// The least and the most of [`rate_ratio`](Self::rate_ratio) in any round.
    pub fn rate_ratio_range(&self, other: &Self) -> (f64, f64) {
        range(&self.rate_ratios(other))
    }

    fn rate_ratios(&self, other: &Self) -> Vec<f64> {
        let rate = |round: &Round| round.operations as f64 / round.wall.as_secs_f64();
        let pairs = self.rounds.iter().zip(&other.rounds);
        pairs.map(|(own, other)| rate(own) / rate(other)).collect()
    }
}

fn nanoseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}

fn range(values: &[f64]) -> (f64, f64) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    (least, values.iter().copied().fold(0.0, f64::max))
}

/// The median; of an even number of values, the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// Something to be measured: does its work that many times.
pub type Contestant<'a> = Box<dyn FnMut(u64) -> anyhow::Result<()> + 'a>;

/// Does the work once more and measures it.
pub fn round(operations: u64, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Round> {
    let (cpu, wall) = (clock::cpu(), clock::wall());
    work()?;
    Ok(Round { operations, cpu: clock::cpu() - cpu, wall: clock::wall() - wall })
}

/// Measures the contestants in turns, and gives the figure of each.
///
/// # Errors
/// The first of a contestant's.
pub fn race(effort: Effort, mut contestants: Vec<Contestant<'_>>) -> anyhow::Result<Vec<Figure>> {
    let counts = contestants
        .iter_mut()
        .map(|contestant| operations_in(effort.round_time(), contestant))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut figures = vec![Figure::default(); contestants.len()];
    for _ in 0..effort.rounds() {
        for ((contestant, count), figure) in contestants.iter_mut().zip(&counts).zip(&mut figures) {
            figure.push(round(*count, || contestant(*count))?);
        }
    }
    Ok(figures)
}

/// How many operations take that long. Trying it out warms everything up as well.
fn operations_in(time: Duration, contestant: &mut Contestant<'_>) -> anyhow::Result<u64> {
    let mut count = 1;
    loop {
        // What was slow the first time may be quick from then on: the second time counts.
        contestant(count)?;
        let tried = round(count, || contestant(count))?;
        if tried.wall >= time / 10 {
            let wanted = time.as_secs_f64() / tried.wall.as_secs_f64() * count as f64;
            return Ok((wanted as u64).max(1));
        }
        count *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn ratios_compare_round_with_round() {
        let figure = |cpu: [u64; 3]| Figure {
            rounds: cpu
                .map(|cpu| Round {
                    operations: 10,
                    cpu: Duration::from_micros(cpu),
                    wall: Duration::from_millis(1),
                })
                .to_vec(),
        };
        let (a, b) = (figure([20, 80, 20]), figure([10, 40, 10]));
        assert!((a.ratio(&b) - 2.0).abs() < 1e-9);
        assert!((a.ratio_to_sum(&[&b, &b]) - 1.0).abs() < 1e-9);
        assert!((a.cpu() - 2000.0).abs() < 1e-9);
        assert!((a.per_cpu_second() - 500_000.0).abs() < 1e-6);
        assert!((a.rate_ratio(&b) - 1.0).abs() < 1e-9);
        assert_eq!(a.ratio_range(&figure([10, 40, 20])), (1.0, 2.0));
        assert_eq!(a.rate_ratio_range(&b), (1.0, 1.0));
    }
}
