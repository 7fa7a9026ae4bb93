#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sessile_fuzz_targets::{Payloads, Target as _};

static TARGET: LazyLock<Payloads> = LazyLock::new(Payloads::new);

fuzz_target!(|script: &[u8]| TARGET.run(script));
