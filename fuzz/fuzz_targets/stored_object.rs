#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sessile_fuzz_targets::{StoredObjects, Target as _};

static TARGET: LazyLock<StoredObjects> = LazyLock::new(StoredObjects::new);

fuzz_target!(|script: &[u8]| TARGET.run(script));
