#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sessile_fuzz_targets::{AccessTokenClaims, Target as _};

static TARGET: LazyLock<AccessTokenClaims> = LazyLock::new(AccessTokenClaims::new);

fuzz_target!(|script: &[u8]| TARGET.run(script));
