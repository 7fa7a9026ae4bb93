//! Who is let in: by address, by API key, and in which version.

use http::StatusCode;
use serde_json::json;
use sessile_server::{AddressFilter, ApiKeys, AppConfig, ServerConfig};

use crate::support::Core;

const KEY: &str = "hg40239oirjgBHD9450=Beew123-";
const OTHER: &str = "another-key-with-20-characters";
const SECRET: &str = "a-secret-of-forty-characters-and-a-few-more";
const APP: &str = "/recipe/multitenancy/app/v2";
const ASKED: &str = "/recipe/session/user?userId=alice";

fn with_keys(keys: &str) -> ServerConfig {
    let app = AppConfig { api_keys: ApiKeys::parse(keys).unwrap(), ..AppConfig::default() };
    ServerConfig { app, ..ServerConfig::default() }
}

#[tokio::test]
async fn a_request_must_bring_a_key_where_there_are_some() {
    let core = Core::with(with_keys(&format!("{KEY}, {OTHER} "))).await;
    for (header, value) in [
        ("api-key", KEY),
        ("api-key", OTHER),
        ("api-key", &format!(" {KEY} ")),
        ("authorization", KEY),
        ("authorization", &format!("Bearer {KEY}")),
        ("authorization", &format!("bEARER  {OTHER} ")),
    ] {
        for path in [ASKED, "/apiversion", "/telemetry", "/recipe/jwt/jwks"] {
            let answer = core.call_from("", path, &[(header, value)]).await;
            assert_eq!(answer.status, StatusCode::OK, "{path} with {header}: {value}");
        }
    }
    for headers in [
        &[][..],
        &[("api-key", "")],
        &[("api-key", "hg40239oirjgBHD9450=Beew123")],
        &[("api-key", "HG40239OIRJGBHD9450=BEEW123-")],
        &[("api-key", "wrong"), ("authorization", KEY)],
        &[("authorization", "Bearer")],
        &[("authorization", "Basic hg40239oirjgBHD9450=Beew123-")],
        &[("cdi-version", "nonsense")],
    ] {
        for path in [ASKED, "/apiversion", "/session/user?userId=a", "/t1/recipe/jwt/jwks"] {
            core.call_from("", path, headers).await.refused(401, "Invalid API key");
        }
    }
    for path in ["/", "/hello", "/config?pid=1", "/.well-known/jwks.json"] {
        assert_eq!(core.get(path, "").await.status, StatusCode::OK, "{path}");
    }
    core.get("/no/such/path", "").await.refused(404, "Not found");
    let unknown = core.get("/appid-unknown/recipe/session/user?userId=a", "").await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST, "there is no such app: {}", unknown.text);
}

#[tokio::test]
async fn an_app_may_have_keys_of_its_own_and_one_secret_opens_all() {
    let mut config = with_keys(KEY);
    config.supertokens_saas_secret = ApiKeys::parse(SECRET).unwrap();
    let core = Core::with(config).await;
    let put = async |settings: serde_json::Value| {
        let request = http::Request::put(APP).header("api-key", KEY);
        let body = json!({ "appId": "a", "coreConfig": settings }).to_string();
        core.send(request.body(body.into()).unwrap()).await
    };
    put(json!({ "api_keys": OTHER })).await.ok();
    for (path, key, status) in [
        (ASKED, KEY, 200),
        (ASKED, OTHER, 401),
        (ASKED, SECRET, 200),
        ("/appid-a/recipe/session/user?userId=b", OTHER, 200),
        ("/appid-a/recipe/session/user?userId=b", KEY, 401),
        ("/appid-a/recipe/session/user?userId=b", SECRET, 200),
        ("/appid-a/unknown-tenant/recipe/jwt/jwks", KEY, 401),
    ] {
        let answer = core.call_from("", path, &[("api-key", key)]).await;
        assert_eq!(answer.status.as_u16(), status, "{path} with {key}: {}", answer.text);
    }
    // Taken away, the server's count again.
    put(json!({ "api_keys": null })).await.ok();
    let path = "/appid-a/recipe/session/user?userId=b";
    assert_eq!(core.call_from("", path, &[("api-key", KEY)]).await.status, StatusCode::OK);
    for (keys, problem) in [
        (json!("short"), "One of the API keys is too short. Please use at least 20 characters"),
        (
            json!("with_an_underscore_in_it"),
            "Invalid characters in API key. Please only use '=', '-' and alpha-numeric (including \
             capitals)",
        ),
        (json!([KEY]), "'api_keys' must be of type string"),
    ] {
        let answer = put(json!({ "api_keys": keys })).await;
        answer.refused(400, &format!("Invalid core config: {problem}"));
    }
    let answer = put(json!({ "supertokens_saas_secret": SECRET })).await;
    answer.refused(
        400,
        "Invalid core config: supertokens_saas_secret can only be set via the core's base config \
         setting",
    );
}

#[tokio::test]
async fn a_digest_in_the_configuration_is_as_good_as_its_key() {
    // printf %s hg40239oirjgBHD9450=Beew123- | sha256sum
    let digest = "ad82e89bbc329dce6ecee14bad7e7956fcceb61b3bac70e005693901089b7b41";
    let core = Core::with(with_keys(&format!("{OTHER},sha256:{digest}"))).await;
    for key in [KEY, OTHER] {
        assert_eq!(core.call_from("", ASKED, &[("api-key", key)]).await.status, StatusCode::OK);
    }
    let answer = core.call_from("", ASKED, &[("api-key", digest)]).await;
    answer.refused(401, "Invalid API key");
}

#[tokio::test]
async fn addresses_are_looked_at_before_keys() {
    let mut config = with_keys(KEY);
    config.app.addresses = AddressFilter::default()
        .allowing(r"10\.\d+\.\d+\.\d+|::1")
        .unwrap()
        .denying(r"10\.0\.0\.1")
        .unwrap();
    let core = Core::with(config).await;
    for (address, path, headers, status, text) in [
        ("10.2.3.4", ASKED, &[("api-key", KEY)][..], 200, None),
        ("::1", ASKED, &[("api-key", KEY)], 200, None),
        ("10.2.3.4", ASKED, &[], 401, Some("Invalid API key")),
        ("10.0.0.1", ASKED, &[("api-key", KEY)], 403, Some("Forbidden")),
        ("11.0.0.1", ASKED, &[], 403, Some("Forbidden")),
        ("11.0.0.1", "/hello", &[], 403, Some("Forbidden")),
        ("11.0.0.1", "/no/such/path", &[], 403, Some("Forbidden")),
        ("11.0.0.1", "/appid-unknown/hello", &[], 403, Some("Forbidden")),
        ("", "/hello", &[], 403, Some("Forbidden")),
    ] {
        let answer = core.call_from(address, path, headers).await;
        match text {
            Some(text) => answer.refused(status, text),
            None => assert_eq!(answer.status.as_u16(), status, "{address} {path}"),
        }
    }
}

#[tokio::test]
async fn a_tenant_may_have_addresses_of_its_own() {
    let core = Core::new().await;
    core.put(APP, "", json!({ "appId": "a", "coreConfig": { "ip_deny_regex": "10.*" } }))
        .await
        .ok();
    let tenant = async |settings: serde_json::Value| {
        let body = json!({ "tenantId": "t1", "coreConfig": settings });
        let request = http::Request::put("/appid-a/recipe/multitenancy/tenant/v2");
        let from = axum::extract::ConnectInfo(std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
        core.send(request.extension(from).body(body.to_string().into()).unwrap()).await
    };
    tenant(json!({ "ip_deny_regex": "11.*" })).await.ok();
    for (path, address, status) in [
        ("/hello", "10.0.0.1", 200),
        ("/appid-a/hello", "10.0.0.1", 403),
        ("/appid-a/t1/hello", "10.0.0.1", 200),
        ("/appid-a/t1/hello", "11.0.0.1", 403),
        ("/appid-a/t2/hello", "10.0.0.1", 403),
        ("/appid-a/hello", "11.0.0.1", 200),
    ] {
        let answer = core.call_from(address, path, &[]).await;
        assert_eq!(answer.status.as_u16(), status, "{path} from {address}");
    }
    // Without one of its own it has its app's again.
    tenant(json!({ "ip_deny_regex": null, "password_reset_token_lifetime": 5 })).await.ok();
    assert_eq!(core.call_from("10.0.0.1", "/appid-a/t1/hello", &[]).await.status.as_u16(), 403);
    for (name, expression) in [("ip_deny_regex", "("), ("ip_allow_regex", "*")] {
        let answer = tenant(json!({ name: expression })).await;
        answer.refused(
            400,
            &format!(
                "Invalid core config: Provided regular expression is invalid for {name} config"
            ),
        );
    }
}

#[tokio::test]
async fn versions_are_bounded_for_each_app() {
    let bounds = |min: Option<&str>, max: Option<&str>| {
        let version = |text: &str| text.parse().unwrap();
        let app = AppConfig {
            supertokens_min_cdi_version: min.map(version),
            supertokens_max_cdi_version: max.map(version),
            ..AppConfig::default()
        };
        ServerConfig { app, ..ServerConfig::default() }
    };
    let core = Core::with(bounds(Some("2.21"), Some("5.4"))).await;
    for version in ["2.21", "5.4", "5.4.0"] {
        assert_eq!(core.get(ASKED, version).await.status, StatusCode::OK, "{version}");
    }
    for version in ["5.5", "5.6"] {
        let text = format!("cdi-version {version} not supported");
        core.get(ASKED, version).await.refused(400, &text);
    }
    core.get(ASKED, "9.9").await.refused(400, "cdi-version 9.9 not supported");
    core.get(ASKED, "x").await.refused(400, "cdi-version header is invalid");
    let text = "cdi-version 2.20 is lower than the minimum allowed version 2.21";
    core.get(ASKED, "2.20").await.refused(400, text);
    let text = "cdi-version 2.3 is lower than the minimum allowed version 2.21";
    core.get("/session/user?userId=alice", "").await.refused(400, text);
    assert!(core.get("/hello", "2.7").await.status.is_success());

    // What names no version follows the newest that is served: 5.4 tells nothing of reuse.
    let created = core.create("").await;
    let first = core.refresh("", crate::support::refresh_token(&created)).await;
    let second = core.refresh("", crate::support::refresh_token(&created)).await;
    core.verify("", crate::support::access_token(&first)).await;
    let theft = core.refresh("", crate::support::refresh_token(&second)).await;
    assert_eq!(theft["status"], "TOKEN_THEFT_DETECTED");
    assert_eq!(theft.get("recentTokenReuseSubtype"), None);

    let versions = core.get("/apiversion", "").await.outcome();
    let versions = versions["versions"].as_array().unwrap();
    assert!(versions.contains(&json!("5.4")) && !versions.contains(&json!("5.5")));
    assert!(versions.contains(&json!("2.7")), "the least is not listed otherwise");

    // An app has its own bounds.
    let settings = json!({ "supertokens_max_cdi_version": "4.0" });
    core.put(APP, "5.4", json!({ "appId": "a", "coreConfig": settings })).await.ok();
    core.get("/appid-a/recipe/session/user?userId=b", "5.4")
        .await
        .refused(400, "cdi-version 5.4 not supported");
    for (settings, problem) in [
        (
            json!({ "supertokens_max_cdi_version": "2.7" }),
            "supertokens_min_cdi_version cannot be greater than supertokens_max_cdi_version",
        ),
        (
            json!({ "supertokens_max_cdi_version": "2.99" }),
            "supertokens_max_cdi_version is not a supported version",
        ),
        (
            json!({ "supertokens_min_cdi_version": "new" }),
            "supertokens_min_cdi_version is not a valid semantic version",
        ),
    ] {
        let answer = core.put(APP, "5.4", json!({ "appId": "a", "coreConfig": settings })).await;
        answer.refused(400, &format!("Invalid core config: {problem}"));
    }

    // Only the paths of old SDKs are left.
    let core = Core::with(bounds(None, Some("2.2"))).await;
    core.get(ASKED, "").await.refused(404, "Not found");
    assert_eq!(core.get("/session/user?userId=alice", "").await.status, StatusCode::OK);
    let text = "cdi-version 2.3 not supported";
    core.get("/session/user?userId=alice", "2.3").await.refused(400, text);
}
