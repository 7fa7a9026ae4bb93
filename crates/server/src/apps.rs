//! Apps and their tenants: what each has of its own, and how they come and go.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

use sessile_core::{
    AppId, Error, SessionHandle, Sessions, SessionsBuilder, TenantId, clock::Timestamp,
    policy::SigningKeyKind, store::Store,
};

use crate::{
    answer::Failure,
    config::{AppConfig, ServerConfig},
    core_config::CoreConfig,
    path::{PUBLIC, TenantName},
};

/// What a tenant has of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TenantSettings {
    pub(crate) core_config: CoreConfig,
    pub(crate) first_factors: Option<Vec<String>>,
    pub(crate) required_secondary_factors: Option<Vec<String>>,
}

/// An app as it is at one time; never changed, only replaced.
#[derive(Debug)]
pub(crate) struct App<S> {
    pub(crate) sessions: Sessions<S>,
    pub(crate) config: AppConfig,
    /// By their ids, the public one among them.
    pub(crate) tenants: BTreeMap<String, TenantSettings>,
}

impl<S: Store> App<S> {
    /// The tenant that a path names.
    pub(crate) fn tenant(&self, name: &TenantName) -> Result<TenantId, Failure> {
        let id = self.tenants.contains_key(&name.tenant).then(|| name.tenant.parse().ok());
        id.flatten().ok_or_else(|| Failure::UnknownTenant(name.clone()))
    }

    /// Whether the tenant exists that a session belongs to.
    pub(crate) fn check_tenant(&self, tenant: &TenantId) -> Result<(), Failure> {
        let app = self.sessions.app().as_str().to_owned();
        self.tenant(&TenantName { app, tenant: tenant.as_str().to_owned() }).map(drop)
    }

    /// A session's name, whose tenant exists.
    pub(crate) fn handle(&self, text: &str) -> Result<SessionHandle, Failure> {
        let handle = SessionHandle::new(text);
        self.check_tenant(&handle.tenant())?;
        Ok(handle)
    }
}

/// All apps of a server.
#[derive(Debug)]
pub(crate) struct Apps<S> {
    base: AppConfig,
    test_mode: bool,
    by_id: RwLock<HashMap<String, Arc<App<S>>>>,
    /// Whoever changes apps holds it, so that no change is lost.
    change: async_lock::Mutex<()>,
}

impl<S: Store> Apps<S> {
    /// With the public app alone.
    pub(crate) async fn start(
        builder: SessionsBuilder<S>,
        config: &ServerConfig,
    ) -> Result<Self, Error> {
        let base = config.app.clone();
        let sessions = builder.policy(base.policy(config.test_mode)).build().await?;
        make_static_key(&sessions).await?;
        let tenants = BTreeMap::from([(PUBLIC.to_owned(), TenantSettings::default())]);
        let app = Arc::new(App { sessions, config: base.clone(), tenants });
        Ok(Self {
            base,
            test_mode: config.test_mode,
            by_id: RwLock::new(HashMap::from([(PUBLIC.to_owned(), app)])),
            change: async_lock::Mutex::new(()),
        })
    }

    /// The app that a path names.
    pub(crate) fn app(&self, name: &TenantName) -> Result<Arc<App<S>>, Failure> {
        self.find(&name.app).ok_or_else(|| Failure::UnknownTenant(name.clone()))
    }

    /// Every app.
    pub(crate) fn all(&self) -> Vec<Arc<App<S>>> {
        let by_id = self.by_id.read().unwrap_or_else(PoisonError::into_inner);
        by_id.values().map(Arc::clone).collect()
    }

    fn find(&self, id: &str) -> Option<Arc<App<S>>> {
        self.by_id.read().unwrap_or_else(PoisonError::into_inner).get(id).map(Arc::clone)
    }

    fn put(&self, id: &str, app: App<S>) {
        let mut by_id = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
        by_id.insert(id.to_owned(), Arc::new(app));
    }

    /// Creates an app, or changes its public tenant; says whether it is new. It serves requests
    /// once this has returned.
    pub(crate) async fn put_app(
        &self,
        id: &str,
        change: impl FnOnce(TenantSettings) -> TenantSettings + Send,
    ) -> Result<bool, Failure> {
        let _one_at_a_time = self.change.lock().await;
        let known = self.find(id);
        let mut tenants = known.as_ref().map(|app| app.tenants.clone()).unwrap_or_default();
        let settings = change(tenants.remove(PUBLIC).unwrap_or_default());
        let config = settings.core_config.over(&self.base, self.test_mode)?;
        let app_id: AppId = id.parse().map_err(|error| Failure::bad_input(format!("{error}")))?;
        let sessions = match &known {
            Some(app) if app.config == config => app.sessions.clone(),
            _ => {
                let public = self.app(&TenantName { app: PUBLIC.into(), tenant: PUBLIC.into() })?;
                let policy = config.policy(self.test_mode);
                let sessions = public.sessions.for_app(app_id, policy).await;
                let sessions = sessions.map_err(refuse_configuration)?;
                make_static_key(&sessions).await?;
                sessions
            }
        };
        tenants.insert(PUBLIC.to_owned(), settings);
        self.put(id, App { sessions, config, tenants });
        Ok(known.is_none())
    }

    /// Removes an app with all its sessions; says whether there was one.
    pub(crate) async fn remove_app(&self, id: &str) -> Result<bool, Failure> {
        let _one_at_a_time = self.change.lock().await;
        let Some(app) = self.find(id) else { return Ok(false) };
        if app.tenants.len() > 1 {
            return Err(Failure::Forbidden(
                "Please delete all tenants except the public tenant for this app before calling \
                 the delete API",
            ));
        }
        self.by_id.write().unwrap_or_else(PoisonError::into_inner).remove(id);
        app.sessions.revoke_sessions_created_before(Timestamp::MAX).await?;
        Ok(true)
    }

    /// Creates or changes a tenant other than the public one; says whether it is new.
    pub(crate) async fn put_tenant(
        &self,
        name: &TenantName,
        change: impl FnOnce(TenantSettings) -> TenantSettings + Send,
    ) -> Result<bool, Failure> {
        let _one_at_a_time = self.change.lock().await;
        let app = self.app(name)?;
        let mut tenants = app.tenants.clone();
        let known = tenants.get(&name.tenant).cloned();
        let is_new = known.is_none();
        let no_factors = TenantSettings { first_factors: Some(Vec::new()), ..Default::default() };
        let settings = change(known.unwrap_or(no_factors));
        check_same(&settings.core_config, &app.config, self.test_mode)?;
        let _: TenantId =
            name.tenant.parse().map_err(|error| Failure::bad_input(format!("{error}")))?;
        tenants.insert(name.tenant.clone(), settings);
        let (sessions, config) = (app.sessions.clone(), app.config.clone());
        self.put(&name.app, App { sessions, config, tenants });
        Ok(is_new)
    }

    /// Removes a tenant; says whether there was one.
    pub(crate) async fn remove_tenant(&self, name: &TenantName) -> Result<bool, Failure> {
        let _one_at_a_time = self.change.lock().await;
        let app = self.app(name)?;
        let mut tenants = app.tenants.clone();
        let existed = tenants.remove(&name.tenant).is_some();
        let (sessions, config) = (app.sessions.clone(), app.config.clone());
        self.put(&name.app, App { sessions, config, tenants });
        Ok(existed)
    }
}

/// SDKs expect a static key beside the first dynamic one from the start.
async fn make_static_key<S: Store>(sessions: &Sessions<S>) -> Result<(), Error> {
    sessions.public_signing_keys(SigningKeyKind::Static).await.map(drop)
}

fn refuse_configuration(error: Error) -> Failure {
    match error {
        Error::General(sessile_core::GeneralError::Configuration(problem)) => {
            Failure::BadInput(format!("Invalid core config: {problem}"))
        }
        error => error.into(),
    }
}

/// Every setting of sessions is the app's, so a tenant may repeat it and not change it.
fn check_same(settings: &CoreConfig, app: &AppConfig, test_mode: bool) -> Result<(), Failure> {
    for (name, value) in settings.as_object() {
        let alone = CoreConfig::default()
            .changed(&std::iter::once((name.clone(), value.clone())).collect());
        if alone.over(app, test_mode)? != *app {
            return Err(Failure::BadInput(format!(
                "Invalid core config: You cannot set different values for {name} for the same appId"
            )));
        }
    }
    Ok(())
}
