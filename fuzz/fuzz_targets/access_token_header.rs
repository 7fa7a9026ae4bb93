#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sessile_fuzz_targets::{AccessTokenHeaders, Target as _};

static TARGET: LazyLock<AccessTokenHeaders> = LazyLock::new(AccessTokenHeaders::new);

fuzz_target!(|script: &[u8]| TARGET.run(script));
