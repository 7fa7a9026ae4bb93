use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sessile_core::{
    Algorithm, Error, GeneralError, NewSession, SessionService as _, Sessions, VerifyRequest,
    clock::ManualClock,
    memory::MemoryStore,
    policy::Policy,
    store::{Store as _, StoredSigningKey},
};

use crate::{
    Target,
    fixture::{START, access_token, answer, app, engine},
    plain_target,
};

const ALGORITHMS: [Algorithm; 3] = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256];

/// Behind this bit of the first byte comes a private key as it is, and not the text of a row.
const AS_DER: u8 = 0x80;

/// Signing keys as stores keep them: an engine that starts with one works with it, and one that
/// does not says that the key is at fault. The first byte says the algorithm, and whether the
/// rest is the row's text or the key within.
pub struct StoredSigningKeys {
    key: StoredSigningKey,
    samples: Vec<Vec<u8>>,
}

plain_target!(StoredSigningKeys);

impl StoredSigningKeys {
    /// A sound key of each algorithm.
    pub fn new() -> Self {
        let mut samples = Vec::new();
        let mut key = None;
        for (index, algorithm) in ALGORITHMS.into_iter().enumerate() {
            let store = MemoryStore::new();
            drop(engine(&store, Policy { algorithm, ..Policy::default() }));
            let sound = answer(store.signing_keys(&app())).unwrap().remove(0);
            let (_, private) = sound.material.split_once('|').unwrap();
            let private = STANDARD.decode(private).unwrap();
            samples.push([&[index as u8], sound.material.as_bytes()].concat());
            samples.push([&[index as u8 | AS_DER], private.as_slice()].concat());
            key = Some(sound);
        }
        Self { key: key.unwrap(), samples }
    }
}

impl Target for StoredSigningKeys {
    fn name(&self) -> &'static str {
        "stored_signing_key"
    }

    fn samples(&self) -> &[Vec<u8>] {
        &self.samples
    }

    fn check(&self, input: &[u8]) {
        let Some((&first, rest)) = input.split_first() else { return };
        let algorithm = ALGORITHMS[usize::from(first & !AS_DER) % ALGORITHMS.len()];
        let material = if first & AS_DER == 0 {
            String::from_utf8_lossy(rest).into_owned()
        } else {
            format!(";{}", STANDARD.encode(rest))
        };
        let store = MemoryStore::new();
        let key = StoredSigningKey {
            algorithm: algorithm.name().to_owned(),
            material,
            ..self.key.clone()
        };
        answer(store.add_signing_key(&app(), key, None)).unwrap();
        let policy = Policy { algorithm, verified_token_memory: 0, ..Policy::default() };
        let clock = Arc::new(ManualClock::at(START));
        match answer(Sessions::builder(store).clock(clock).policy(policy).build()) {
            // Signing with RSA takes as long as a thousand other runs.
            Ok(_) if algorithm == Algorithm::Rs256 => {}
            Ok(engine) => {
                let issued = answer(engine.create_session(NewSession::new("alice"))).unwrap();
                let request = VerifyRequest::new(access_token(&issued));
                assert_eq!(answer(engine.verify(request)).unwrap().user_id(), "alice");
            }
            Err(Error::General(GeneralError::Cryptography(_) | GeneralError::WrappingKey(_))) => {}
            Err(other) => panic!("{other}"),
        }
    }
}
