//! What becomes of acknowledged writes when the power fails, the process is killed, the disk is
//! full or cannot be written.

#![cfg(unix)]
#![deny(unsafe_code)]
#![expect(clippy::panic, clippy::unwrap_used, reason = "in a test, what must not fail may panic")]

mod checker;
mod disk;
mod folder;
mod full_disk;
mod killing;
mod ledger;
mod load;
mod power_loss;
mod seed;
mod served;
mod trial;
mod unwritable;
