//! Sessions of an SDK of one version in the hands of an SDK of every other.

use serde_json::{Value, json};

use crate::support::{Core, access_token, merged, part, refresh_token, text};

/// A version for each format of access token and each way to rotate, with that format.
const VERSIONS: [(&str, &str); 8] = [
    ("2.2", "2"),
    ("2.9", "2"),
    ("2.21", "3"),
    ("3.0", "4"),
    ("4.0", "5"),
    ("5.0", "5"),
    ("5.4", "5"),
    ("5.6", "5"),
];

fn format_of(session: &Value) -> Value {
    part(access_token(session), 0)["version"].clone()
}

/// When the token ends, in milliseconds.
fn end_of(token: &str) -> i64 {
    let claims = part(token, 1);
    claims["expiryTime"].as_i64().unwrap_or_else(|| claims["exp"].as_i64().unwrap() * 1000)
}

/// An SDK of a version.
#[derive(Clone, Copy)]
struct Sdk<'a> {
    core: &'a Core,
    version: &'static str,
}

impl Sdk<'_> {
    fn path(&self, path: &str) -> String {
        if self.version == "2.2" { path.to_owned() } else { format!("/recipe{path}") }
    }

    /// Whether its requests say that the store is asked.
    fn checks_database(&self) -> bool {
        !self.version.starts_with("2.") || self.version == "2.21"
    }

    /// Posts a body with all that any version wants beside it.
    async fn post(&self, path: &str, body: Value) -> Value {
        let body = merged(
            json!({
                "enableAntiCsrf": false, "doAntiCsrfCheck": false, "checkDatabase": false,
                "useDynamicSigningKey": true,
            }),
            body,
        );
        self.core.post(&self.path(path), self.version, body).await.ok()
    }

    async fn create(&self) -> Value {
        let body = json!({
            "userId": "alice", "userDataInJWT": { "key": "value", "none": null },
            "userDataInDatabase": { "cart": [1] },
        });
        self.post("/session", body).await
    }

    async fn verify(&self, token: &str) -> Value {
        self.post("/session/verify", json!({ "accessToken": token })).await
    }

    async fn verify_in_store(&self, token: &str) -> Value {
        let body = json!({ "accessToken": token, "checkDatabase": true });
        self.post("/session/verify", body).await
    }

    async fn refresh(&self, token: &str) -> Value {
        self.post("/session/refresh", json!({ "refreshToken": token })).await
    }

    async fn regenerate(&self, token: &str, payload: Value) -> Value {
        let body = json!({ "accessToken": token, "userDataInJWT": payload });
        self.post("/session/regenerate", body).await
    }

    /// Replaces what is kept, and gives it back as it is read then.
    async fn replace(&self, path: &str, field: &str, handle: &str, value: &Value) -> Value {
        let path = self.path(path);
        let body = json!({ "sessionHandle": handle, field: value });
        let written = self.core.put(&path, self.version, body).await.ok();
        assert_eq!(written, json!({ "status": "OK" }));
        let read = self.core.get(&format!("{path}?sessionHandle={handle}"), self.version).await;
        read.ok()[field].clone()
    }
}

/// Every SDK with every other, and the format of what the first creates.
async fn each_pair(check: impl AsyncFn(Sdk<'_>, &str, Sdk<'_>, &str)) {
    let core = Core::new().await;
    for (old, old_format) in VERSIONS {
        for (new, new_format) in VERSIONS {
            let sdk = |version| Sdk { core: &core, version };
            check(sdk(old), old_format, sdk(new), new_format).await;
        }
    }
}

#[tokio::test]
async fn every_token_is_verified() {
    each_pair(async |old, format, new, _| {
        let created = old.create().await;
        assert_eq!(format_of(&created), format);
        for verified in [
            new.verify(access_token(&created)).await,
            new.verify_in_store(access_token(&created)).await,
        ] {
            let session = &verified["session"];
            assert_eq!(session["handle"], created["session"]["handle"]);
            assert_eq!(session["userId"], "alice");
            assert_eq!(session["userDataInJWT"], json!({ "key": "value", "none": null }));
            assert!(session.get("tenantId").is_none_or(|tenant| tenant == "public"));
            assert!(session.get("recipeUserId").is_none_or(|user| user == "alice"));
            assert!(verified.get("accessToken").is_none());
        }
    })
    .await;
}

#[tokio::test]
async fn a_regenerated_token_keeps_its_format() {
    each_pair(async |old, format, new, _| {
        let created = old.create().await;
        let payload = json!({ "n": null, "deep": { "list": [1, 0.5] } });
        let again = new.regenerate(access_token(&created), payload.clone()).await;
        assert_eq!(format_of(&again), format);
        assert_eq!(again["session"]["userDataInJWT"], payload);
        assert_eq!(again["accessToken"]["expiry"], created["accessToken"]["expiry"]);
        for sdk in [old, new] {
            let verified = sdk.verify(access_token(&again)).await;
            assert_eq!(verified["session"]["userDataInJWT"], payload);
        }
        let next = old.refresh(refresh_token(&created)).await;
        assert_eq!(next["session"]["userDataInJWT"], payload, "it is stored");
    })
    .await;
}

#[tokio::test]
async fn a_refreshed_token_has_the_format_of_the_call() {
    each_pair(async |old, format, new, new_format| {
        let created = old.create().await;
        let next = new.refresh(refresh_token(&created)).await;
        assert_eq!(format_of(&next), new_format);
        assert_eq!(next["session"], new.verify(access_token(&next)).await["session"]);

        // Whoever uses it first replaces it in kind, where its use makes it current.
        let second = new.refresh(refresh_token(&next)).await;
        old.core.advance(1);
        let used = old.verify(access_token(&second)).await;
        let is_child = !part(access_token(&second), 1)["parentRefreshTokenHash1"].is_null();
        assert_eq!(used.get("accessToken").is_some(), is_child && old.version != "5.6");
        if used.get("accessToken").is_some() {
            assert_eq!(format_of(&used), new_format);
            assert!(end_of(access_token(&used)) > end_of(access_token(&second)));
            assert!(old.verify(access_token(&used)).await.get("accessToken").is_none());
        }
        let back = old.refresh(refresh_token(&second)).await;
        assert_eq!(format_of(&back), format, "and back again");
    })
    .await;
}

#[tokio::test]
async fn data_and_payload_are_replaced() {
    each_pair(async |old, format, new, _| {
        let created = old.create().await;
        let handle = text(&created["session"]["handle"]);
        let data = json!({ "n": 9_007_199_254_740_993_i64, "none": null });
        let read = new.replace("/session/data", "userDataInDatabase", handle, &data).await;
        assert_eq!(read, data);
        let payload = json!({ "changed": [null, 0.5] });
        let read = new.replace("/jwt/data", "userDataInJWT", handle, &payload).await;
        assert_eq!(read, payload);
        let stored = new.core.information(&created["session"]["handle"]).await;
        assert_eq!((&stored["userDataInDatabase"], &stored["userDataInJWT"]), (&data, &payload));

        let token = access_token(&created);
        let before = new.verify(token).await;
        assert_eq!(before["session"]["userDataInJWT"]["key"], "value", "not before the next token");
        let checked = new.verify_in_store(token).await;
        match new.version {
            "5.6" => {
                assert_eq!(checked["payloadUpdateAvailable"], true);
                assert_eq!(checked["session"], before["session"]);
            }
            _ if new.checks_database() => {
                assert_eq!(checked["session"]["userDataInJWT"], payload);
                assert_eq!(format_of(&checked), format);
            }
            _ => assert_eq!(checked, before, "the configuration asks for no check"),
        }
        let next = old.refresh(refresh_token(&created)).await;
        assert_eq!(next["session"]["userDataInJWT"], payload);
    })
    .await;
}
