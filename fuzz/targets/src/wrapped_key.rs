use std::sync::Arc;

use sessile_core::{
    Error, GeneralError, Sessions, WrappingKey,
    clock::ManualClock,
    memory::MemoryStore,
    policy::Policy,
    random::SystemRandom,
    store::{Store as _, StoredSigningKey},
};

use crate::{
    Target,
    fixture::{START, answer, app},
    plain_target,
};

/// Keys that are sealed in the store, and the text of the key that seals them. The first byte
/// says which of both comes.
pub struct WrappedKeys {
    wrapping_key: WrappingKey,
    sound: StoredSigningKey,
    samples: Vec<Vec<u8>>,
}

plain_target!(WrappedKeys);

impl WrappedKeys {
    /// A store whose keys are sealed.
    pub fn new() -> Self {
        let wrapping_key = WrappingKey::generate(&SystemRandom).unwrap();
        let store = MemoryStore::new();
        start(&store, wrapping_key.clone()).unwrap();
        let sound = answer(store.signing_keys(&app())).unwrap().remove(0);
        let samples = vec![
            [b"\x00", sound.material.as_bytes()].concat(),
            [b"\x01", wrapping_key.to_text().as_bytes()].concat(),
        ];
        Self { wrapping_key, sound, samples }
    }
}

fn start(store: &MemoryStore, wrapping_key: WrappingKey) -> Result<(), Error> {
    let policy = Policy { verified_token_memory: 0, ..Policy::default() };
    let builder = Sessions::builder(store.clone()).clock(Arc::new(ManualClock::at(START)));
    answer(builder.policy(policy).wrapping_key(wrapping_key).build()).map(drop)
}

impl Target for WrappedKeys {
    fn name(&self) -> &'static str {
        "wrapped_key"
    }

    fn samples(&self) -> &[Vec<u8>] {
        &self.samples
    }

    fn check(&self, input: &[u8]) {
        let Some((&first, rest)) = input.split_first() else { return };
        let text = String::from_utf8_lossy(rest);
        if first % 2 == 1 {
            if let Ok(key) = WrappingKey::from_text(&text) {
                assert_eq!(*key.to_text(), text.trim(), "one key is written in one way");
            }
            return;
        }
        let store = MemoryStore::new();
        let key = StoredSigningKey { material: text.clone().into_owned(), ..self.sound.clone() };
        answer(store.add_signing_key(&app(), key, None)).unwrap();
        match start(&store, self.wrapping_key.clone()) {
            Ok(()) => assert_eq!(text, self.sound.material),
            Err(Error::General(GeneralError::Cryptography(_) | GeneralError::WrappingKey(_))) => {
                assert_ne!(text, self.sound.material);
            }
            Err(other) => panic!("{other}"),
        }
    }
}
