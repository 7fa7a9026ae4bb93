use std::sync::Arc;

use sessile_core::clock::{Clock as _, ManualClock, SystemClock, Timestamp};
use sessile_postgres::{Encryption, Examination, PostgresStore};
use sessile_postgres_fixture::Database;

use crate::{app, open, options, session};
use sessile_core::store::Store as _;

async fn examine_at(database: &Database, now: Timestamp) -> Examination {
    let clock = Arc::new(ManualClock::at(now));
    options(database).readers(1).writers(2).examine(None, clock).await.unwrap()
}

async fn examine(database: &Database) -> Examination {
    examine_at(database, SystemClock.now()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_are_compared() {
    const HOUR: i64 = 3_600_000;
    let database = Database::new();
    for apart in [HOUR, -HOUR] {
        let now = Timestamp::from_millis(SystemClock.now().as_millis() - apart);
        let ahead = examine_at(&database, now).await.server.clock_ahead;
        assert!((ahead - apart).abs() < HOUR / 2, "{ahead}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_has_nothing_and_gets_nothing() {
    let database = Database::new();
    let Examination { server, structure, content, .. } = examine(&database).await;
    assert_eq!((server.encryption, server.connections_wanted), (Encryption::Local, 3));
    assert!(!structure.has_sessions && structure.unusable.is_none());
    assert!(structure.missing_rights.is_empty() && structure.own_tables.is_empty());
    assert_eq!((content.usable_keys, content.sessions), (0, None));
    assert_eq!(database.rows("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_store_has_made_is_complete() {
    let database = Database::new();
    let store: PostgresStore = open(&database).await;
    store.insert_session(&app(), session()).await.unwrap();
    store.secret(&app(), "refresh_token_key", "secret".into()).await.unwrap();
    let Examination { structure, content, .. } = examine(&database).await;
    assert_eq!(structure.own_version, Some(structure.known_version));
    assert_eq!(structure.ownership, Some(store.ownership()));
    for missing in [
        &structure.missing_tables,
        &structure.missing_columns,
        &structure.missing_indexes,
        &structure.missing_rights,
        &structure.owned_by_others,
    ] {
        assert!(missing.is_empty(), "{missing:?}");
    }
    assert_eq!(structure.own_tables.len(), 6);
    assert_eq!((content.usable_keys, content.own_keys.len()), (1, 0));
}
