#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sessile_fuzz_targets::{StoredSigningKeys, Target as _};

static TARGET: LazyLock<StoredSigningKeys> = LazyLock::new(StoredSigningKeys::new);

fuzz_target!(|script: &[u8]| TARGET.run(script));
