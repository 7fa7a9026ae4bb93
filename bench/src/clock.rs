//! The clocks of this process, and the processor that it runs on.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The processor time that this process has used, all threads and the kernel's work for them
/// included. Other processes that are busy at the same time distort it little.
pub fn cpu() -> Duration {
    read(ClockId::ProcessCPUTime)
}

/// The time that passes on the wall, from an arbitrary moment on.
pub fn wall() -> Duration {
    read(ClockId::Monotonic)
}

fn read(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).unwrap_or_default()
}

/// A place for a server, or for the client that loads it: apart from each other, so that neither
/// takes the other's processor.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// The first processor.
    Server,
    /// The second processor, if there is one.
    Client,
}

/// Keeps this thread, and the threads that it starts later, on one processor. Elsewhere than on
/// Linux it runs where the system puts it.
pub fn stay_at(place: Place) -> rustix::io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

        let allowed = sched_getaffinity(None)?;
        let mut processors = (0..CpuSet::MAX_CPU).filter(|index| allowed.is_set(*index));
        let (first, second) = (processors.next(), processors.next());
        let chosen = match place {
            Place::Server => first,
            Place::Client => second.or(first),
        };
        if let Some(index) = chosen {
            let mut only = CpuSet::new();
            only.set(index);
            sched_setaffinity(None, &only)?;
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = place;
    Ok(())
}
