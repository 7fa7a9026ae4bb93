#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sessile_fuzz_targets::{AccessTokens, Target as _};

static TARGET: LazyLock<AccessTokens> = LazyLock::new(AccessTokens::new);

fuzz_target!(|script: &[u8]| TARGET.run(script));
