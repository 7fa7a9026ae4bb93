//! What is done for all apps by the clock. Where it fails for one, the others have it all the same.

use std::{
    collections::HashSet,
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use sessile_core::{
    Error, Sessions,
    store::{Swept, TenantStore},
};

use crate::{
    apps::{App, Apps},
    metrics::{MeasuredStore, Upkeep},
    server::Server,
};

/// How long before they are due keys are made: they are looked at once a second.
const AHEAD: Duration = Duration::from_secs(2);

/// The apps for which something has failed, and why.
type FailedApps = Vec<(String, Error)>;

impl<S: TenantStore> Server<S> {
    /// The sessions of every app but those that cannot be served, whose signing keys cannot be
    /// read for instance: they are told of in the log, and counted.
    pub async fn apps(&self) -> Vec<Sessions<MeasuredStore<S>>> {
        let (apps, failed) = self.parts.apps.all().await;
        self.tell(Upkeep::Sweep, failed);
        apps.iter().map(|app| app.sessions.clone()).collect()
    }

    /// Removes the sessions of every app that expired, and the keys that retired, as
    /// [`Sessions::sweep_all`]; says how many in all. Once an hour is plenty. Apps for which it
    /// fails are told of in the log, and counted.
    pub async fn sweep(&self) -> Swept {
        let (mut total, mut failed) = (Swept::default(), Vec::new());
        for sessions in self.apps().await {
            match sessions.sweep_all().await {
                Ok(swept) => {
                    total.sessions += swept.sessions;
                    total.keys += swept.keys;
                }
                Err(error) => failed.push((sessions.app().to_string(), error)),
            }
        }
        self.tell(Upkeep::Sweep, failed);
        total
    }

    /// Takes over what other processes on the same store have changed of apps, tenants and signing
    /// keys. Once a minute is plenty: what a request names and is not known is looked for at once.
    /// Apps whose keys cannot be read are told of in the log, and counted.
    ///
    /// # Errors
    /// [`Error::General`] when apps and tenants cannot be read. The keys are read all the same.
    pub async fn synchronise(&self) -> Result<(), Error> {
        let read = self.parts.apps.read_again().await;
        self.tell(Upkeep::Synchronisation, self.parts.apps.reload_signing_keys().await);
        read
    }

    /// Makes the next signing key of every app that is in use and where it is due, so that it is
    /// published for long enough before it signs, also where no request comes. To be called once a
    /// second: the store is asked only where a key is due. Apps for which it fails are told of in
    /// the log, counted, and tried again after [`synchronise`](Self::synchronise).
    pub async fn make_due_signing_keys(&self) {
        self.tell(Upkeep::Keys, self.parts.apps.make_due_signing_keys().await);
    }

    fn tell(&self, what: Upkeep, failed: FailedApps) {
        for (app, error) in failed {
            self.parts.operations.metrics.upkeep.failed(what);
            match what {
                Upkeep::Sweep => {
                    tracing::warn!(app, %error, "what has expired of an app was not removed");
                }
                Upkeep::Keys => {
                    tracing::warn!(app, %error, "the next signing key of an app was not made");
                }
                Upkeep::Synchronisation => {
                    tracing::warn!(app, %error, "the signing keys of an app were not read again");
                }
            }
        }
    }
}

impl<S: TenantStore> Apps<S> {
    /// Every app, all of them in use; and those that cannot be taken into use.
    async fn all(&self) -> (Vec<Arc<App<S>>>, FailedApps) {
        let waiting = self.directory().waiting();
        let mut failed = Vec::new();
        for id in waiting {
            if let Err(error) = self.prepare(&id).await {
                failed.push((id, error));
            }
        }
        (self.directory().in_use(), failed)
    }

    /// Reads the signing keys again of the apps that are in use; gives those for which it fails.
    async fn reload_signing_keys(&self) -> FailedApps {
        self.without_due_keys().clear();
        let in_use = self.directory().in_use();
        let mut failed = Vec::new();
        for app in in_use {
            if let Err(error) = app.sessions.reload_signing_keys().await {
                failed.push((app.sessions.app().to_string(), error));
            }
        }
        failed
    }

    /// Makes the keys that are due in apps that are in use; gives those apps for which it fails.
    /// They are left out until [`reload_signing_keys`](Self::reload_signing_keys) is called.
    async fn make_due_signing_keys(&self) -> FailedApps {
        let in_use = self.directory().in_use();
        let mut failed = Vec::new();
        for app in in_use {
            let id = app.sessions.app().as_str();
            if self.without_due_keys().contains(id) {
                continue;
            }
            if let Err(error) = app.sessions.make_due_signing_key(AHEAD).await {
                self.without_due_keys().insert(id.to_owned());
                failed.push((id.to_owned(), error));
            }
        }
        failed
    }

    fn without_due_keys(&self) -> MutexGuard<'_, HashSet<String>> {
        self.without_due_keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
