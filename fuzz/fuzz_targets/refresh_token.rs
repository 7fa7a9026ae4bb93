#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sessile_fuzz_targets::{RefreshTokens, Target as _};

static TARGET: LazyLock<RefreshTokens> = LazyLock::new(RefreshTokens::new);

fuzz_target!(|script: &[u8]| TARGET.run(script));
