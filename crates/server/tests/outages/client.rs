//! A server on a database, as a client sees it.

use std::time::Duration;

use serde_json::{Value, json};
use sessile_postgres::PostgresOptions;
use sessile_postgres_fixture::Database;
use sessile_server::ServerConfig;
use tokio::runtime::Handle;

use crate::support::{Answer, Running};

/// What a request may take. Whoever waited for so long would never be answered in a test.
const PATIENCE: Duration = Duration::from_secs(3600);

/// What is said of a database that cannot be reached.
pub(crate) const AWAY: &str = "the store cannot be reached, or did not answer in time";

/// What is said of a database that takes no writes.
pub(crate) const NOT_WRITABLE: &str = "the store cannot be written to";

pub(crate) struct Client(Running);

impl Client {
    /// One of a server on that database, which is served until the test ends.
    pub(crate) async fn of(database: &Database) -> Self {
        let options = PostgresOptions::from_url(&database.url()).unwrap();
        let options = options.runtime(Handle::current());
        let options = options.connect_timeout(PATIENCE).request_timeout(PATIENCE);
        let store = options.open().await.unwrap();
        Self(Running::on(ServerConfig::default(), store).await.0)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.0.get(path).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: Value) -> Answer {
        self.0.call(method, path, &body.to_string()).await
    }

    /// A login that keeps this text in the session.
    pub(crate) async fn log_in(&self, text: &str) -> Answer {
        let body = json!({
            "userId": "alice", "userDataInJWT": {}, "userDataInDatabase": { "text": text },
            "enableAntiCsrf": false,
        });
        self.send("POST", "/recipe/session", body).await
    }

    pub(crate) async fn refresh(&self, session: &Value) -> Answer {
        let body = json!({
            "refreshToken": session["refreshToken"]["token"], "enableAntiCsrf": false,
            "useDynamicSigningKey": true,
        });
        self.send("POST", "/recipe/session/refresh", body).await
    }

    pub(crate) async fn verify(&self, session: &Value, check_database: bool) -> Answer {
        let body = json!({
            "accessToken": session["accessToken"]["token"], "doAntiCsrfCheck": false,
            "enableAntiCsrf": false, "checkDatabase": check_database,
        });
        self.send("POST", "/recipe/session/verify", body).await
    }

    pub(crate) async fn information(&self, session: &Value) -> Answer {
        self.get(&format!("/recipe/session?sessionHandle={}", handle(session))).await
    }

    /// The handles of all sessions.
    pub(crate) async fn handles(&self) -> Vec<String> {
        let listed = self.get("/recipe/session/user?userId=alice").await.ok();
        let mut handles: Vec<String> =
            serde_json::from_value(listed["sessionHandles"].clone()).unwrap();
        handles.sort();
        handles
    }

    pub(crate) async fn is_ready(&self) -> bool {
        self.get("/health/ready").await.status == 200
    }

    pub(crate) async fn wait_until_ready(&self) {
        while !self.is_ready().await {}
    }

    /// What needs no database goes on.
    pub(crate) async fn check_life_without_database(&self, session: &Value) {
        assert_eq!(self.get("/health/live").await.status, 200);
        assert_eq!(self.verify(session, false).await.ok()["session"]["userId"], "alice");
        let keys = self.get("/.well-known/jwks.json").await;
        assert_eq!(keys.status, 200, "{}", keys.text);
    }
}

pub(crate) fn handle(session: &Value) -> &str {
    session["session"]["handle"].as_str().unwrap()
}

impl Answer {
    /// The JSON of an outcome with the status `OK`.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        let outcome: Value = serde_json::from_str(&self.text).unwrap();
        assert_eq!(outcome["status"], "OK", "{outcome}");
        outcome
    }

    /// It is refused for now, and this is what is said of it.
    #[track_caller]
    pub(crate) fn refused(self, reason: &str) {
        let said = (self.status.as_u16(), self.text);
        assert_eq!(said, (503, format!("{reason}; try again later\n")));
        assert_eq!(self.headers["retry-after"], "1");
    }
}
