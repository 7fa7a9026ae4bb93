#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sessile_fuzz_targets::{SealedChildren, Target as _};

static TARGET: LazyLock<SealedChildren> = LazyLock::new(SealedChildren::new);

fuzz_target!(|script: &[u8]| TARGET.run(script));
