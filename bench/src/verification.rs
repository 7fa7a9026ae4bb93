//! Verifying access tokens, beside what the cryptography or a look-up alone takes.

use std::hint::black_box;

use quick_cache::sync::Cache;
use sessile::{
    Algorithm, SessionService, Sessions, VerifyRequest, memory::MemoryStore, policy::Policy,
};
use sessile_bench::{
    apps::log_in,
    race::{Contestant, Effort, race},
    table::{self, Table},
};
use tokio::runtime::Runtime;

use crate::{
    allocations,
    signer::{Signed, Signer},
};

/// So many that no processor remembers a whole round of branches.
const TOKENS: usize = 512;

pub(crate) const ALGORITHMS: [Algorithm; 3] =
    [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];

pub(crate) fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Sessions in memory, and the access tokens of some.
pub(crate) async fn sessions(
    algorithm: Algorithm,
    verified_token_memory: usize,
) -> anyhow::Result<(Sessions<MemoryStore>, Vec<String>)> {
    let policy = Policy { algorithm, verified_token_memory, ..Policy::default() };
    let sessions = Sessions::builder(MemoryStore::new()).policy(policy).build().await?;
    let issued = log_in(&sessions, TOKENS).await?;
    let tokens = issued.iter().map(|issued| issued.access_token.token.expose().to_owned());
    let tokens = tokens.collect();
    Ok((sessions, tokens))
}

pub(crate) fn measure(effort: Effort) -> anyhow::Result<()> {
    let runtime = runtime()?;
    measure_new(effort, &runtime)?;
    measure_seen(effort, &runtime)
}

/// Verifies the tokens in turn, that many times.
async fn verify(
    sessions: &Sessions<MemoryStore>,
    tokens: &[String],
    count: u64,
) -> anyhow::Result<()> {
    for token in tokens.iter().cycle().zip(0..count).map(|(token, _)| token) {
        black_box(sessions.verify(VerifyRequest::new(token)).await?);
    }
    Ok(())
}

fn measure_new(effort: Effort, runtime: &Runtime) -> anyhow::Result<()> {
    let mut table = Table::new(
        "An access token that was not seen before: processor time",
        ["algorithm", "token", "verified", "signature alone", "ratio", "allocations"],
    );
    for algorithm in ALGORITHMS {
        let (sessions, tokens) = runtime.block_on(sessions(algorithm, 0))?;
        let signer = runtime.block_on(Signer::of(&sessions))?;
        let signed = tokens.iter().map(|token| Signed::from_token(token));
        let signed = signed.collect::<anyhow::Result<Vec<_>>>()?;
        let contestants: Vec<Contestant<'_>> = vec![
            Box::new(|count| runtime.block_on(verify(&sessions, &tokens, count))),
            Box::new(|count| {
                let mut turns = signed.iter().cycle().zip(0..count);
                turns.try_for_each(|(signed, _)| signer.verify(signed))
            }),
        ];
        let figures = race(effort, contestants)?;
        let allocations = allocations::per_operation(TOKENS as u64, || {
            runtime.block_on(verify(&sessions, &tokens, TOKENS as u64))
        })?;
        table.row([
            algorithm.to_string(),
            format!("{} bytes", tokens[0].len()),
            table::cpu(&figures[0]),
            table::cpu(&figures[1]),
            table::ratio(figures[0].ratio(&figures[1])),
            format!("{allocations:.1}"),
        ]);
    }
    table.print();
    Ok(())
}

fn measure_seen(effort: Effort, runtime: &Runtime) -> anyhow::Result<()> {
    let mut table = Table::new(
        "An access token that was seen before: processor time",
        ["algorithm", "token", "verified", "look-up of its bytes alone", "ratio", "allocations"],
    );
    for algorithm in ALGORITHMS {
        let memory = Policy::default().verified_token_memory;
        let (sessions, tokens) = runtime.block_on(sessions(algorithm, memory))?;
        let cache = Cache::new(TOKENS * 2);
        for token in &tokens {
            cache.insert(token.clone(), ());
        }
        let contestants: Vec<Contestant<'_>> = vec![
            Box::new(|count| runtime.block_on(verify(&sessions, &tokens, count))),
            Box::new(|count| {
                for (token, _) in tokens.iter().cycle().zip(0..count) {
                    black_box(cache.get(token.as_str()));
                }
                Ok(())
            }),
        ];
        let figures = race(effort, contestants)?;
        let allocations = allocations::per_operation(TOKENS as u64, || {
            runtime.block_on(verify(&sessions, &tokens, TOKENS as u64))
        })?;
        table.row([
            algorithm.to_string(),
            format!("{} bytes", tokens[0].len()),
            table::cpu(&figures[0]),
            table::cpu(&figures[1]),
            table::ratio(figures[0].ratio(&figures[1])),
            format!("{allocations:.1}"),
        ]);
    }
    table.print();
    Ok(())
}
