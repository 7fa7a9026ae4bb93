//! How long things are good for.

use serde_json::json;
use sessile_server::{AppConfig, ServerConfig};

use crate::support::{Core, access_token, refresh_token};

#[tokio::test]
async fn from_5_6_on_a_request_may_shorten_its_access_token() {
    let core = Core::new().await;
    let created = core.create("5.6").await;
    for wanted in [1000_i64, 60_000, 3_600_000] {
        let more = json!({ "accessTokenValidity": wanted });
        let expected = (core.now() + wanted) / 1000 * 1000;
        let short = core.create_with("", "5.6", more.clone()).await;
        assert_eq!(short["accessToken"]["expiry"], expected);
        assert_eq!(short["refreshToken"]["expiry"], core.now() + 8_640_000_000);
        let next = core.refresh_with("5.6", refresh_token(&short), more.clone()).await.ok();
        assert_eq!(next["accessToken"]["expiry"], expected);
        let ignored = core.create_with("", "5.5", more).await;
        assert_eq!(ignored["accessToken"]["expiry"], created["accessToken"]["expiry"]);
    }
    let problem = "accessTokenValidity must be greater than 0 and at most the configured \
                   access_token_validity (3600000 ms)";
    for wanted in [0_i64, -1, 3_600_001, i64::MAX] {
        let body = json!({
            "userId": "alice", "userDataInJWT": {}, "userDataInDatabase": {},
            "enableAntiCsrf": false, "accessTokenValidity": wanted,
        });
        core.post("/recipe/session", "5.6", body).await.refused(400, problem);
        let more = json!({ "accessTokenValidity": wanted });
        core.refresh_with("5.6", refresh_token(&created), more).await.refused(400, problem);
    }
}

#[tokio::test]
async fn jitter_only_shortens_access_tokens_that_are_issued() {
    let jitter = |access_token_validity_jitter| ServerConfig {
        app: AppConfig { access_token_validity_jitter, ..AppConfig::default() },
        ..ServerConfig::default()
    };
    let core = Core::with(jitter(0.25)).await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..8 {
        let created = core.create("5.4").await;
        let expiry = created["accessToken"]["expiry"].as_i64().unwrap();
        let validity = expiry - created["accessToken"]["createdTime"].as_i64().unwrap();
        assert!((2_700_000..=3_600_000).contains(&validity), "{validity}");
        seen.insert(validity);
        assert_eq!(created["refreshToken"]["expiry"], core.now() + 8_640_000_000);
    }
    assert!(seen.len() > 1);
    let core = Core::with(jitter(0.0)).await;
    let created = core.create("2.9").await;
    assert_eq!(created["accessToken"]["expiry"], core.now() + 3_600_000);
}

#[tokio::test]
async fn jitter_is_of_creation_and_refresh_in_every_version() {
    let app = AppConfig { access_token_validity_jitter: 0.25, ..AppConfig::default() };
    let core = Core::with(ServerConfig { app, ..ServerConfig::default() }).await;
    let validity = |session: &serde_json::Value| {
        let token = &session["accessToken"];
        token["expiry"].as_i64().unwrap() - token["createdTime"].as_i64().unwrap()
    };
    for version in ["2.9", "2.21", "3.0", "5.4", "5.6"] {
        let mut seen = std::collections::BTreeSet::new();
        let created = core.create(version).await;
        for _ in 0..8 {
            let next = core.refresh(version, refresh_token(&created)).await;
            assert!((2_700_000..=3_600_000).contains(&validity(&next)), "{version}");
            seen.insert(validity(&next));
            assert_eq!(next["refreshToken"]["expiry"], core.now() + 8_640_000_000);
        }
        assert!(seen.len() > 1, "{version}");
    }
    for version in ["2.9", "2.21", "5.4"] {
        let created = core.create(version).await;
        let next = core.refresh(version, refresh_token(&created)).await;
        let used = core.verify(version, access_token(&next)).await;
        assert_eq!(validity(&used), 3_600_000, "its first use gives the whole time: {version}");
        let again = core.regenerate(version, access_token(&next), json!({})).await.ok();
        assert_eq!(again["accessToken"]["expiry"], next["accessToken"]["expiry"]);
    }
}

#[tokio::test]
async fn a_shortened_token_is_followed_by_one_of_the_usual_length() {
    let core = Core::new().await;
    let short = json!({ "accessTokenValidity": 60_000 });
    let created = core.create_with("", "5.6", short).await;
    let next = core.refresh("5.6", refresh_token(&created)).await;
    assert_eq!(next["accessToken"]["expiry"], (core.now() + 3_600_000) / 1000 * 1000);
    core.advance(61);
    assert_eq!(core.verify("5.6", access_token(&created)).await["status"], "TRY_REFRESH_TOKEN");
    // What is wrong with the request is said before anything of the token.
    let more = json!({ "accessTokenValidity": 0 });
    let answer = core.refresh_with("5.6", "nonsense", more).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_refreshed() {
    let core = Core::new().await;
    let created = core.create("5.4").await;
    core.advance(100 * 24 * 3600 + 1);
    let answer = core.refresh("5.4", refresh_token(&created)).await;
    let message = "Session missing in db or has expired";
    assert_eq!(answer, json!({ "status": "UNAUTHORISED", "message": message }));
    let listed = core.get("/recipe/session/user?userId=alice", "5.4").await.ok();
    assert_eq!(listed["sessionHandles"], json!([]));
    let stored = core.information(&created["session"]["handle"]).await;
    assert_eq!(stored["message"], "Session does not exist.");
    assert_eq!(core.verify("5.4", access_token(&created)).await["status"], "TRY_REFRESH_TOKEN");
}

#[tokio::test]
async fn an_unreadable_refresh_token_is_unauthorised() {
    let core = Core::new().await;
    let unknown = "io.supertokens.session.refreshToken.RefreshToken$\
                   InvalidRefreshTokenFormatException: version of refresh token not recognised";
    for (token, message) in [
        ("", unknown),
        ("x", unknown),
        ("a.b.V3", unknown),
        ("a.V0", unknown),
        ("a.b.V2", "the refresh token cannot be read"),
        ("a.b.v1", "the refresh token cannot be read"),
    ] {
        let answer = core.refresh("5.4", token).await;
        assert_eq!(answer, json!({ "status": "UNAUTHORISED", "message": message }), "{token}");
    }
}
