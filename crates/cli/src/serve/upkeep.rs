//! What a server does by the clock.

use std::time::Duration;

use sessile::store::TenantStore;
use sessile_server::Server;
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

/// How often sessions that expired and keys that retired are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3600);

/// How often apps, tenants and keys are read that other processes may have changed.
const SYNCHRONISATION_INTERVAL: Duration = Duration::from_secs(60);

/// How often it is looked whether a signing key is due. The store is asked only if one is.
const KEY_INTERVAL: Duration = Duration::from_secs(1);

/// Begins it, in tasks that are aborted at the end.
pub(super) fn begin<S: TenantStore>(server: &Server<S>) -> [JoinHandle<()>; 3] {
    [
        tokio::spawn(sweep_for_ever(server.clone())),
        tokio::spawn(synchronise_for_ever(server.clone())),
        tokio::spawn(make_keys_for_ever(server.clone())),
    ]
}

async fn sweep_for_ever<S: TenantStore>(server: Server<S>) {
    let mut interval = interval(SWEEP_INTERVAL);
    loop {
        interval.tick().await;
        server.sweep().await;
    }
}

async fn synchronise_for_ever<S: TenantStore>(server: Server<S>) {
    let mut interval = interval(SYNCHRONISATION_INTERVAL);
    // The start has done it just now.
    interval.tick().await;
    loop {
        interval.tick().await;
        if let Err(error) = server.synchronise().await {
            tracing::warn!(%error, "apps and tenants were not read again");
        }
    }
}

async fn make_keys_for_ever<S: TenantStore>(server: Server<S>) {
    let mut interval = interval(KEY_INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        server.make_due_signing_keys().await;
    }
}
