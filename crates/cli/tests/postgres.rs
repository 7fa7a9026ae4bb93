//! `sessile serve` on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "in a test, what must not fail may panic")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use sessile_postgres_fixture::Database;
use tempfile::TempDir;

/// A running server, which is ended with the test.
struct Server {
    process: Child,
    address: String,
    line: String,
    _folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Server {
    fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_sessile"))
            .args(["serve", "--port", "0"])
            .args(arguments)
            .current_dir(folder.path())
            .env_remove("SESSILE_WRAPPING_KEY")
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).unwrap().split(',').next().unwrap().to_owned();
        Self { process, address, line, _folder: folder }
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let body = body.to_string();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\
             cdi-version: 5.4\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        serde_json::from_str(body).unwrap()
    }

    fn log_in(&self, at: &str) -> Value {
        let body = json!({
            "userId": "alice", "userDataInJWT": { "role": "editor" },
            "userDataInDatabase": { "cart": [1] }, "enableAntiCsrf": false,
        });
        self.call("POST", &format!("{at}/recipe/session"), &body)
    }

    fn refresh(&self, at: &str, created: &Value) -> Value {
        let body = json!({
            "refreshToken": created["refreshToken"]["token"], "enableAntiCsrf": false,
            "useDynamicSigningKey": true,
        });
        self.call("POST", &format!("{at}/recipe/session/refresh"), &body)
    }
}

#[test]
fn servers_on_one_database_share_sessions_keys_and_apps() {
    let database = Database::new();
    let url = database.url();
    let one = Server::start(&["--store", &url], &[]);
    assert!(one.line.ends_with("with its sessions in PostgreSQL\n"), "{}", one.line);
    let other = Server::start(&[], &[("POSTGRESQL_CONNECTION_URI", &url)]);
    let app = json!({ "appId": "shop" });
    assert_eq!(one.call("PUT", "/recipe/multitenancy/app/v2", &app)["createdNew"], true);
    // Whoever starts after an app was made knows it.
    let third = Server::start(&["--store", &url], &[]);
    for (at, servers) in [("", [&one, &other]), ("/appid-shop", [&one, &third])] {
        let created = servers[0].log_in(at);
        assert_eq!(created["status"], "OK", "{created}");
        let token = &created["accessToken"]["token"];
        let verify = json!({
            "accessToken": token, "doAntiCsrfCheck": false, "enableAntiCsrf": false,
            "checkDatabase": true,
        });
        let path = format!("{at}/recipe/session/verify");
        assert_eq!(servers[1].call("POST", &path, &verify)["session"]["userId"], "alice");
        let child = servers[1].refresh(at, &created);
        assert_eq!(servers[0].refresh(at, &child)["status"], "OK");
        assert_eq!(servers[1].refresh(at, &created)["status"], "TOKEN_THEFT_DETECTED");
    }
    let rows = database.rows("SELECT DISTINCT app_id FROM session_info ORDER BY 1");
    assert_eq!(rows, ["public", "shop"], "in the tables of SuperTokens' core");
}

#[test]
fn the_keys_of_a_configuration_name_schema_and_tables() {
    let database = Database::new();
    let url = format!("{}?currentSchema=auth", database.url().split('?').next().unwrap());
    let environment = [
        ("POSTGRESQL_CONNECTION_URI", url.as_str()),
        ("POSTGRESQL_TABLE_NAMES_PREFIX", "st"),
        ("POSTGRESQL_SESSION_INFO_TABLE_NAME", "logins"),
    ];
    Server::start(&[], &environment).log_in("");
    assert_eq!(database.rows("SELECT user_id FROM auth.logins"), ["alice"]);
    assert_eq!(database.rows("SELECT count(*) FROM auth.st_apps"), ["1"]);
}
