//! Regeneration: the payload of a token that is live, or of its session alone.

use std::time::Duration;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sessile_core::{
    AppId,
    store::{SessionRecord, Store as _},
};

use crate::{
    store::TestStore,
    support::{Core, access_token, part, refresh_token, row},
};

const WEEK: u64 = 7 * 24 * 3600;

/// A version for each format of token.
const VERSIONS: [&str; 5] = ["2.9", "2.21", "3.0", "5.4", "5.6"];

fn payload(name: &str) -> Value {
    json!({ "userDataInJWT": { name: true } })
}

#[tokio::test]
async fn regeneration_replaces_the_payload_alone() {
    let core = Core::new().await;
    for version in ["2.9", "2.21", "5.4", "5.6"] {
        let guard = json!({ "enableAntiCsrf": true });
        let created = core.create_with("", version, guard).await;
        core.advance(10);
        let payload = json!({ "userDataInJWT": {} });
        let again = core.regenerate(version, access_token(&created), payload).await.ok();
        assert_eq!(again["accessToken"]["expiry"], created["accessToken"]["expiry"]);
        let (old, new) = (part(access_token(&created), 1), part(access_token(&again), 1));
        for claim in
            ["refreshTokenHash1", "parentRefreshTokenHash1", "antiCsrfToken", "exp", "expiryTime"]
        {
            assert_eq!(old[claim], new[claim], "{version} {claim}");
        }
        assert_eq!(again["session"]["userDataInJWT"], json!({}));
        let kept = core.regenerate(version, access_token(&created), json!({})).await.ok();
        assert_eq!(kept["session"]["userDataInJWT"], json!({}), "the stored payload");

        core.advance(3600);
        let payload = json!({ "userDataInJWT": { "late": 1 } });
        let late = core.regenerate(version, access_token(&again), payload).await.ok();
        assert!(late.get("accessToken").is_none());
        let stored = core.information(&created["session"]["handle"]).await;
        assert_eq!(stored["userDataInJWT"], json!({ "late": 1 }));

        let body = json!({ "sessionHandles": [created["session"]["handle"]] });
        core.post("/recipe/session/remove", version, body).await.ok();
        let gone = core.regenerate(version, access_token(&again), json!({})).await.outcome();
        let message = "Session does not exist.";
        assert_eq!(gone, json!({ "status": "UNAUTHORISED", "message": message }));
    }
}

#[tokio::test]
async fn regeneration_takes_no_token_that_is_not_signed() {
    let core = Core::new().await;
    let created = core.create("5.4").await;
    let token = access_token(&created);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", signature.chars().rev().collect::<String>());
    for bad in ["", "nonsense", "a.b.c", &forged] {
        let payload = json!({ "userDataInJWT": { "admin": true } });
        let answer = core.regenerate("5.4", bad, payload).await.outcome();
        assert_eq!(answer["status"], "UNAUTHORISED", "{bad}");
    }
    let stored = core.information(&created["session"]["handle"]).await;
    assert_eq!(stored["userDataInJWT"]["key"], "value");
}

#[tokio::test]
async fn a_child_stays_one() {
    let core = Core::new().await;
    for version in ["2.9", "2.21", "3.0", "5.4"] {
        let created = core.create(version).await;
        let child = core.refresh(version, refresh_token(&created)).await;
        let again = core.regenerate(version, access_token(&child), payload("new")).await.ok();
        let (old, new) = (part(access_token(&child), 1), part(access_token(&again), 1));
        assert!(old["parentRefreshTokenHash1"].is_string());
        assert_eq!(new["parentRefreshTokenHash1"], old["parentRefreshTokenHash1"], "{version}");
        core.refresh_with(version, refresh_token(&created), json!({})).await.ok();
        let used = core.verify(version, access_token(&again)).await;
        assert!(part(access_token(&used), 1)["parentRefreshTokenHash1"].is_null());
        let stolen = core.refresh(version, refresh_token(&created)).await;
        assert_eq!(stolen["status"], "TOKEN_THEFT_DETECTED", "its use made it current");
    }
}

#[tokio::test]
async fn the_row_keeps_everything_but_the_payload() {
    let (core, store) = Core::with_store().await;
    for version in VERSIONS {
        let created = core.create(version).await;
        let next = core.refresh("5.6", refresh_token(&created)).await;
        let before = row(&store, &created).await.unwrap();
        assert!(before.previous_refresh_token_hash.is_some() && before.rotated_at.is_some());
        core.advance(1);
        for token in [access_token(&created), access_token(&next)] {
            core.regenerate(version, token, payload("new")).await.ok();
            let jwt_payload = r#"{"new":true}"#.to_owned();
            let expected = SessionRecord { jwt_payload, ..before.clone() };
            assert!(row(&store, &created).await.unwrap() == expected, "{version}");
        }
    }
}

#[tokio::test]
async fn a_session_that_is_over_is_not_changed() {
    let (core, store) = Core::with_store().await;
    for version in VERSIONS {
        let created = core.create(version).await;
        let token = access_token(&created).to_owned();
        // Its time is over, and nothing has removed it.
        let mut ended = row(&store, &created).await.unwrap();
        ended.expires_at = sessile_core::clock::Timestamp::from_millis(core.now());
        store.remove_sessions(&AppId::default(), &[ended.handle.clone()]).await.unwrap();
        store.insert_session(&AppId::default(), ended.clone()).await.unwrap();
        core.clock.advance(Duration::from_millis(1));
        for more in [payload("new"), json!({})] {
            let answer = core.regenerate(version, &token, more).await.outcome();
            let message = "Session does not exist.";
            assert_eq!(answer, json!({ "status": "UNAUTHORISED", "message": message }));
        }
        assert!(row(&store, &created).await.unwrap() == ended);
    }
}

/// The token with another user in it, and the signature that it had.
fn forged(token: &str) -> String {
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let mut changed = part(token, 1);
    let user = if changed.get("sub").is_some() { "sub" } else { "userId" };
    changed[user] = "mallory".into();
    let mut encoded = STANDARD.encode(changed.to_string());
    if !claims.ends_with('=') && !header.ends_with('=') {
        encoded = encoded.trim_end_matches('=').replace('+', "-").replace('/', "_");
    }
    format!("{header}.{encoded}.{signature}")
}

#[tokio::test]
async fn a_token_of_a_replaced_key_is_regenerated_and_its_signature_is_verified() {
    for version in VERSIONS {
        let (core, store) = Core::with_store().await;
        // Half a minute before the key is replaced.
        core.advance(WEEK - 30);
        let created = core.create(version).await;
        let token = access_token(&created).to_owned();
        let old_key = core.get("/.well-known/jwks.json", "").await.outcome()["keys"][1].clone();
        core.advance(60);
        let sessions = core.create(version).await;
        let again = core.regenerate(version, &token, payload("new")).await.ok();
        let new = access_token(&again);
        if version == "2.9" {
            let keys = &sessions["jwtSigningPublicKeyList"];
            assert_ne!(keys[0]["publicKey"], created["jwtSigningPublicKey"]);
        } else {
            assert_eq!(part(&token, 0)["kid"], old_key["kid"]);
            assert_eq!(part(new, 0)["kid"], part(access_token(&sessions), 0)["kid"]);
            assert_ne!(part(new, 0)["kid"], old_key["kid"]);
        }
        assert_eq!(core.verify(version, new).await["status"], "OK");

        // Live or ended: who has no signature changes nothing.
        for seconds in [0, 3600] {
            core.advance(seconds);
            let before = row(&store, &created).await.unwrap();
            let answer = core.regenerate(version, &forged(&token), payload("forged")).await;
            assert_eq!(answer.outcome()["status"], "UNAUTHORISED", "{version} {seconds}");
            assert!(row(&store, &created).await.unwrap() == before);
        }
        // Ended, and signed: the session alone is changed.
        let late = core.regenerate(version, &token, payload("late")).await.ok();
        assert!(late.get("accessToken").is_none());
        assert_eq!(row(&store, &created).await.unwrap().jwt_payload, r#"{"late":true}"#);

        // Once the key is over, nobody can tell who signed it.
        core.advance(WEEK + 2 * 3600);
        let answer = core.regenerate(version, &token, payload("later")).await.outcome();
        assert_eq!(answer["status"], "UNAUTHORISED", "{version}");
        assert_eq!(row(&store, &created).await.unwrap().jwt_payload, r#"{"late":true}"#);
    }
}

/// A V2 token as a core before CDI 2.0 would have signed it, with the key that the server has.
async fn aged(store: &TestStore, token: &str) -> String {
    let keys = store.signing_keys(&AppId::default()).await.unwrap();
    let key = keys.iter().find(|key| !key.is_static).unwrap();
    let (_, private) = key.material.split_once('|').unwrap();
    let pair = RsaKeyPair::from_pkcs8(&STANDARD.decode(private).unwrap()).unwrap();
    let header = STANDARD.encode(r#"{"alg":"RS256","typ":"JWT","version":"1"}"#);
    let message = format!("{header}.{}", token.split('.').nth(1).unwrap());
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", STANDARD.encode(signature))
}

#[tokio::test]
async fn a_token_of_version_1_is_verified_and_regenerated_in_kind() {
    let (core, store) = Core::with_store().await;
    for version in ["2.9", "2.21", "3.0", "5.4", "5.6"] {
        let created = core.create("2.9").await;
        let token = aged(&store, access_token(&created)).await;
        let verified = core.verify(version, &token).await;
        assert_eq!(verified["session"]["userDataInJWT"], json!({ "key": "value", "none": null }));
        assert_eq!(verified["session"]["handle"], created["session"]["handle"]);
        let again = core.regenerate(version, &token, payload("new")).await.ok();
        assert_eq!(again["accessToken"]["expiry"], created["accessToken"]["expiry"]);
        let new = access_token(&again);
        assert_eq!(new.split('.').next(), token.split('.').next(), "{version}");
        let (mut expected, claims) = (part(&token, 1), part(new, 1));
        expected["userData"] = json!({ "new": true });
        assert_eq!(claims, expected);
        let verified = core.verify(version, new).await;
        assert_eq!(verified["session"]["userDataInJWT"], json!({ "new": true }));
        let stored = core.information(&created["session"]["handle"]).await;
        assert_eq!(stored["userDataInJWT"], json!({ "new": true }));
        let refused = core.regenerate(version, &forged(&token), payload("forged")).await;
        assert_eq!(refused.outcome()["status"], "UNAUTHORISED");
    }
}

#[tokio::test]
async fn a_claim_that_the_token_has_of_its_own_is_refused_from_2_21_on() {
    let core = Core::new().await;
    let (v2, v3): (&[_], &[_]) = (
        &["userId", "expiryTime", "timeCreated", "sessionHandle", "refreshTokenHash1"],
        &[
            "sub",
            "exp",
            "iat",
            "sessionHandle",
            "refreshTokenHash1",
            "parentRefreshTokenHash1",
            "antiCsrfToken",
        ],
    );
    for (created_by, protected, others) in [
        ("2.9", v2.to_vec(), vec!["sub", "tId", "rsub", "antiCsrfToken"]),
        ("2.21", v3.to_vec(), vec!["tId", "rsub", "userId"]),
        ("3.0", [v3, &["tId"]].concat(), vec!["rsub", "userId"]),
        ("5.4", [v3, &["tId", "rsub"]].concat(), vec!["userId"]),
    ] {
        let created = core.create(created_by).await;
        let token = access_token(&created);
        for version in ["2.21", "3.0", "5.4", "5.6"] {
            for claim in &protected {
                core.regenerate(version, token, payload(claim))
                    .await
                    .refused(400, "The user payload contains protected field");
            }
            let stored = core.information(&created["session"]["handle"]).await;
            assert_eq!(stored["userDataInJWT"]["key"], "value", "nothing was stored");
        }
        for claim in others {
            let again = core.regenerate("5.4", token, payload(claim)).await.ok();
            assert_eq!(again["session"]["userDataInJWT"], json!({ claim: true }));
            assert_eq!(again["session"]["userId"], "alice");
            assert_eq!(again["session"]["tenantId"], "public");
        }
    }
}
