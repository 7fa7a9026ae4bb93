#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sessile_fuzz_targets::{Identifiers, Target as _};

static TARGET: LazyLock<Identifiers> = LazyLock::new(Identifiers::new);

fuzz_target!(|script: &[u8]| TARGET.run(script));
