//! What is done for all apps by the clock. Where it fails for one, the others have it all the same.

use sessile_core::{
    Error, Sessions,
    store::{Swept, TenantStore},
};

use crate::{
    metrics::{MeasuredStore, Upkeep},
    server::Server,
};

/// The apps for which something has failed, and why.
pub(crate) type FailedApps = Vec<(String, Error)>;

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

    fn tell(&self, what: Upkeep, failed: FailedApps) {
        for (app, error) in failed {
            self.parts.operations.metrics.upkeep.failed(what);
            match what {
                Upkeep::Sweep => {
                    tracing::warn!(app, %error, "what has expired of an app was not removed");
                }
                Upkeep::Synchronisation => {
                    tracing::warn!(app, %error, "the signing keys of an app were not read again");
                }
            }
        }
    }
}
