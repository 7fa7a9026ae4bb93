//! Which apps and tenants are known: as they were read from the store, those in use apart from
//! those that nobody has asked for yet.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use sessile_core::{clock::Timestamp, store::StoredTenant};

use crate::{
    apps::{App, TenantSettings},
    config::AppConfig,
    path::PUBLIC,
};

/// The tenants of an app, by their ids.
pub(crate) type Tenants = BTreeMap<String, TenantSettings>;

#[derive(Debug)]
pub(crate) struct Directory<S> {
    in_use: HashMap<String, Arc<App<S>>>,
    /// Their keys are read when somebody asks for them.
    waiting: HashMap<String, Tenants>,
    /// When all this was read.
    read_at: Timestamp,
}

impl<S> Directory<S> {
    pub(crate) fn new() -> Self {
        let read_at = Timestamp::from_millis(0);
        Self { in_use: HashMap::new(), waiting: HashMap::new(), read_at }
    }

    pub(crate) fn read_at(&self) -> Timestamp {
        self.read_at
    }

    pub(crate) fn in_use(&self) -> Vec<Arc<App<S>>> {
        self.in_use.values().map(Arc::clone).collect()
    }

    pub(crate) fn waiting(&self) -> Vec<String> {
        self.waiting.keys().cloned().collect()
    }

    pub(crate) fn app(&self, id: &str) -> Option<Arc<App<S>>> {
        self.in_use.get(id).map(Arc::clone)
    }

    /// The tenants of an app, in use or not.
    pub(crate) fn tenants(&self, id: &str) -> Option<Tenants> {
        let in_use = self.in_use.get(id).map(|app| &app.tenants);
        in_use.or_else(|| self.waiting.get(id)).cloned()
    }

    /// The same of an app that is not in use.
    pub(crate) fn tenants_of_waiting(&self, id: &str) -> Option<Tenants> {
        self.waiting.get(id).cloned()
    }

    pub(crate) fn put(&mut self, id: &str, app: App<S>) {
        self.waiting.remove(id);
        self.in_use.insert(id.to_owned(), Arc::new(app));
    }

    pub(crate) fn remove(&mut self, id: &str) {
        self.waiting.remove(id);
        self.in_use.remove(id);
    }

    /// Takes over what the store has now. An app whose configuration has changed waits to be taken
    /// into use anew.
    pub(crate) fn replace(
        &mut self,
        stored: Vec<StoredTenant>,
        read_at: Timestamp,
        configure: impl Fn(&Tenants) -> AppConfig,
    ) {
        self.waiting.clear();
        for tenant in stored {
            let tenants = self.waiting.entry(tenant.app.to_string()).or_default();
            tenants.insert(tenant.tenant.to_string(), TenantSettings::from_stored(tenant));
        }
        // It is there without a row.
        let public = self.waiting.entry(PUBLIC.to_owned()).or_default();
        public.entry(PUBLIC.to_owned()).or_default();
        let (waiting, in_use) = (&mut self.waiting, &mut self.in_use);
        in_use.retain(|id, app| {
            let Some(tenants) = waiting.get(id) else { return false };
            if *tenants == app.tenants {
                waiting.remove(id);
                return true;
            }
            if configure(tenants) != app.config {
                return false;
            }
            let (sessions, config) = (app.sessions.clone(), app.config.clone());
            *app = Arc::new(App::new(sessions, config, tenants.clone()));
            waiting.remove(id);
            true
        });
        self.read_at = read_at;
    }
}
