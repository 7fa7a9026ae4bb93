use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use sessile_core::store::Store;
use sessile_postgres_fixture::Database;
use tokio::task::JoinSet;
use tokio_postgres::{Client, Error};

use crate::{
    app, connect, options, rotation_of,
    upgrade::{OLD_INSERT, old_database},
};

const ROWS: usize = 2000;
const CLIENTS: usize = 6;

/// Rows of a user whom nobody else changes, as an older core has them.
fn fill(database: &Database) {
    database.run(&format!(
        "INSERT INTO session_info (app_id, tenant_id, session_handle, user_id,
            refresh_token_hash_2, session_data, expires_at, jwt_user_payload, created_at_time,
            use_static_key)
        SELECT 'public', 'public', 'kept-' || n, 'bob', md5(n::text) || md5(n::text),
            '{{\"n\": ' || n || '}}', 4102444800000 + n, NULL, 1700000000000 + n, n % 2 = 0
        FROM generate_series(1, {ROWS}) AS n"
    ));
}

/// All that the older core has stored of that user.
fn digest(database: &Database) -> Vec<String> {
    database.rows(
        "SELECT count(*), sum(hashtextextended(ROW(app_id, tenant_id, session_handle, user_id,
            refresh_token_hash_2, session_data, expires_at, created_at_time, jwt_user_payload,
            use_static_key)::text, 0)::numeric)
        FROM session_info WHERE user_id = 'bob'",
    )
}

/// What an older core does with its sessions, until it is told to end; gives how often it has
/// changed the session that it keeps.
async fn core(client: Client, number: usize, ended: Arc<AtomicBool>) -> Result<u32, Error> {
    let kept = format!("core-{number}");
    let passing = format!("core-{number}-passing");
    client.batch_execute(&OLD_INSERT.replace("HANDLE", &kept)).await?;
    let mut changes = 0_u32;
    while !ended.load(Ordering::Relaxed) {
        changes += 1;
        let of_kept = format!(
            "WHERE app_id = 'public' AND tenant_id = 'public' AND session_handle = '{kept}'"
        );
        client.batch_execute("BEGIN").await?;
        let read = format!(
            "SELECT session_handle, user_id, refresh_token_hash_2, session_data, jwt_user_payload,
                created_at_time, expires_at, use_static_key
            FROM session_info {of_kept} FOR UPDATE"
        );
        let row = client.query_one(&read, &[]).await?;
        let expires_at: i64 = row.get("expires_at");
        let update =
            format!("UPDATE session_info SET refresh_token_hash_2 = $1, expires_at = $2 {of_kept}");
        client.execute(&update, &[&format!("{changes:064x}"), &(expires_at + 1)]).await?;
        client.batch_execute("COMMIT").await?;
        let update = format!("UPDATE session_info SET session_data = $1 {of_kept}");
        client.execute(&update, &[&format!("{{\"changes\": {changes}}}")]).await?;
        client.batch_execute(&OLD_INSERT.replace("HANDLE", &passing)).await?;
        let delete = "DELETE FROM session_info
            WHERE app_id = 'public' AND tenant_id = 'public' AND session_handle = $1";
        assert_eq!(client.execute(delete, &[&passing]).await?, 1);
    }
    Ok(changes)
}

/// How often statements that begin like this have succeeded.
fn number_of(database: &Database, like: &str) -> u32 {
    let calls = database.rows(&format!(
        "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements s
        JOIN pg_database d ON d.oid = s.dbid
        WHERE d.datname = current_database() AND s.query ILIKE '{like}'"
    ));
    calls[0].parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_bring_it_forward_once_and_no_request_of_the_core_fails() {
    let database = old_database();
    database.run("CREATE EXTENSION pg_stat_statements");
    fill(&database);
    let before = digest(&database);
    let ended = Arc::new(AtomicBool::new(false));
    let mut cores = JoinSet::new();
    for number in 0..CLIENTS {
        let (client, ended) = (connect(&database).await, Arc::clone(&ended));
        cores.spawn(async move { (number, core(client, number, ended).await) });
    }
    let every_core_is_at_it = format!(
        "SELECT count(*) >= {CLIENTS} FROM session_info
        WHERE session_handle LIKE 'core-%' AND refresh_token_hash_2 NOT LIKE '%ab'"
    );
    while database.rows(&every_core_is_at_it) != ["t"] {}
    let mut opening = JoinSet::new();
    for _ in 0..3 {
        opening.spawn(options(&database).open());
    }
    let mut stores = Vec::new();
    for store in opening.join_all().await {
        stores.push(store.unwrap());
    }
    ended.store(true, Ordering::Relaxed);
    for (number, changes) in cores.join_all().await {
        let changes = changes.unwrap();
        let kept = database.rows(&format!(
            "SELECT session_data, expires_at - 4102444800000 FROM session_info
            WHERE session_handle = 'core-{number}'"
        ));
        assert_eq!(kept, [format!("{{\"changes\": {changes}}}|{changes}")]);
    }

    assert_eq!(digest(&database), before);
    assert_eq!(before[0].split('|').next(), Some(ROWS.to_string().as_str()));
    for (like, number) in [
        ("ALTER TABLE%session_info%ADD COLUMN%", 1),
        ("ALTER TABLE%tenant_configs%ADD COLUMN%", 1),
        ("CREATE INDEX CONCURRENTLY%", 1),
        ("CREATE TABLE%sessile\\_%", 6),
        ("DROP INDEX CONCURRENTLY%", 0),
    ] {
        assert_eq!(number_of(&database, like), number, "{like}");
    }
    // Each node goes on with the rows that were there.
    for (store, number) in stores.iter().zip(1..) {
        let handle = format!("kept-{number}");
        let row = store.get_session(&app(), &handle.as_str().into()).await.unwrap().unwrap();
        let rotated = store.rotate_session(&app(), &row.handle, rotation_of(&row)).await.unwrap();
        let rotated = rotated.unwrap();
        assert_eq!(rotated.previous_refresh_token_hash, Some(row.refresh_token_hash));
    }
}
