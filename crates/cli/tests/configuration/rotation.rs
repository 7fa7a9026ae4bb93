//! Many refreshes with one token at the same time, over connections of their own; and keys that are
//! replaced.

use std::{collections::BTreeSet, thread, time::Duration};

use serde_json::{Value, json};

use crate::support::{Server, folder};

fn call(server: &Server, path: &str, version: &str, body: &Value) -> Value {
    let head = format!("cdi-version: {version}\r\n");
    let answer = server.call("POST", path, &head, &body.to_string());
    serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
}

/// The refresh tokens that many get who present the same one at once.
fn children_of_one_token(server: &Server, version: &str) -> BTreeSet<String> {
    let session = json!({
        "userId": "alice", "userDataInJWT": {}, "userDataInDatabase": {}, "enableAntiCsrf": false,
    });
    let created = call(server, "/recipe/session", version, &session);
    let refresh = json!({
        "refreshToken": created["refreshToken"]["token"], "enableAntiCsrf": false,
        "useDynamicSigningKey": true,
    });
    thread::scope(|scope| {
        let threads: Vec<_> = (0..12)
            .map(|_| scope.spawn(|| call(server, "/recipe/session/refresh", version, &refresh)))
            .collect();
        let token = |answer: Value| {
            assert_eq!(answer["status"], "OK", "{answer}");
            answer["refreshToken"]["token"].as_str().unwrap().to_owned()
        };
        threads.into_iter().map(|thread| token(thread.join().unwrap())).collect()
    })
}

#[test]
fn all_get_the_same_where_rotation_is_idempotent() {
    let folder = folder();
    let store = folder.path().join("sessions.db");
    let variables =
        [("SESSILE_STORE", store.to_str().unwrap()), ("SESSILE_REFRESH_ROTATION", "idempotent")];
    let server = Server::start(folder.path(), &[], &variables);
    for version in ["5.4", "5.6"] {
        assert_eq!(children_of_one_token(&server, version).len(), 1, "{version}");
    }
    let usual = Server::start(folder.path(), &[], &[]);
    for version in ["5.4", "5.6"] {
        assert_eq!(children_of_one_token(&usual, version).len(), 12, "{version}");
    }
}

/// The key that nobody asks for is made by the clock, of which a process has one of its own.
#[test]
fn a_key_is_replaced_where_no_request_comes() {
    let folder = folder();
    let interval = ("ACCESS_TOKEN_DYNAMIC_SIGNING_KEY_UPDATE_INTERVAL", "0.001");
    let server = Server::start(folder.path(), &["--test-mode"], &[interval]);
    // The first dynamic one and the static one come with the start.
    let is_replaced = || server.log().matches("new signing key").count() >= 3;
    for _ in 0..1200 {
        if is_replaced() {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    assert!(is_replaced(), "{}", server.log());
}
