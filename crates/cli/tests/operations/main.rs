//! `sessile serve` as its operators see it: its log, its metrics, its memory, and what is behind it.

#![expect(clippy::unwrap_used, reason = "in a test, what must not fail may panic")]

mod forwarding;
mod logs;
#[cfg(target_os = "linux")]
mod memory;
mod metrics;
mod support;
