#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sessile_fuzz_targets::{Target as _, WrappedKeys};

static TARGET: LazyLock<WrappedKeys> = LazyLock::new(WrappedKeys::new);

fuzz_target!(|script: &[u8]| TARGET.run(script));
