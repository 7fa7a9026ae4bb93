#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sessile_fuzz_targets::{Requests, Target as _};

static TARGET: LazyLock<Requests> = LazyLock::new(Requests::new);

fuzz_target!(|script: &[u8]| TARGET.run(script));
