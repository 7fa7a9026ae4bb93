use sessile_core::{
    NewSession, RefreshRequest, SessionService as _,
    memory::MemoryStore,
    policy::Policy,
    store::{SessionRecord, Store as _},
};

use crate::{
    Target,
    fixture::{Engine, answer, app, engine, refresh_token},
    plain_target,
};

/// Sealed children in a row of the store: the previous token gets the very child back if its
/// sealing is untouched, and another one otherwise.
pub struct SealedChildren {
    engine: Engine,
    row: SessionRecord,
    parent: String,
    child: String,
    samples: Vec<Vec<u8>>,
}

plain_target!(SealedChildren);

impl SealedChildren {
    /// A session that was refreshed once.
    pub fn new() -> Self {
        let engine = engine(&MemoryStore::new(), Policy::default());
        let first = answer(engine.create_session(NewSession::new("alice"))).unwrap();
        let parent = refresh_token(&first).to_owned();
        let next = answer(engine.refresh(RefreshRequest::from(&*parent))).unwrap();
        let row = answer(engine.store().get_session(&app(), next.session.handle()));
        let row = row.unwrap().unwrap();
        let samples = vec![row.sealed_child.clone().unwrap(), vec![0; 32], vec![0; 48]];
        let child = refresh_token(&next).to_owned();
        Self { engine, row, parent, child, samples }
    }
}

impl Target for SealedChildren {
    fn name(&self) -> &'static str {
        "sealed_child"
    }

    fn samples(&self) -> &[Vec<u8>] {
        &self.samples
    }

    fn check(&self, input: &[u8]) {
        let store = self.engine.store();
        let handles = std::slice::from_ref(&self.row.handle);
        answer(store.remove_sessions(&app(), handles)).unwrap();
        let row = SessionRecord { sealed_child: Some(input.to_vec()), ..self.row.clone() };
        answer(store.insert_session(&app(), row)).unwrap();
        let given = answer(self.engine.refresh(RefreshRequest::from(&*self.parent))).unwrap();
        let is_same = refresh_token(&given) == self.child;
        assert_eq!(is_same, Some(input) == self.row.sealed_child.as_deref(), "{input:?}");
    }
}
