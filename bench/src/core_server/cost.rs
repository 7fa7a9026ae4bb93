//! Each call over HTTP, beside the same call of an engine in this process: processor time.

use std::{path::Path, time::Duration};

use sessile::{
    Algorithm, IssuedSession, NewSession, RefreshRequest, SessionService as _, Sessions,
    VerifyRequest,
    event::RevocationReason,
    memory::MemoryStore,
    policy::{Policy, RefreshTokenFormat, RotationPolicy},
};
use sessile_bench::{
    apps::{jwt_payload, session_data},
    clock,
    race::{self, Effort, Figure, Measured, Round, rounds},
    table::{self, Table},
};
use tokio::{runtime::Runtime, task::JoinSet};

use super::{
    client::{CoreClient, Operation},
    process::CoreServer,
};
use crate::{clients::Clients, verification::runtime};

const CONNECTIONS: usize = 32;

/// What is done again and again. Removal comes last: it leaves no session to ask for.
const CALLS: [&[Operation]; 5] = {
    use Operation::{Create, ReadData, Refresh, Remove, ReplaceData, Verify};
    [&[Verify], &[Refresh], &[ReadData], &[ReplaceData], &[Create, Remove]]
};

/// An engine with the policy of a server, and a session.
struct Direct {
    sessions: Sessions<MemoryStore>,
    issued: Option<IssuedSession>,
}

impl Direct {
    async fn call(mut self, operation: Operation) -> anyhow::Result<Self> {
        let Self { sessions, issued } = &mut self;
        let new = || {
            let new = NewSession::new("user-00000");
            new.jwt_payload(jwt_payload()).session_data(session_data())
        };
        let Some(session) = issued else {
            self.issued = Some(sessions.create_session(new()).await?);
            return Ok(self);
        };
        let handle = session.session.handle();
        match operation {
            Operation::Create => *session = sessions.create_session(new()).await?,
            Operation::Verify => {
                let token = session.access_token.token.expose();
                std::hint::black_box(sessions.verify(VerifyRequest::new(token)).await?);
            }
            Operation::Refresh => {
                let token = session.refresh_token.token.expose();
                *session = sessions.refresh(RefreshRequest::from(token)).await?;
            }
            Operation::ReadData => {
                std::hint::black_box(sessions.get_session_information(handle).await?);
            }
            Operation::ReplaceData => {
                let data = sessile::to_json_object(&session_data())?;
                sessions.update_session_data(handle, data).await?;
            }
            Operation::Remove => {
                let handles = std::slice::from_ref(handle);
                sessions.revoke_sessions(handles, RevocationReason::Requested).await?;
            }
        }
        Ok(self)
    }
}

fn policy() -> Policy {
    Policy {
        algorithm: Algorithm::Rs256,
        refresh_token_format: RefreshTokenFormat::SuperTokens,
        rotation: RotationPolicy::OnUse,
        absolute_lifetime: None,
        ..Policy::default()
    }
}

pub(super) fn measure(effort: Effort, program: &Path) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let server = CoreServer::start(program, "memory")?;
    let mut connections = runtime.block_on(async {
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut client = CoreClient::connect(server.port()).await?;
            client.call(Operation::Create).await?;
            clients.push(client);
        }
        anyhow::Ok(clients)
    })?;
    let builder = Sessions::builder(MemoryStore::new()).policy(policy());
    let sessions = runtime.block_on(builder.build())?;
    let direct = (0..CONNECTIONS).map(|_| Direct { sessions: sessions.clone(), issued: None });
    let mut direct = Clients::new(direct.collect())?;

    let title = "A call of `sessile serve` in memory, over 32 connections, and of an engine directly: \
                 processor time";
    let mut table = Table::new(title, ["call", "over HTTP", "directly", "more over HTTP"]);
    for calls in CALLS {
        let mut figures = [const { Figure::new() }; 2];
        for measured in rounds(effort.longer(2)) {
            let over_http =
                load(&runtime, &server, &mut connections, calls, effort.longer(2).round_time())?;
            let count = over_http.operations;
            let directly = race::round(count, || {
                direct.call(count / calls.len() as u64, move |mut direct| async move {
                    for operation in calls {
                        direct = direct.call(*operation).await?;
                    }
                    Ok(direct)
                })
            })?;
            if measured == Measured::Yes {
                figures[0].push(over_http);
                figures[1].push(directly);
            }
        }
        let names: Vec<_> = calls.iter().map(|operation| operation.name()).collect();
        table.row([
            names.join(", "),
            table::cpu(&figures[0]),
            table::cpu(&figures[1]),
            table::time(figures[0].cpu() - figures[1].cpu()),
        ]);
    }
    table.print();
    server.stop()
}

fn load(
    runtime: &Runtime,
    server: &CoreServer,
    connections: &mut Vec<CoreClient>,
    calls: &'static [Operation],
    time: Duration,
) -> anyhow::Result<Round> {
    runtime.block_on(async {
        let (start, used) = (clock::wall(), server.cpu()?);
        let end = start + time;
        let mut tasks = JoinSet::new();
        for mut client in connections.drain(..) {
            tasks.spawn(async move {
                let mut operations = 0;
                while clock::wall() < end {
                    for operation in calls {
                        client.call(*operation).await?;
                        operations += 1;
                    }
                }
                anyhow::Ok((client, operations))
            });
        }
        let mut operations = 0;
        while let Some(finished) = tasks.join_next().await {
            let (client, own): (_, u64) = finished??;
            operations += own;
            connections.push(client);
        }
        Ok(Round { operations, cpu: server.cpu()? - used, wall: clock::wall() - start })
    })
}
