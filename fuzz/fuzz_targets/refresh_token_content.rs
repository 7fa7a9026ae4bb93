#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sessile_fuzz_targets::{RefreshTokenContents, Target as _};

static TARGET: LazyLock<RefreshTokenContents> = LazyLock::new(RefreshTokenContents::new);

fuzz_target!(|script: &[u8]| TARGET.run(script));
