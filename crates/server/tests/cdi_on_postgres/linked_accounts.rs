//! A database in which a SuperTokens core keeps users: accounts that are linked to a primary user,
//! and ids that are mapped to external ones.

use std::sync::Arc;

use serde_json::{Value, json};
use sessile_core::clock::ManualClock;
use sessile_postgres::PostgresStore;
use sessile_postgres_fixture::{
    Database,
    supertokens::{TABLES as SUPERTOKENS_TABLES, TABLES_OF_USERS},
};
use sessile_server::ServerConfig;

use crate::support::{Core, START, access_token, merged, part, refresh_token, text};

/// `own-alice`, who is `alice` to the application, is the primary user of `own-google` and of
/// `own-work`, who is `work` to the application. `own-bob` is linked to nobody.
const USERS: &str = "
    INSERT INTO apps VALUES ('public', 0);
    INSERT INTO tenants VALUES ('public', 'public', 0);
    INSERT INTO app_id_to_user_id VALUES
        ('public', 'own-alice', 'emailpassword', 'own-alice', true),
        ('public', 'own-google', 'thirdparty', 'own-alice', true),
        ('public', 'own-work', 'thirdparty', 'own-alice', true),
        ('public', 'own-bob', 'emailpassword', 'own-bob', false);
    INSERT INTO userid_mapping VALUES
        ('public', 'own-alice', 'alice', ''), ('public', 'own-work', 'work', '')";

/// The id that is given, the user and the account that are shown.
const ACCOUNTS: [(&str, &str, &str); 5] = [
    ("alice", "alice", "alice"),
    ("own-google", "alice", "own-google"),
    ("work", "alice", "work"),
    ("own-work", "alice", "work"),
    ("own-bob", "own-bob", "own-bob"),
];

async fn core() -> (Core, Database) {
    let database = Database::new();
    for sql in [SUPERTOKENS_TABLES, TABLES_OF_USERS, USERS] {
        database.run(sql);
    }
    let store = PostgresStore::open(&database.url()).await.unwrap();
    let clock = Arc::new(ManualClock::at(START));
    let core = Core::on(store, clock, ServerConfig::default()).await;
    core.put("/recipe/multitenancy/tenant/v2", "", json!({ "tenantId": "t1" })).await.ok();
    (core, database)
}

#[track_caller]
fn assert_users(session: &Value, user: &str, account: &str) {
    assert_eq!((&session["userId"], &session["recipeUserId"]), (&json!(user), &json!(account)));
}

#[track_caller]
fn assert_issued(issued: &Value, user: &str, account: &str) {
    assert_users(&issued["session"], user, account);
    let claims = part(access_token(issued), 1);
    assert_eq!((&claims["sub"], &claims["rsub"]), (&json!(user), &json!(account)));
}

#[tokio::test]
async fn a_session_is_shown_by_its_primary_user() {
    for version in ["4.0", "5.4", "5.6"] {
        let (core, database) = core().await;
        for (given, user, account) in ACCOUNTS {
            for at in ["", "/t1"] {
                let created = core.create_with(at, version, json!({ "userId": given })).await;
                assert_issued(&created, user, account);
                let handle = &created["session"]["handle"];
                let kept = format!(
                    "SELECT user_id FROM session_info WHERE session_handle = '{}'",
                    text(handle)
                );
                assert_eq!(database.rows(&kept), [account]);

                let verified = core.verify_in_store(version, access_token(&created)).await;
                assert_users(&verified["session"], user, account);
                let refreshed = core.refresh(version, refresh_token(&created)).await;
                assert_issued(&refreshed, user, account);
                let verified = core.verify_in_store(version, access_token(&refreshed)).await;
                assert_users(&verified["session"], user, account);
                let token = access_token(&refreshed);
                let payload = json!({ "userDataInJWT": { "role": "editor" } });
                let regenerated = core.regenerate(version, token, payload).await.ok();
                assert_users(&regenerated["session"], user, account);
                assert_users(&core.information(handle).await, user, account);

                let third = core.refresh(version, refresh_token(&refreshed)).await;
                core.verify_in_store(version, access_token(&third)).await;
                let theft = core.refresh(version, refresh_token(&created)).await;
                assert_eq!(theft["status"], "TOKEN_THEFT_DETECTED", "{version}: {theft}");
                assert_users(&theft["session"], user, account);
            }
        }
    }
}

#[tokio::test]
async fn versions_without_linked_accounts_know_the_primary_user_alone() {
    let (core, _database) = core().await;
    for version in ["2.9", "2.21", "3.0"] {
        let created = core.create_with("", version, json!({ "userId": "work" })).await;
        assert_eq!(created["session"]["userId"], "alice", "{version}");
        assert_eq!(created["session"].get("recipeUserId"), None, "{version}");
        let claims = part(access_token(&created), 1);
        assert_eq!(claims.get("rsub"), None, "{version}");
        let user = claims.get("sub").or_else(|| claims.get("userId"));
        assert_eq!(user, Some(&json!("alice")), "{version}");
        let refreshed = core.refresh(version, refresh_token(&created)).await;
        assert_eq!(refreshed["session"]["userId"], "alice", "{version}");
        let verified = core.verify(version, access_token(&refreshed)).await;
        assert_eq!(verified["session"]["userId"], "alice", "{version}");
    }
}

/// A core links accounts while their sessions are alive.
#[tokio::test]
async fn a_link_is_seen_at_the_next_refresh() {
    let (core, database) = core().await;
    let created = core.create_with("", "5.4", json!({ "userId": "own-bob" })).await;
    assert_issued(&created, "own-bob", "own-bob");
    database.run(
        "UPDATE app_id_to_user_id SET primary_or_recipe_user_id = 'own-alice'
        WHERE user_id = 'own-bob'",
    );
    let verified = core.verify_in_store("5.4", access_token(&created)).await;
    assert_users(&verified["session"], "own-bob", "own-bob");
    let refreshed = core.refresh("5.4", refresh_token(&created)).await;
    assert_issued(&refreshed, "alice", "own-bob");
    assert_users(&core.information(&created["session"]["handle"]).await, "alice", "own-bob");
}

/// Three accounts of one user and one of another, each in two tenants.
async fn logged_in(core: &Core) -> Vec<(&'static str, &'static str, Value)> {
    let mut sessions = Vec::new();
    for account in ["alice", "own-google", "work", "own-bob"] {
        for at in ["", "/t1"] {
            let created = core.create_with(at, "5.4", json!({ "userId": account })).await;
            sessions.push((account, at, created["session"]["handle"].clone()));
            core.advance(1);
        }
    }
    sessions
}

/// The sessions that a request at `at` means.
fn meant(
    sessions: &[(&str, &str, Value)],
    user: &str,
    (across, linked): (bool, bool),
    at: &str,
) -> Vec<Value> {
    let is_meant = |session: &&(&str, &str, Value)| {
        let (account, tenant, _) = session;
        let is_linked = *account != "own-bob" && user != "own-bob";
        (across || *tenant == at) && (*account == user || (linked && is_linked))
    };
    sessions.iter().filter(is_meant).map(|(_, _, handle)| handle.clone()).collect()
}

const FLAGS: [(bool, bool); 4] = [(true, true), (true, false), (false, true), (false, false)];

#[tokio::test]
async fn linked_accounts_are_listed_unless_the_request_says_otherwise() {
    let (core, _database) = core().await;
    let sessions = logged_in(&core).await;
    for user in ["alice", "own-google", "work", "own-bob"] {
        for (across, linked) in FLAGS {
            for at in if across { &[""][..] } else { &["", "/t1"] } {
                let path = format!(
                    "{at}/recipe/session/user?userId={user}&fetchAcrossAllTenants={across}\
                     &fetchSessionsForAllLinkedAccounts={linked}"
                );
                let listed = core.get(&path, "5.4").await.ok()["sessionHandles"].clone();
                let expected = meant(&sessions, user, (across, linked), at);
                assert_eq!(listed, json!(expected), "{path}");
            }
        }
        let path = format!("/recipe/session/user?userId={user}");
        let listed = core.get(&path, "5.4").await.ok()["sessionHandles"].clone();
        assert_eq!(listed, json!(meant(&sessions, user, (true, true), "")), "by default");
    }
}

#[tokio::test]
async fn linked_accounts_are_revoked_unless_the_request_says_otherwise() {
    let (core, _database) = core().await;
    let sorted = |handles: &Value| {
        let mut handles: Vec<_> =
            handles.as_array().unwrap().iter().map(|handle| text(handle).to_owned()).collect();
        handles.sort();
        handles
    };
    let remove = async |at: &str, body: Value, expected: Vec<Value>| {
        let path = format!("{at}/recipe/session/remove");
        let removed = core.post(&path, "5.4", body.clone()).await.ok();
        let removed = sorted(&removed["sessionHandlesRevoked"]);
        assert_eq!(removed, sorted(&json!(expected)), "{at}, {body}");
    };
    for user in ["alice", "own-google", "work", "own-bob"] {
        for (across, linked) in FLAGS {
            let sessions = logged_in(&core).await;
            let at = if across { "" } else { "/t1" };
            let body = merged(
                json!({ "userId": user, "revokeAcrossAllTenants": across }),
                json!({ "revokeSessionsForLinkedAccounts": linked }),
            );
            remove(at, body, meant(&sessions, user, (across, linked), at)).await;
            let left = sessions.len() - meant(&sessions, user, (across, linked), at).len();
            let mut found = 0;
            for user in ["alice", "own-bob"] {
                let path = format!("/recipe/session/user?userId={user}");
                let listed = core.get(&path, "5.4").await.ok();
                found += listed["sessionHandles"].as_array().unwrap().len();
                core.post("/recipe/session/remove", "5.4", json!({ "userId": user })).await.ok();
            }
            assert_eq!(found, left, "{user}, {across}, {linked}");
        }
    }
    let sessions = logged_in(&core).await;
    let by_default = meant(&sessions, "work", (true, true), "");
    remove("", json!({ "userId": "work" }), by_default).await;
}
