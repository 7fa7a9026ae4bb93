//! Apps and their tenants: what each has of its own, and how they come and go.

use std::{
    collections::{BTreeMap, HashSet},
    str::FromStr,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use sessile_core::{
    AppId, Error, InvalidIdentifier, SessionHandle, Sessions, SessionsBuilder, TenantId,
    clock::Timestamp,
    policy::SigningKeyKind,
    store::{Store, StoredTenant, TenantStore},
};

use crate::{
    addresses::AddressFilter,
    answer::Failure,
    config::{AppConfig, ServerConfig},
    core_config::{CoreConfig, NotFollowed, invalid},
    directory::{Directory, Tenants},
    path::{PUBLIC, TenantName},
};

/// What a tenant has of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TenantSettings {
    pub(crate) core_config: CoreConfig,
    pub(crate) first_factors: Option<Vec<String>>,
    pub(crate) required_secondary_factors: Option<Vec<String>>,
}

impl TenantSettings {
    pub(crate) fn from_stored(tenant: StoredTenant) -> Self {
        let core_config = CoreConfig::from_stored(&tenant.core_config);
        Self {
            core_config: core_config.unwrap_or_else(|| {
                let (app, tenant) = (&tenant.app, &tenant.tenant);
                tracing::warn!(%app, %tenant, "its stored settings are no JSON object; left out");
                CoreConfig::default()
            }),
            first_factors: tenant.first_factors,
            required_secondary_factors: tenant.required_secondary_factors,
        }
    }

    fn to_stored(&self, app: AppId, tenant: TenantId, created_at: Timestamp) -> StoredTenant {
        StoredTenant {
            app,
            tenant,
            core_config: self.core_config.to_string(),
            first_factors: self.first_factors.clone(),
            required_secondary_factors: self.required_secondary_factors.clone(),
            created_at,
        }
    }
}

/// An app as it is at one time; never changed, only replaced.
#[derive(Debug)]
pub(crate) struct App<S> {
    pub(crate) sessions: Sessions<S>,
    pub(crate) config: AppConfig,
    /// By their ids, the public one among them.
    pub(crate) tenants: Tenants,
    /// Of tenants that have one of their own, by their ids.
    addresses: BTreeMap<String, AddressFilter>,
}

impl<S> App<S> {
    pub(crate) fn new(sessions: Sessions<S>, config: AppConfig, tenants: Tenants) -> Self {
        let own = |(id, tenant): (&String, &TenantSettings)| {
            let (addresses, left_out) = tenant.core_config.addresses_over(&config.addresses)?;
            for NotFollowed { problem, .. } in left_out {
                tracing::warn!(tenant = id, problem, "a setting of a tenant cannot be followed");
            }
            Some((id.clone(), addresses))
        };
        let addresses = tenants.iter().filter(|(id, _)| *id != PUBLIC).filter_map(own).collect();
        Self { sessions, config, tenants, addresses }
    }

    /// From where requests to a tenant may come.
    pub(crate) fn addresses(&self, tenant: &str) -> &AddressFilter {
        self.addresses.get(tenant).unwrap_or(&self.config.addresses)
    }
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
    public: Sessions<S>,
    directory: RwLock<Directory<S>>,
    /// Whoever changes the directory holds it, so that no change is lost.
    change: async_lock::Mutex<()>,
    /// The apps for which a key that was due could not be made.
    pub(crate) without_due_keys: Mutex<HashSet<String>>,
}

impl<S: TenantStore> Apps<S> {
    /// With those that are in the store, and the public one in use.
    pub(crate) async fn start(
        builder: SessionsBuilder<S>,
        config: &ServerConfig,
    ) -> Result<Self, Error> {
        let base = config.app.clone();
        let public = builder.policy(base.policy(config.test_mode)).build().await?;
        make_static_key(&public).await?;
        let apps = Self {
            base,
            test_mode: config.test_mode,
            public,
            directory: RwLock::new(Directory::new()),
            change: async_lock::Mutex::new(()),
            without_due_keys: Mutex::default(),
        };
        apps.read().await?;
        Ok(apps)
    }

    /// The app that a path names, which [`prepare`](Self::prepare) has taken into use if it exists.
    pub(crate) fn app(&self, name: &TenantName) -> Result<Arc<App<S>>, Failure> {
        self.directory().app(&name.app).ok_or_else(|| Failure::UnknownTenant(name.clone()))
    }

    /// The store that all apps are in.
    pub(crate) fn session_store(&self) -> &S {
        self.public.store()
    }

    /// Takes an app into use if it is known and nobody has asked for it before.
    pub(crate) async fn prepare(&self, id: &str) -> Result<(), Error> {
        if self.directory().app(id).is_some() {
            return Ok(());
        }
        let _one_at_a_time = self.change.lock().await;
        self.take_into_use(id).await
    }

    /// Looks into the store for what another process may have made; says whether it has looked.
    /// Whoever asks for what does not exist makes the store busy once a second at most.
    pub(crate) async fn look_again(&self) -> Result<bool, Error> {
        const PAUSE: Duration = Duration::from_secs(1);
        let _one_at_a_time = self.change.lock().await;
        let read_at = self.directory().read_at();
        let is_due = self.public.now() >= read_at.plus(PAUSE);
        if is_due {
            self.read().await?;
        }
        Ok(is_due)
    }

    /// Takes over what other processes have changed of apps and tenants.
    pub(crate) async fn read_again(&self) -> Result<(), Error> {
        let _one_at_a_time = self.change.lock().await;
        self.read().await
    }

    async fn read(&self) -> Result<(), Error> {
        let read_at = self.public.now();
        let stored = self.public.store().tenants().await?;
        self.change_directory().replace(stored, read_at, |tenants| self.configure(tenants));
        let waiting = self.directory().tenants_of_waiting(PUBLIC);
        if let Some(tenants) = waiting {
            let (sessions, config) = (self.public.clone(), self.base.clone());
            self.change_directory().put(PUBLIC, App::new(sessions, config, tenants));
        }
        Ok(())
    }

    /// The configuration of an app, as far as its settings can be followed.
    fn configure(&self, tenants: &Tenants) -> AppConfig {
        let Some(public) = tenants.get(PUBLIC) else { return self.base.clone() };
        let (config, left_out) = public.core_config.over_where_possible(&self.base, self.test_mode);
        for NotFollowed { problem, .. } in left_out {
            tracing::warn!(problem, "a setting of an app in the store has no effect");
        }
        config
    }

    async fn take_into_use(&self, id: &str) -> Result<(), Error> {
        let waiting = self.directory().tenants_of_waiting(id);
        let Some(tenants) = waiting else { return Ok(()) };
        let Ok(app) = id.parse() else { return Ok(()) };
        let config = self.configure(&tenants);
        let sessions = self.open(app, &config).await?;
        self.change_directory().put(id, App::new(sessions, config, tenants));
        Ok(())
    }

    async fn open(&self, app: AppId, config: &AppConfig) -> Result<Sessions<S>, Error> {
        let sessions = self.public.for_app(app, config.policy(self.test_mode)).await?;
        make_static_key(&sessions).await?;
        Ok(sessions)
    }

    async fn store(
        &self,
        app: AppId,
        tenant: TenantId,
        settings: &TenantSettings,
    ) -> Result<(), Error> {
        let stored = settings.to_stored(app, tenant, self.public.now());
        self.public.store().put_tenant(stored).await?;
        Ok(())
    }

    pub(crate) fn directory(&self) -> RwLockReadGuard<'_, Directory<S>> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change_directory(&self) -> RwLockWriteGuard<'_, Directory<S>> {
        self.directory.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates an app, or changes its public tenant; says whether it is new. It serves requests
    /// once this has returned.
    pub(crate) async fn put_app(
        &self,
        id: &str,
        change: impl FnOnce(TenantSettings) -> TenantSettings + Send,
    ) -> Result<bool, Failure> {
        let app = valid::<AppId>(id)?;
        let _one_at_a_time = self.change.lock().await;
        self.read().await?;
        let known = self.directory().app(id);
        let tenants = self.directory().tenants(id);
        let is_new = tenants.is_none();
        let mut tenants = tenants.unwrap_or_default();
        let settings = change(tenants.remove(PUBLIC).unwrap_or_default());
        let config = settings.core_config.over(&self.base, self.test_mode)?;
        tell_without_effect(&settings);
        let policy = config.policy(self.test_mode).check();
        policy.map_err(|problem| refuse_configuration(problem.into()))?;
        // First: in a database that a core uses too, keys belong to an app that is there.
        self.store(app.clone(), TenantId::default(), &settings).await?;
        let sessions = match known.filter(|known| known.config == config) {
            Some(known) => known.sessions.clone(),
            None => self.open(app, &config).await?,
        };
        tenants.insert(PUBLIC.to_owned(), settings);
        self.change_directory().put(id, App::new(sessions, config, tenants));
        Ok(is_new)
    }

    /// Removes an app with all that is its own; says whether there was one.
    pub(crate) async fn remove_app(&self, id: &str) -> Result<bool, Failure> {
        let _one_at_a_time = self.change.lock().await;
        self.read().await?;
        self.take_into_use(id).await?;
        let Some(app) = self.directory().app(id) else { return Ok(false) };
        if app.tenants.len() > 1 {
            return Err(Failure::Forbidden(
                "Please delete all tenants except the public tenant for this app before calling \
                 the delete API",
            ));
        }
        self.change_directory().remove(id);
        // In short steps, so that the last one is short too.
        app.sessions.revoke_sessions_created_before(Timestamp::MAX).await?;
        self.public.store().remove_app(app.sessions.app()).await.map_err(Error::from)?;
        Ok(true)
    }

    /// Creates or changes a tenant other than the public one; says whether it is new.
    pub(crate) async fn put_tenant(
        &self,
        name: &TenantName,
        change: impl FnOnce(TenantSettings) -> TenantSettings + Send,
    ) -> Result<bool, Failure> {
        let tenant = valid::<TenantId>(&name.tenant)?;
        let _one_at_a_time = self.change.lock().await;
        let (app, mut tenants) = self.read_app(name).await?;
        let known = tenants.get(&name.tenant).cloned();
        let is_new = known.is_none();
        let no_factors = TenantSettings { first_factors: Some(Vec::new()), ..Default::default() };
        let settings = change(known.unwrap_or(no_factors));
        check_same(&settings.core_config, &app.config, self.test_mode)?;
        tell_without_effect(&settings);
        self.store(app.sessions.app().clone(), tenant, &settings).await?;
        tenants.insert(name.tenant.clone(), settings);
        let (sessions, config) = (app.sessions.clone(), app.config.clone());
        self.change_directory().put(&name.app, App::new(sessions, config, tenants));
        Ok(is_new)
    }

    /// Removes a tenant with its sessions; says whether there was one.
    pub(crate) async fn remove_tenant(&self, name: &TenantName) -> Result<bool, Failure> {
        let _one_at_a_time = self.change.lock().await;
        let (app, mut tenants) = self.read_app(name).await?;
        let Ok(tenant) = name.tenant.parse() else { return Ok(false) };
        let existed = tenants.remove(&name.tenant).is_some();
        let removed = self.public.store().remove_tenant(app.sessions.app(), &tenant).await;
        removed.map_err(Error::from)?;
        let (sessions, config) = (app.sessions.clone(), app.config.clone());
        self.change_directory().put(&name.app, App::new(sessions, config, tenants));
        Ok(existed)
    }

    /// An app as it is in the store now, for who changes it.
    async fn read_app(&self, name: &TenantName) -> Result<(Arc<App<S>>, Tenants), Failure> {
        self.read().await?;
        self.take_into_use(&name.app).await?;
        let app = self.app(name)?;
        let tenants = app.tenants.clone();
        Ok((app, tenants))
    }
}

fn valid<Id: FromStr<Err = InvalidIdentifier>>(text: &str) -> Result<Id, Failure> {
    text.parse().map_err(|error| Failure::bad_input(format!("{error}")))
}

/// SDKs expect a static key beside the first dynamic one from the start.
async fn make_static_key<S: Store>(sessions: &Sessions<S>) -> Result<(), Error> {
    sessions.public_signing_keys(SigningKeyKind::Static).await.map(drop)
}

fn refuse_configuration(error: Error) -> Failure {
    match error {
        Error::General(sessile_core::GeneralError::Configuration(problem)) => invalid(&problem),
        error => error.into(),
    }
}

fn tell_without_effect(settings: &TenantSettings) {
    for (name, why) in settings.core_config.without_effect() {
        tracing::warn!("{name} has no effect: {why}");
    }
}

/// Most settings are the app's, so a tenant may repeat them and not change them.
fn check_same(settings: &CoreConfig, app: &AppConfig, test_mode: bool) -> Result<(), Failure> {
    for (name, value) in settings.as_object() {
        let alone = CoreConfig::default()
            .changed(&std::iter::once((name.clone(), value.clone())).collect());
        let changes = alone.over(app, test_mode)? != *app;
        if changes && !alone.is_of_tenants() {
            let problem = format!("You cannot set different values for {name} for the same appId");
            return Err(invalid(&problem));
        }
    }
    Ok(())
}
