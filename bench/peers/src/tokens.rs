//! Verifying access tokens, beside jsonwebtoken and beside the signature alone.

use std::hint::black_box;

use anyhow::Context as _;
use jsonwebtoken::{DecodingKey, Validation, decode, jwk::JwkSet};
use serde::Deserialize;
use sessile::{
    Algorithm, SessionService as _, Sessions, VerifyRequest, memory::MemoryStore, policy::Policy,
};
use sessile_bench::{
    apps::log_in,
    race::{Contestant, Effort, race},
    signer::{Signed, Signer},
    table::{self, Table},
};

/// So many that no processor remembers a whole round of branches.
const TOKENS: usize = 512;

/// The same sessions twice: with verified tokens forgotten at once, and remembered.
pub(crate) async fn sessions(algorithm: Algorithm) -> anyhow::Result<[Sessions<MemoryStore>; 2]> {
    let store = MemoryStore::new();
    let remembering = Policy { algorithm, ..Policy::default() };
    let forgetting = Policy { verified_token_memory: 0, ..remembering.clone() };
    Ok([
        Sessions::builder(store.clone()).policy(forgetting).build().await?,
        Sessions::builder(store).policy(remembering).build().await?,
    ])
}

/// The access tokens of so many users.
pub(crate) async fn access_tokens(
    sessions: &Sessions<MemoryStore>,
    users: usize,
) -> anyhow::Result<Vec<String>> {
    let issued = log_in(sessions, users).await?;
    Ok(issued.iter().map(|issued| issued.access_token.token.expose().to_owned()).collect())
}

/// Verifies the tokens in turn, that many times.
pub(crate) async fn verify(
    sessions: &Sessions<MemoryStore>,
    tokens: &[String],
    count: u64,
) -> anyhow::Result<()> {
    for token in tokens.iter().cycle().zip(0..count).map(|(token, _)| token) {
        black_box(sessions.verify(VerifyRequest::new(token)).await?);
    }
    Ok(())
}

/// What an application would read from an access token.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claims {
    sub: String,
    exp: u64,
    iat: u64,
    session_handle: String,
    t_id: String,
    name: String,
    role: String,
}

/// The public key of sessions, as jsonwebtoken keeps it, and what it has to check.
pub(crate) async fn decoding_key(
    sessions: &Sessions<MemoryStore>,
    algorithm: jsonwebtoken::Algorithm,
) -> anyhow::Result<(DecodingKey, Validation)> {
    let keys: JwkSet = serde_json::from_value(sessions.get_json_web_key_set().await?.document)?;
    let key = keys.keys.first().context("a set without keys")?;
    Ok((DecodingKey::from_jwk(key)?, Validation::new(algorithm)))
}

/// Decodes the tokens in turn, that many times.
pub(crate) fn decode_all(
    (key, validation): &(DecodingKey, Validation),
    tokens: &[String],
    count: u64,
) -> anyhow::Result<()> {
    for token in tokens.iter().cycle().zip(0..count).map(|(token, _)| token) {
        let claims = decode::<Claims>(token, key, validation)?.claims;
        let Claims { sub, exp, iat, session_handle, t_id, name, role } = claims;
        black_box((sub, exp, iat, session_handle, t_id, name, role));
    }
    Ok(())
}

pub(crate) fn measure(effort: Effort) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut table = Table::new(
        "An access token: processor time",
        [
            "algorithm",
            "token",
            "signature alone",
            "Sessile, not seen before",
            "jsonwebtoken",
            "times Sessile's",
            "Sessile, seen before",
        ],
    );
    for (algorithm, peer) in [
        (Algorithm::Rs256, jsonwebtoken::Algorithm::RS256),
        (Algorithm::Es256, jsonwebtoken::Algorithm::ES256),
        (Algorithm::EdDsa, jsonwebtoken::Algorithm::EdDSA),
    ] {
        let [forgetting, remembering] = runtime.block_on(sessions(algorithm))?;
        let tokens = runtime.block_on(access_tokens(&forgetting, TOKENS))?;
        let signer = runtime.block_on(Signer::of(&forgetting))?;
        let signed = tokens.iter().map(|token| Signed::from_token(token));
        let signed = signed.collect::<anyhow::Result<Vec<_>>>()?;
        let key = runtime.block_on(decoding_key(&forgetting, peer))?;
        let contestants: Vec<Contestant<'_>> = vec![
            Box::new(|count| {
                let mut turns = signed.iter().cycle().zip(0..count);
                turns.try_for_each(|(signed, _)| signer.verify(signed))
            }),
            Box::new(|count| runtime.block_on(verify(&forgetting, &tokens, count))),
            Box::new(|count| decode_all(&key, &tokens, count)),
            Box::new(|count| runtime.block_on(verify(&remembering, &tokens, count))),
        ];
        let figures = race(effort, contestants)?;
        let [signature, sessile, decoded, remembered] = &figures[..] else {
            anyhow::bail!("not all were measured");
        };
        table.row([
            algorithm.to_string(),
            format!("{} bytes", tokens[0].len()),
            table::cpu(signature),
            table::cpu(sessile),
            table::cpu(decoded),
            table::ratio_with_range(decoded.ratio(sessile), decoded.ratio_range(sessile)),
            table::cpu(remembered),
        ]);
    }
    table.print();
    Ok(())
}
