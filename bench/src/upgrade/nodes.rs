//! What a node of Sessile does as soon as it is up.

use std::{sync::Arc, time::Duration};

use sessile::{IssuedSession, SessionService as _, Sessions, to_json_object};
use sessile_bench::apps::session_data;
use sessile_postgres::PostgresStore;
use tokio::{task::JoinSet, time::sleep};

use super::{
    Load,
    waits::{Request, Waiting},
};

/// Clients of a node.
const CLIENTS: usize = 4;

/// How long a client rests between requests.
const REST: Duration = Duration::from_millis(20);

/// What became of the sessions of a client.
pub(super) struct Served {
    pub(super) requests: Vec<Request>,
    pub(super) sessions: Vec<IssuedSession>,
}

/// Clients who refresh their sessions, and read and change their data.
pub(super) async fn serve(
    sessions: Sessions<PostgresStore>,
    known: Vec<IssuedSession>,
    load: Arc<Load>,
) -> anyhow::Result<Served> {
    let mut clients: Vec<Vec<_>> = (0..CLIENTS).map(|_| Vec::new()).collect();
    for (place, session) in known.into_iter().enumerate() {
        clients[place % CLIENTS].push(session);
    }
    let mut tasks = JoinSet::new();
    for own in clients {
        tasks.spawn(visit(sessions.clone(), own, Arc::clone(&load)));
    }
    let mut served = Served { requests: Vec::new(), sessions: Vec::new() };
    while let Some(visited) = tasks.join_next().await {
        let visited = visited??;
        served.requests.extend(visited.requests);
        served.sessions.extend(visited.sessions);
    }
    Ok(served)
}

/// Every session is refreshed once at least, however soon the load is to end.
async fn visit(
    sessions: Sessions<PostgresStore>,
    mut own: Vec<IssuedSession>,
    load: Arc<Load>,
) -> anyhow::Result<Served> {
    let mut waiting = Waiting::default();
    let mut is_first_time = true;
    while is_first_time || load.goes_on() {
        for session in &mut own {
            let token = session.refresh_token.token.expose().to_owned();
            *session = waiting.on(sessions.refresh(token.as_str().into())).await?;
            let handle = session.session.handle();
            waiting.on(sessions.get_session_data(handle)).await?;
            let data = to_json_object(&session_data())?;
            waiting.on(sessions.update_session_data(handle, data)).await?;
            sleep(REST).await;
        }
        is_first_time = false;
    }
    Ok(Served { requests: waiting.0, sessions: own })
}
