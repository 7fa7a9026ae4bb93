#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sessile_fuzz_targets::{Origins, Target as _};

static TARGET: LazyLock<Origins> = LazyLock::new(Origins::new);

fuzz_target!(|script: &[u8]| TARGET.run(script));
