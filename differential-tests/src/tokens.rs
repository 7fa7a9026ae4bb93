//! The tokens, and Sessile's own verdicts.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use serde_json::{Value, json};
use sessile_core::{
    AccessTokenVersion, Algorithm, AppId, Error, NewSession, SessionService as _, Sessions,
    VerifyRequest,
    clock::{ManualClock, Timestamp},
    memory::MemoryStore,
    policy::Policy,
    store::Store as _,
};
use sessile_hostile_tokens::{Base, Forge, HostileToken};
use sessile_mutation::Dice;

use crate::{NOW, peers::Verdict};

/// An engine that knows the keys of all algorithms, and a good token of each kind.
pub(crate) struct Engines {
    verifier: Sessions<MemoryStore>,
    /// The key of each algorithm, and good tokens under it.
    bases: Vec<(Forge, Vec<String>)>,
}

/// The versions that are JWTs; V2 is none.
const VERSIONS: [AccessTokenVersion; 3] =
    [AccessTokenVersion::V3, AccessTokenVersion::V4, AccessTokenVersion::V5];

const ALGORITHMS: [Algorithm; 3] = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256];

async fn engine(
    store: &MemoryStore,
    algorithm: Algorithm,
    version: AccessTokenVersion,
) -> Result<Sessions<MemoryStore>, Error> {
    let policy = Policy { algorithm, access_token_version: version, ..Policy::default() };
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(NOW)));
    Sessions::builder(store.clone()).policy(policy).clock(clock).build().await
}

impl Engines {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let store = MemoryStore::new();
        let mut bases = Vec::new();
        for algorithm in ALGORITHMS {
            let mut tokens = Vec::new();
            for version in VERSIONS {
                let new = NewSession::new("alice").jwt_payload(json!({ "role": "editor" }));
                let issued = engine(&store, algorithm, version).await?.create_session(new).await?;
                tokens.push(issued.access_token.token.expose().to_owned());
            }
            let keys = store.signing_keys(&AppId::default()).await?;
            let key = keys
                .iter()
                .find(|key| key.algorithm == algorithm.name())
                .context("an engine makes its key")?;
            bases.push((Forge::new(&key.key_id, &key.algorithm, &key.material), tokens));
        }
        let verifier = engine(&store, Algorithm::Es256, AccessTokenVersion::V5).await?;
        Ok(Self { verifier, bases })
    }

    /// As many hostile tokens, of all kinds and classes. The good ones are the first of them.
    pub(crate) fn hostile_tokens(&self, number: usize, dice: &mut Dice) -> Vec<HostileToken> {
        let good = self.bases.iter().flat_map(|(_, tokens)| tokens);
        let mut tokens: Vec<_> =
            good.map(|text| HostileToken { class: "good", text: text.clone() }).collect();
        while tokens.len() < number {
            let (forge, of_key) = dice.pick(&self.bases);
            let (_, others) = dice.pick(&self.bases);
            let (token, other) = (dice.pick(of_key), dice.pick(others));
            tokens.push(Base { forge, token, other, now: NOW }.hostile_token(dice));
        }
        tokens
    }

    /// What the other verifiers are given: time, public keys as Sessile serves them, and tokens.
    pub(crate) async fn work(&self, tokens: &[&str]) -> anyhow::Result<Value> {
        let keys = self.verifier.get_json_web_key_set().await?;
        Ok(json!({ "now": NOW, "jwks": keys.document, "tokens": tokens }))
    }

    pub(crate) async fn verdicts(&self, tokens: &[&str]) -> anyhow::Result<Vec<Verdict>> {
        let mut verdicts = Vec::new();
        for token in tokens {
            verdicts.push(match self.verifier.verify(VerifyRequest::new(token)).await {
                Ok(session) => Verdict::accepted(&json!({
                    "sub": session.user_id(), "sessionHandle": session.handle().as_str(),
                })),
                Err(error @ Error::TryRefreshToken { .. }) => Verdict::refused(error.reason_code()),
                Err(other) => return Err(anyhow!(other)),
            });
        }
        Ok(verdicts)
    }
}
