use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Server, json};

/// The fields in the table of the page for operators.
fn documented() -> BTreeSet<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, table) = page.split_once("| field | where | what it is |").unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let names = rows.flat_map(|row| row.split('|').nth(1).unwrap().split(','));
    names.map(|name| name.trim().trim_matches('`').to_owned()).collect()
}

#[test]
fn a_log_in_json_has_the_documented_fields_and_no_secret() {
    let arguments = ["--store", "memory", "--log-format", "json", "--log-level", "debug"];
    let server = Server::start(&arguments);
    let created = server.create();
    let token = &created["refreshToken"]["token"];
    let refresh = |token: &Value| {
        let body = json!({
            "refreshToken": token,
            "antiCsrfToken": created["antiCsrfToken"],
            "enableAntiCsrf": false,
            "useDynamicSigningKey": true,
        });
        let head = "x-request-id: of-the-test\r\napi-key: the-api-key\r\nCookie: a=the-cookie\r\n";
        json(&server.call("POST", "/recipe/session/refresh?secret=query", head, &body.to_string()))
    };
    let next = refresh(token);
    refresh(&next["refreshToken"]["token"]);
    assert_eq!(refresh(token)["status"], "TOKEN_THEFT_DETECTED");
    let created_too = server.create();
    server.call("POST", "/recipe/session/remove", "", "{\"userId\":\"alice\"}");
    let log = server.log();

    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut fields = BTreeSet::new();
    for line in &lines {
        fields.extend(line.as_object().unwrap().keys().cloned());
    }
    let of_failures = ["cause", "error"].map(str::to_owned);
    fields.extend(of_failures);
    assert_eq!(fields, documented());

    let find = |message: &str| {
        let found = lines.iter().rfind(|line| line["message"] == message);
        found.unwrap_or(&Value::Null).clone()
    };
    let theft = find("token theft detected");
    assert_eq!((&theft["level"], &theft["kind"]), (&json!("WARN"), &json!("stale_refresh_token")));
    assert_eq!(theft["session_handle"], created["session"]["handle"]);
    assert_eq!(theft["span"]["request_id"], "of-the-test");
    let answered: Vec<_> =
        lines.iter().filter(|line| line["message"] == "request answered").collect();
    assert_eq!(answered.len(), 6, "{log}");
    let refreshed = answered.iter().find(|line| line["route"] == "session_refresh").unwrap();
    assert_eq!(refreshed["span"], json!({ "name": "request", "request_id": "of-the-test" }));
    assert_eq!(refreshed["path"], "/recipe/session/refresh");
    assert_eq!((&refreshed["status"], &refreshed["cdi"]), (&json!(200), &json!("5.6")));
    assert!(refreshed["client"].as_str().unwrap().starts_with("127.0.0.1:"), "{refreshed}");
    assert_eq!(find("session revoked")["reason"], "all_of_user");

    for session in [&created, &next, &created_too] {
        for secret in ["accessToken", "refreshToken"] {
            assert!(!log.contains(session[secret]["token"].as_str().unwrap()), "{secret}");
        }
        if let Some(secret) = session["antiCsrfToken"].as_str() {
            assert!(!log.contains(secret), "an anti-CSRF token");
        }
    }
    for secret in ["the-api-key", "the-cookie", "secret=query", "alice"] {
        assert!(!log.contains(secret), "{secret}");
    }
}

#[test]
fn where_nothing_is_said_requests_and_logins_leave_no_line() {
    let server = Server::start(&["--store", "memory"]);
    server.create();
    server.call("GET", "/nothing", "", "");
    let log = server.log();
    let of_keys = |line: &str| line.contains(" INFO") && line.contains("new signing key");
    assert!(!log.is_empty() && log.lines().all(of_keys), "{log}");
}
