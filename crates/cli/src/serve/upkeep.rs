//! What a server does by the clock.

use std::time::Duration;

use sessile::store::TenantStore;
use sessile_server::Server;
use tokio::{task::JoinHandle, time::interval};

/// How often sessions that expired and keys that retired are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3600);

/// How often apps, tenants and keys are read that other processes may have changed.
const SYNCHRONISATION_INTERVAL: Duration = Duration::from_secs(60);

/// Begins it, in tasks that are aborted at the end.
pub(super) fn begin<S: TenantStore>(server: &Server<S>) -> [JoinHandle<()>; 2] {
    [
        tokio::spawn(sweep_for_ever(server.clone())),
        tokio::spawn(synchronise_for_ever(server.clone())),
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
