//! Whatever comes to whichever route, in whichever version: it is answered as documented, and never
//! with 500.

use std::{collections::BTreeSet, sync::Mutex};

use axum::{Router, body::Body};
use http::{HeaderValue, Request};
use http_body_util::BodyExt as _;
use proptest::{
    prelude::*,
    sample::{Index, select},
    test_runner::{TestCaseError, TestRunner},
};
use serde_json::{Value, json};
use sessile_core::{Sessions, memory::MemoryStore};
use sessile_server::{Server, ServerConfig};
use tower::ServiceExt as _;

/// How many requests are made up.
const CASES: u32 = 3000;

/// Every route with its verbs, and the fields of its body or query.
const ROUTES: [(&str, &str, &[&str]); 33] = [
    ("GET", "/", &[]),
    ("POST", "/hello", &[]),
    ("GET", "/apiversion", &["websiteDomain", "apiDomain"]),
    ("GET", "/config", &["pid"]),
    ("GET", "/telemetry", &[]),
    ("GET", "/user/id", &["userId", "userIdType"]),
    ("POST", "/recipe/handshake", &["deviceDriverInfo"]),
    ("POST", "/recipe/session", CREATE),
    ("GET", "/recipe/session", &["sessionHandle"]),
    ("DELETE", "/session", &["sessionHandle"]),
    ("POST", "/recipe/session/verify", VERIFY),
    ("POST", "/recipe/session/refresh", REFRESH),
    ("POST", "/recipe/session/regenerate", &["accessToken", "userDataInJWT"]),
    ("POST", "/recipe/session/remove", REMOVE),
    ("POST", "/recipe/session/remove", &["sessionHandles"]),
    ("GET", "/recipe/session/user", LIST),
    ("GET", "/recipe/session/data", &["sessionHandle"]),
    ("PUT", "/recipe/session/data", &["sessionHandle", "userDataInDatabase"]),
    ("GET", "/recipe/jwt/data", &["sessionHandle"]),
    ("PUT", "/recipe/jwt/data", &["sessionHandle", "userDataInJWT"]),
    ("POST", "/recipe/jwt", JWT),
    ("GET", "/recipe/jwt/jwks", &[]),
    ("GET", "/.well-known/jwks.json", &[]),
    ("PUT", "/ee/license", &["licenseKey"]),
    ("GET", "/ee/featureflag", &[]),
    ("PUT", "/recipe/multitenancy/app/v2", APP),
    ("POST", "/recipe/multitenancy/app/remove", &["appId"]),
    ("PUT", "/recipe/multitenancy/tenant/v2", TENANT),
    ("GET", "/recipe/multitenancy/tenant/v2", &[]),
    ("GET", "/recipe/multitenancy/tenant/list/v2", &[]),
    ("POST", "/recipe/multitenancy/tenant/remove", &["tenantId"]),
    ("GET", "/sessile/keys", &[]),
    ("POST", "/sessile/keys/rotate", &[]),
];
const CREATE: &[&str] = &[
    "userId",
    "userDataInJWT",
    "userDataInDatabase",
    "enableAntiCsrf",
    "useDynamicSigningKey",
    "accessTokenValidity",
];
const VERIFY: &[&str] =
    &["accessToken", "antiCsrfToken", "doAntiCsrfCheck", "enableAntiCsrf", "checkDatabase"];
const REFRESH: &[&str] = &[
    "refreshToken",
    "antiCsrfToken",
    "enableAntiCsrf",
    "useDynamicSigningKey",
    "accessTokenValidity",
];
const REMOVE: &[&str] = &["userId", "revokeAcrossAllTenants", "revokeSessionsForLinkedAccounts"];
const LIST: &[&str] = &["userId", "fetchAcrossAllTenants", "fetchSessionsForAllLinkedAccounts"];
const JWT: &[&str] = &["algorithm", "jwksDomain", "payload", "validity", "useStaticSigningKey"];
const APP: &[&str] = &["appId", "coreConfig", "firstFactors", "requiredSecondaryFactors"];
const TENANT: &[&str] = &["tenantId", "coreConfig", "firstFactors", "requiredSecondaryFactors"];

const VERSIONS: [&str; 16] = [
    "2.0", "2.1", "2.2", "2.3", "2.7", "2.9", "2.20", "2.21", "3.0", "4.0", "5.0", "5.4", "5.6",
    "9.9", "", "nonsense",
];

const PREFIXES: [&str; 12] = [
    "",
    "",
    "",
    "",
    "",
    "/public",
    "/appid-public",
    "/appid-a",
    "/appid-a/t1",
    "/t1",
    "/appid-none",
    "/APPID-A/T1",
];

/// What a field may be: something of the kind that it should, or anything else.
#[derive(Clone, Debug)]
enum Filling {
    Absent,
    Fitting,
    /// A fitting text with a character in it replaced.
    Damaged(Index, char),
    Any(Value),
}

/// How the bytes of a body are spoilt.
#[derive(Clone, Debug)]
enum Spoiling {
    None,
    Cut(Index),
    Byte(Index, u8),
    Replaced(Vec<u8>),
}

#[derive(Clone, Debug)]
struct Call {
    route: usize,
    method: Option<&'static str>,
    prefix: &'static str,
    legacy: bool,
    version: Option<&'static str>,
    fillings: Vec<Filling>,
    more: Vec<(String, Value)>,
    spoiling: Spoiling,
    header: Vec<u8>,
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(vec![0.0, -1.0, 0.5, 1e300, 9.3e18]).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        select(vec!["", "\0", "true", "public", "a", "t1", "appid-a", "RS256", "_", "a_b_c", "💥"])
            .prop_map(Value::from),
        (1_usize..20_000).prop_map(|length| Value::from("x".repeat(length))),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let names = prop_oneof![any::<String>(), protected_claim()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(names, inner, 0..4)
                .prop_map(|object| Value::Object(object.into_iter().collect())),
        ]
    })
}

fn protected_claim() -> impl Strategy<Value = String> {
    let claims = ["sub", "exp", "iat", "iss", "tId", "rsub", "sessionHandle", "userId"];
    let settings = ["access_token_validity", "refresh_token_validity"];
    select([claims.as_slice(), &settings].concat()).prop_map(str::to_owned)
}

fn filling() -> impl Strategy<Value = Filling> {
    prop_oneof![
        16 => Just(Filling::Fitting),
        1 => Just(Filling::Absent),
        1 => (any::<Index>(), any::<char>()).prop_map(|(at, by)| Filling::Damaged(at, by)),
        3 => any_value().prop_map(Filling::Any),
    ]
}

fn spoiling() -> impl Strategy<Value = Spoiling> {
    prop_oneof![
        16 => Just(Spoiling::None),
        1 => any::<Index>().prop_map(Spoiling::Cut),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(at, by)| Spoiling::Byte(at, by)),
        1 => prop::collection::vec(any::<u8>(), 0..64).prop_map(Spoiling::Replaced),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    let methods = select(vec!["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]);
    let method = prop_oneof![12 => Just(None), 1 => methods.prop_map(Some)];
    let version = prop_oneof![1 => select(VERSIONS.to_vec()).prop_map(Some), 1 => Just(None)];
    let names = prop_oneof![any::<String>(), Just("userId".to_owned())];
    (
        (0..ROUTES.len(), method, select(PREFIXES.to_vec()), prop::bool::weighted(0.2), version),
        prop::collection::vec(filling(), 6),
        prop::collection::vec((names, any_value()), 0..3),
        spoiling(),
        prop::collection::vec(any::<u8>(), 0..16),
    )
        .prop_map(
            |((route, method, prefix, legacy, version), fillings, more, spoiling, header)| Call {
                route,
                method,
                prefix,
                legacy,
                version,
                fillings,
                more,
                spoiling,
                header,
            },
        )
}

/// A server with an app and tenants, and what there is in it to name.
struct Target {
    router: Router,
    tokens: Vec<Value>,
    /// The routes that were answered 200 at least once.
    served: Mutex<BTreeSet<usize>>,
}

impl Target {
    async fn start() -> Self {
        let config = ServerConfig { test_mode: true, ..ServerConfig::default() };
        let server = Server::start(config, Sessions::builder(MemoryStore::new())).await.unwrap();
        let mut target =
            Self { router: server.router(), tokens: Vec::new(), served: Mutex::default() };
        for (path, body) in [
            ("/recipe/multitenancy/app/v2", json!({ "appId": "a" })),
            ("/recipe/multitenancy/tenant/v2", json!({ "tenantId": "t1" })),
            ("/appid-a/recipe/multitenancy/tenant/v2", json!({ "tenantId": "t1" })),
        ] {
            target.send("PUT", path, "5.4", body.to_string().into_bytes(), b"").await.unwrap();
        }
        for version in ["2.20", "2.21", "3.0", "5.4"] {
            let body = json!({
                "userId": "alice",
                "userDataInJWT": {},
                "userDataInDatabase": {},
                "enableAntiCsrf": true,
            });
            let body = body.to_string().into_bytes();
            let (_, text) =
                target.send("POST", "/recipe/session", version, body, b"").await.unwrap();
            target.tokens.push(serde_json::from_str(&text).unwrap());
        }
        target
    }

    /// A value of the kind that the field should have.
    fn fitting(&self, path: &str, field: &str, at: usize) -> Value {
        let session = &self.tokens[at % self.tokens.len()];
        match field {
            "userId" => json!("alice"),
            "userDataInJWT" | "userDataInDatabase" | "payload" => json!({ "a": [1, null, {}] }),
            "coreConfig" => json!({ "access_token_validity": 5 }),
            "deviceDriverInfo" => json!({ "frontendSDK": [], "driver": { "name": "a" } }),
            "accessToken" => session["accessToken"]["token"].clone(),
            "refreshToken" => session["refreshToken"]["token"].clone(),
            "antiCsrfToken" => session["antiCsrfToken"].clone(),
            "sessionHandle" => session["session"]["handle"].clone(),
            "sessionHandles" => json!([session["session"]["handle"]]),
            "validity" | "accessTokenValidity" => json!(1000),
            "algorithm" => json!("RS256"),
            // One that has tenants is not removed.
            "appId" if path.ends_with("/remove") => json!("b"),
            "appId" => json!("a"),
            "tenantId" => json!("t1"),
            "firstFactors" | "requiredSecondaryFactors" => json!(["otp-email"]),
            "pid" | "jwksDomain" | "licenseKey" => json!("1"),
            _ => json!(true),
        }
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        version: &str,
        body: Vec<u8>,
        header: &[u8],
    ) -> Result<(u16, String), TestCaseError> {
        let mut request =
            Request::builder().method(method).uri(path).header("cdi-version", version);
        if let Ok(value) = HeaderValue::from_bytes(header) {
            request = request.header("x-request-id", &value).header("rid", value);
        }
        let request = request.body(Body::from(body));
        let request = request.map_err(|_| TestCaseError::reject("no request"))?;
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Ok((status, String::from_utf8(body.to_vec()).unwrap()))
    }

    async fn try_out(&self, call: &Call) -> Result<(), TestCaseError> {
        let (method, path, names) = ROUTES[call.route];
        let filled =
            names.iter().zip(&call.fillings).enumerate().filter_map(|(at, (name, filling))| {
                let fitting = self.fitting(path, name, at + call.route);
                let value = match filling {
                    Filling::Absent => return None,
                    Filling::Fitting => fitting,
                    Filling::Damaged(at, by) => damaged(&fitting, at, *by),
                    Filling::Any(value) => value.clone(),
                };
                Some(((*name).to_owned(), value))
            });
        let fields: Vec<(String, Value)> = filled.chain(call.more.iter().cloned()).collect();
        let path = if call.legacy { path.trim_start_matches("/recipe") } else { path };
        let mut target = format!("{}{path}", call.prefix);
        if method == "GET" || method == "DELETE" {
            let mut query = form_urlencoded::Serializer::new(String::new());
            for (name, value) in &fields {
                query.append_pair(name, value.as_str().unwrap_or(&value.to_string()));
            }
            target = format!("{target}?{}", query.finish());
            target.truncate(8000);
        }
        let body = Value::Object(fields.into_iter().collect()).to_string().into_bytes();
        let body = spoilt(body, &call.spoiling);
        let method = call.method.unwrap_or(method);
        let newest = if path.ends_with("/handshake") { "2.20" } else { "5.4" };
        let version = call.version.unwrap_or(newest);
        let (status, text) = self.send(method, &target, version, body, &call.header).await?;
        prop_assert!([200, 400, 403, 404, 405].contains(&status), "{} {}", status, text);
        prop_assert!(text.ends_with('\n'), "{}", text);
        if status == 200 {
            self.served.lock().unwrap().insert(call.route);
        }
        prop_assert!(!text.contains("\0"), "{}", text);
        Ok(())
    }
}

fn damaged(value: &Value, at: &Index, by: char) -> Value {
    let Value::String(text) = value else { return Value::Null };
    let mut characters: Vec<char> = text.chars().collect();
    if !characters.is_empty() {
        let at = at.index(characters.len());
        characters[at] = by;
    }
    characters.into_iter().collect::<String>().into()
}

fn spoilt(mut body: Vec<u8>, spoiling: &Spoiling) -> Vec<u8> {
    match spoiling {
        Spoiling::None => {}
        Spoiling::Cut(at) => body.truncate(at.index(body.len())),
        Spoiling::Byte(at, by) => {
            let at = at.index(body.len());
            body[at] = *by;
        }
        Spoiling::Replaced(by) => body.clone_from(by),
    }
    body
}

#[test]
fn no_request_is_answered_500() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let target = runtime.block_on(Target::start());
    let config =
        ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let outcome =
        TestRunner::new(config).run(&call(), |call| runtime.block_on(target.try_out(&call)));
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    // A route whose every request is refused would not have been tried. `DELETE /session` is of
    // CDI 1.0 and refuses all.
    let served = target.served.lock().unwrap();
    let refusing = ROUTES.iter().enumerate().filter(|(at, _)| !served.contains(at));
    let refusing: Vec<_> = refusing.map(|(_, (method, path, _))| (*method, *path)).collect();
    assert_eq!(refusing, [("DELETE", "/session")]);
}
