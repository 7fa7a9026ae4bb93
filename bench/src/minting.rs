//! Making tokens in memory, beside what the signature alone takes.

use std::hint::black_box;

use sessile::{
    IssuedSession, NewSession, RegenerateRequest, SessionService, Sessions, memory::MemoryStore,
};
use sessile_bench::{
    apps::{jwt_payload, session_data},
    race::{Contestant, Effort, race},
    table::{self, Table},
};

use crate::{
    allocations,
    signer::{Signed, Signer},
    verification::{ALGORITHMS, runtime, sessions},
};

const COUNTED: u64 = 100;

fn new_session() -> NewSession {
    NewSession::new("user-00000").jwt_payload(jwt_payload()).session_data(session_data())
}

async fn create(sessions: &Sessions<MemoryStore>, count: u64) -> anyhow::Result<()> {
    for _ in 0..count {
        drop(black_box(sessions.create_session(new_session()).await?));
    }
    Ok(())
}

async fn refresh(
    sessions: &Sessions<MemoryStore>,
    session: &mut IssuedSession,
    count: u64,
) -> anyhow::Result<()> {
    for _ in 0..count {
        let next = sessions.refresh(session.refresh_token.token.expose().into()).await?;
        *session = next;
    }
    Ok(())
}

async fn regenerate(
    sessions: &Sessions<MemoryStore>,
    tokens: &[String],
    count: u64,
) -> anyhow::Result<()> {
    for (access_token, _) in tokens.iter().cycle().zip(0..count) {
        let request = RegenerateRequest { access_token, jwt_payload: None };
        black_box(sessions.regenerate(request).await?);
    }
    Ok(())
}

pub(crate) fn measure(effort: Effort) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let mut table = Table::new(
        "Making tokens, in memory: processor time",
        ["algorithm", "call", "time", "signature alone", "ratio", "allocations"],
    );
    for algorithm in ALGORITHMS {
        let memory = sessile::policy::VERIFIED_TOKEN_MEMORY;
        let (sessions, tokens) = runtime.block_on(sessions(algorithm, memory))?;
        let signer = runtime.block_on(Signer::of(&sessions))?;
        let signed = Signed::from_token(&tokens[0])?;
        let mut session = runtime.block_on(sessions.create_session(new_session()))?;
        let contestants: Vec<Contestant<'_>> = vec![
            Box::new(|count| {
                for _ in 0..count {
                    black_box(signer.sign(&signed.message)?);
                }
                Ok(())
            }),
            Box::new(|count| runtime.block_on(regenerate(&sessions, &tokens, count))),
            Box::new(|count| runtime.block_on(create(&sessions, count))),
            Box::new(|count| runtime.block_on(refresh(&sessions, &mut session, count))),
        ];
        let figures = race(effort, contestants)?;
        let mut session = runtime.block_on(sessions.create_session(new_session()))?;
        let allocations = [
            allocations::per_operation(COUNTED, || {
                runtime.block_on(regenerate(&sessions, &tokens, COUNTED))
            })?,
            allocations::per_operation(COUNTED, || runtime.block_on(create(&sessions, COUNTED)))?,
            allocations::per_operation(COUNTED, || {
                runtime.block_on(refresh(&sessions, &mut session, COUNTED))
            })?,
        ];
        let calls = ["a new access token", "create", "refresh"];
        for ((call, figure), allocations) in calls.into_iter().zip(&figures[1..]).zip(allocations) {
            table.row([
                algorithm.to_string(),
                call.to_owned(),
                table::cpu(figure),
                table::cpu(&figures[0]),
                table::ratio(figure.ratio(&figures[0])),
                format!("{allocations:.1}"),
            ]);
        }
    }
    table.print();
    Ok(())
}
