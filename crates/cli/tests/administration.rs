//! `sessile sessions` and `sessile keys` beside a running server, on its store and through it.

#![expect(clippy::unwrap_used, reason = "in a test, what must not fail may panic")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A running server, which is ended with the test.
struct Server {
    process: Child,
    address: String,
    folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn sessile(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sessile"));
    command.current_dir(folder).env_remove("SESSILE_WRAPPING_KEY").env_remove("SESSILE_API_KEY");
    command
}

impl Server {
    fn start(environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = sessile(folder.path())
            .args(["serve", "--port", "0"])
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).unwrap().split(',').next().unwrap().to_owned();
        Self { process, address, folder }
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let body = body.to_string();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\
             cdi-version: 5.4\r\napi-key: {KEY}\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
    }

    /// The handle of a new session.
    fn log_in(&self, user_id: &str) -> String {
        let body = json!({
            "userId": user_id, "userDataInJWT": { "role": "editor" },
            "userDataInDatabase": { "cart": [1] }, "enableAntiCsrf": false,
        });
        let created = self.call("POST", "/recipe/session", &body);
        created["session"]["handle"].as_str().unwrap().to_owned()
    }

    /// The options that name it, and those that name its store.
    fn targets(&self) -> [Vec<String>; 2] {
        let url = format!("http://{}/", self.address);
        [
            vec!["--store".to_owned(), "sessile.db".to_owned()],
            vec!["--server".to_owned(), url, "--api-key".to_owned(), KEY.to_owned()],
        ]
    }

    fn run(&self, arguments: &[&str], target: &[String]) -> Output {
        sessile(self.folder.path()).args(arguments).args(target).output().unwrap()
    }

    #[track_caller]
    fn text(&self, arguments: &[&str], target: &[String]) -> String {
        let output = self.run(arguments, target);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?} {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn json(&self, arguments: &[&str], target: &[String]) -> Value {
        let text = self.text(&[arguments, &["--json"]].concat(), target);
        serde_json::from_str(&text).unwrap()
    }

    #[track_caller]
    fn refusal(&self, arguments: &[&str], target: &[&str]) -> String {
        let target: Vec<_> = target.iter().map(|&text| text.to_owned()).collect();
        let output = self.run(arguments, &target);
        assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

const KEY: &str = "an-api-key-of-many-letters";

#[test]
fn sessions_are_listed_shown_and_ended() {
    let server = Server::start(&[("API_KEYS", KEY)]);
    for target in &server.targets() {
        let list = ["sessions", "list", "--user", "al ice&"];
        assert_eq!(server.json(&list, target), json!([]));
        let handles = [server.log_in("al ice&"), server.log_in("al ice&")];
        let other = server.log_in("bob");

        let listed = server.json(&list, target);
        let listed: Vec<_> = listed.as_array().unwrap().iter().map(|one| &one["handle"]).collect();
        assert_eq!(listed, [&json!(handles[0]), &json!(handles[1])]);
        let table = server.text(&list, target);
        let lines: Vec<_> = table.lines().collect();
        assert!(lines.len() == 3 && lines[0].starts_with("HANDLE"), "{table}");
        assert!(lines[1].starts_with(&handles[0]) && lines[1].contains("  public  20"), "{table}");

        let shown = server.json(&["sessions", "show", &other], target);
        assert_eq!(shown["userId"], "bob");
        assert_eq!(shown["jwtPayload"], json!({ "role": "editor" }));
        assert_eq!(shown["sessionData"], json!({ "cart": [1] }));
        let lifetime = shown["expiresAt"].as_i64().unwrap() - shown["createdAt"].as_i64().unwrap();
        assert_eq!(lifetime, 8_640_000_000);
        let text = server.text(&["sessions", "show", &other], target);
        assert!(text.contains("user     bob\n") && text.contains("\"role\": \"editor\""), "{text}");

        let revoke = ["sessions", "revoke", &handles[0], "unknown"];
        assert_eq!(server.json(&revoke, target), json!({ "revoked": [handles[0]] }));
        assert_eq!(server.text(&revoke, target), "0 revoked\n");
        let all = ["sessions", "revoke", "--user", "al ice&"];
        assert_eq!(server.text(&all, target), format!("{}\n1 revoked\n", handles[1]));
        assert_eq!(server.json(&list, target), json!([]));
        let told = server.call("GET", "/recipe/session/user?userId=bob", &Value::Null);
        assert!(told["sessionHandles"].as_array().unwrap().contains(&json!(other)));
    }
}

#[test]
fn keys_are_listed_and_replaced() {
    let server = Server::start(&[("API_KEYS", KEY)]);
    for (target, states) in server.targets().iter().zip([false, true]) {
        let before = server.json(&["keys", "list"], target);
        let made = server.json(&["keys", "rotate"], target);
        // The first time; the second is within the minute in which that key is published.
        assert_eq!(made, json!({ "made": !states }));
        let after = server.json(&["keys", "list"], target);
        let after = after.as_array().unwrap();
        assert_eq!(after.len(), before.as_array().unwrap().len() + usize::from(!states));
        assert!(after.iter().all(|key| key["algorithm"] == "RS256"), "{after:?}");
        assert_eq!(after.iter().filter(|key| key["kind"] == "static").count(), 1);
        let found: Vec<_> = after.iter().filter_map(|key| key["state"].as_str()).collect();
        let expected: &[_] = if states { &["published", "signing", "signing"] } else { &[] };
        assert_eq!(found, expected);
        let table = server.text(&["keys", "list"], target);
        assert!(table.starts_with("KEY ") && table.lines().count() == after.len() + 1, "{table}");
        assert!(table.contains("signing") == states, "{table}");
    }
    let published = server.call("GET", "/.well-known/jwks.json", &Value::Null);
    assert_eq!(published["keys"].as_array().unwrap().len(), 3, "the server knows the new key");
}

#[test]
fn what_cannot_be_is_said() {
    let server = Server::start(&[("API_KEYS", KEY)]);
    let url = format!("http://{}", server.address);
    let list = ["sessions", "list", "--user", "alice"];
    for (arguments, target, problem) in [
        (&list[..], &["--store", "other.db"][..], "there is no file other.db"),
        (&list, &["--server", &url], "401: Invalid API key; give its key with --api-key"),
        (&list, &["--server", &url, "--api-key", "wrong"], "401: Invalid API key"),
        (&list, &["--server", "localhost:3567"], "must begin with http:// or https://"),
        (&list, &["--server", "http://127.0.0.1:1"], "the server cannot be reached"),
        (&list, &["--server", &url, "--store", "sessile.db"], "cannot be used with"),
        (&list, &["--app", "A"], "an app id must be"),
        (&["sessions", "revoke"], &[], "required"),
        (&["sessions", "show", "unknown"], &[], "there is no session of that handle"),
        (&["keys", "rotate"], &["--app", "other"], "has no signing key to replace"),
    ] {
        let said = server.refusal(arguments, target);
        assert!(said.contains(problem), "{arguments:?} {target:?}: {said}");
        assert!(!said.contains("wrong"), "a key is not repeated: {said}");
    }
    assert!(!server.folder.path().join("other.db").exists(), "nothing is made");
}
