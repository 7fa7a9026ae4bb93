use rustix::time::{ClockId, clock_gettime};
use sessile_core::clock::{Clock, Timestamp};

/// Nanoseconds on the clock that all processes of a machine share, and that nobody can set. A
/// recorder is an observer, so it may time what it sees.
pub(crate) fn nanoseconds() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or_default();
    seconds * 1_000_000_000 + nanoseconds
}

/// The engine's clock on the same time as the records, so that a check can tell what may have been
/// over.
#[derive(Clone, Copy, Debug, Default)]
pub struct MonotonicClock;

impl Clock for MonotonicClock {
    fn now(&self) -> Timestamp {
        timestamp(nanoseconds())
    }
}

/// What the engine's clock shows at that moment of the records.
pub(crate) fn timestamp(nanoseconds: u64) -> Timestamp {
    // The moment at which the machine started is of no matter; this only looks like a date.
    const START: i64 = 1_700_000_000_000;
    let milliseconds = i64::try_from(nanoseconds / 1_000_000).unwrap_or(i64::MAX - START);
    Timestamp::from_millis(START + milliseconds)
}
