use serde_json::{Value, json};
use sessile_core::{
    Error, GeneralError, NewSession, SessionService as _,
    memory::MemoryStore,
    policy::Policy,
    store::{SessionRecord, Store as _},
};

use crate::{
    Target,
    fixture::{Engine, answer, app, engine},
    plain_target,
};

/// Payload and data in a row of the store: read where they are a JSON object, and a corrupt row
/// otherwise.
pub struct StoredObjects {
    engine: Engine,
    row: SessionRecord,
    samples: Vec<Vec<u8>>,
}

plain_target!(StoredObjects);

impl StoredObjects {
    /// A session.
    pub fn new() -> Self {
        let engine = engine(&MemoryStore::new(), Policy::default());
        let issued = answer(engine.create_session(NewSession::new("alice"))).unwrap();
        let row = answer(engine.store().get_session(&app(), issued.session.handle()));
        let nested = format!("{}{}", "{\"a\":".repeat(127), "1").into_bytes();
        let samples = vec![
            json!({ "n": null, "i": [u64::MAX, i64::MIN, 1.5], "t": "\u{1f980}\0", "o": {} })
                .to_string()
                .into_bytes(),
            b"{\"a\":1,\"a\":2, \"1e400\": 1e308}".to_vec(),
            [nested, b"}".repeat(127)].concat(),
            b"null".to_vec(),
        ];
        Self { engine, row: row.unwrap().unwrap(), samples }
    }
}

impl Target for StoredObjects {
    fn name(&self) -> &'static str {
        "stored_object"
    }

    fn samples(&self) -> &[Vec<u8>] {
        &self.samples
    }

    fn check(&self, input: &[u8]) {
        let text = String::from_utf8_lossy(input);
        let store = self.engine.store();
        let handle = &self.row.handle;
        answer(store.remove_sessions(&app(), std::slice::from_ref(handle))).unwrap();
        let row = SessionRecord {
            session_data: text.clone().into_owned(),
            jwt_payload: text.clone().into_owned(),
            ..self.row.clone()
        };
        answer(store.insert_session(&app(), row)).unwrap();
        let expected = match serde_json::from_str(&text) {
            Ok(Value::Object(object)) => Some(object),
            _ => None,
        };
        let data = answer(self.engine.get_session_data(handle));
        let payload = answer(self.engine.get_jwt_payload(handle));
        for read in [data, payload] {
            match read {
                Ok(object) => assert_eq!(Some(object), expected),
                Err(Error::General(GeneralError::CorruptRow { .. })) => {
                    assert!(expected.is_none(), "{text}");
                }
                Err(other) => panic!("{other}: {text}"),
            }
        }
    }
}
