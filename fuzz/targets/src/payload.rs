use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};
use sessile_core::{
    Error, GeneralError, JsonObject, NewSession, SessionHandle, SessionService as _,
    memory::MemoryStore, policy::Policy, store::Store as _,
};
use sessile_web::{RequestHead, ResponseChanges, WebConfig, WebError, WebSessions};

use crate::{
    Target,
    fixture::{Engine, answer, app, engine},
    plain_target,
};

/// Payloads and data of any shape and depth: what is kept is given back as it was, in the store,
/// in the access token and in the front token. The first byte, from 128 on, says in how many objects
/// more the rest is put: deep ones are slow, and most of what is interesting is shallow.
pub struct Payloads {
    engine: Engine,
    web: WebSessions,
    handle: SessionHandle,
    samples: Vec<Vec<u8>>,
}

plain_target!(Payloads);

impl Payloads {
    /// A session whose data is replaced, and a door for new ones.
    pub fn new() -> Self {
        let engine = engine(&MemoryStore::new(), Policy::default());
        let issued = answer(engine.create_session(NewSession::new("bob"))).unwrap();
        let web = WebSessions::new(engine.clone(), WebConfig::default()).unwrap();
        let object = json!({ "n": null, "i": [u64::MAX, i64::MIN, 1.5e-7], "t": "\u{1f980}\0" });
        let samples = vec![
            [b"\x00", object.to_string().as_bytes()].concat(),
            [b"\xfd", object.to_string().as_bytes()].concat(),
            b"\xfe{}".to_vec(),
            b"\xff[]".to_vec(),
            b"\x00{\"sub\":\"bob\",\"iss\":\"me\"}".to_vec(),
        ];
        Self { engine, web, handle: issued.session.handle().clone(), samples }
    }

    fn check_data(&self, value: &Value) {
        let Value::Object(object) = value else { return };
        match answer(self.engine.update_session_data(&self.handle, object.clone())) {
            Ok(()) => {
                let read = answer(self.engine.get_session_data(&self.handle)).unwrap();
                assert_eq!(read, *object);
            }
            Err(Error::General(GeneralError::Serialise(_))) => {}
            Err(other) => panic!("{other}"),
        }
    }

    fn check_payload(&self, value: &Value) {
        let (method, uri, headers) = (Method::POST, Uri::from_static("/login"), HeaderMap::new());
        let head = RequestHead { method: &method, uri: &uri, headers: &headers };
        let changes = ResponseChanges::new(self.web.config(), &head);
        let new = NewSession::new("alice").jwt_payload(value);
        let session = match answer(self.web.create_new_session(&head, new, &changes)) {
            Ok(session) => session,
            Err(WebError::Session(Error::General(
                GeneralError::NotAnObject { .. }
                | GeneralError::PayloadTooLarge { .. }
                | GeneralError::ProtectedClaim { .. }
                | GeneralError::Serialise(_),
            ))) => return,
            Err(other) => panic!("{other}"),
        };
        let mut answer_headers = HeaderMap::new();
        changes.write_to(&mut answer_headers);
        let front = STANDARD.decode(&answer_headers["front-token"]).unwrap();
        let front: Value = serde_json::from_slice(&front).unwrap();
        assert_eq!((&front["uid"], &front["up"]["sub"]), (&json!("alice"), &json!("alice")));
        let claims = session.get_access_token().expose().split('.').nth(1).unwrap();
        let claims = URL_SAFE_NO_PAD.decode(claims).unwrap();
        let claims: JsonObject = serde_json::from_slice(&claims).unwrap();
        assert_eq!(front["up"], Value::Object(claims.clone()));
        for (name, value) in value.as_object().unwrap() {
            assert_eq!(claims.get(name), Some(value));
        }
        let handles = [session.get_handle().clone()];
        answer(self.engine.store().remove_sessions(&app(), &handles)).unwrap();
    }
}

impl Target for Payloads {
    fn name(&self) -> &'static str {
        "payload"
    }

    fn samples(&self) -> &[Vec<u8>] {
        &self.samples
    }

    fn check(&self, input: &[u8]) {
        let Some((&depth, text)) = input.split_first() else { return };
        let Ok(mut value) = serde_json::from_slice::<Value>(text) else { return };
        for _ in 0..depth.saturating_sub(128) {
            value = json!({ "a": value });
        }
        self.check_data(&value);
        self.check_payload(&value);
    }
}
