use crate::{NOW, SUPERTOKENS_TABLES, app, connect, log::Log, open, options, process_of, session};
use sessile_core::{
    clock::Timestamp,
    policy::SigningKeyKind,
    store::{Store, TenantStore},
};
use sessile_postgres_fixture::{
    Database,
    supertokens::{BACK_TO_9_0, FORWARD_TO_12_1},
};

/// A row as an older core inserts it, with no more columns than it knows.
pub(crate) const OLD_INSERT: &str =
    "INSERT INTO session_info (app_id, tenant_id, session_handle, user_id,
        refresh_token_hash_2, session_data, expires_at, jwt_user_payload, created_at_time,
        use_static_key)
    VALUES ('public', 'public', 'HANDLE', 'alice',
        '00000000000000000000000000000000000000000000000000000000000000ab', '{\"n\": null}',
        4102444800000, '{\"role\":\"reader\"}', 1700000000000, false)";

pub(crate) fn old_database() -> Database {
    let database = Database::new();
    database.run(SUPERTOKENS_TABLES);
    database.run(BACK_TO_9_0);
    database.run(
        "INSERT INTO apps VALUES ('public', 1); INSERT INTO tenants VALUES ('public', 'public', 1);
        INSERT INTO tenant_configs VALUES ('', 'public', 'public', '{}', true, true, true);",
    );
    database.run(&OLD_INSERT.replace("HANDLE", "before"));
    database
}

#[tokio::test(flavor = "multi_thread")]
async fn older_tables_are_brought_forward_with_what_is_in_them() {
    let (database, by_script) = (old_database(), old_database());
    by_script.run(FORWARD_TO_12_1);
    let store = open(&database).await;
    // With the values in older rows, which a core reads that is started later.
    let whole = "SELECT table_name, column_name, ordinal_position, data_type,
            character_maximum_length, is_nullable, column_default
        FROM information_schema.columns
        WHERE table_name IN ('session_info', 'tenant_configs') ORDER BY 1, 3;
        SELECT indexdef FROM pg_indexes WHERE tablename = 'session_info' ORDER BY 1;
        SELECT * FROM session_info; SELECT * FROM tenant_configs";
    assert_eq!(database.rows(whole), by_script.rows(whole));

    let found = store.get_session(&app(), &"before".into()).await.unwrap().unwrap();
    assert_eq!(found.user_id, "alice");
    assert_eq!(found.session_data, "{\"n\": null}");
    assert_eq!(found.jwt_payload, "{\"role\":\"reader\"}");
    assert_eq!(found.created_at, NOW);
    assert_eq!((found.rotated_at, found.ends_at), (None, Timestamp::MAX));
    let tenants = store.tenants().await.unwrap();
    assert_eq!(tenants.len(), 1);
    assert_eq!(tenants[0].first_factors, None);

    // The older core goes on beside it.
    database.run(&OLD_INSERT.replace("HANDLE", "after"));
    assert!(store.get_session(&app(), &"after".into()).await.unwrap().is_some());
}

/// A core before 9.1 goes on inserting tenants without the column, and so did Sessile once.
#[tokio::test(flavor = "multi_thread")]
async fn no_tenant_is_left_without_factors_by_an_older_core() {
    let database = old_database();
    drop(open(&database).await);
    database.run(
        "INSERT INTO tenant_configs VALUES ('', 'public', 'old', '{}', true, true, true);
        INSERT INTO tenant_configs VALUES ('', 'public', 'none', '{}', true, true, true, false)",
    );
    let store = open(&database).await;
    let rows = "SELECT tenant_id, is_first_factors_null FROM tenant_configs ORDER BY 1";
    assert_eq!(database.rows(rows), ["none|f", "old|t", "public|t"]);
    let mut tenants = store.tenants().await.unwrap();
    tenants.sort_by_key(|tenant| tenant.tenant.as_str().to_owned());
    let factors: Vec<_> = tenants.iter().map(|tenant| tenant.first_factors.clone()).collect();
    assert_eq!(factors, [Some(Vec::new()), None, None]);
}

/// Whoever waits for a table's lock holds up everybody who comes after, so waiting is short.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_transaction_delays_the_upgrade_and_nobody_else() {
    let log = Log::keep();
    let database = old_database();
    let holder = connect(&database).await;
    holder.batch_execute("BEGIN; SELECT * FROM session_info").await.unwrap();
    let holder_is = process_of(&holder).await;
    let mut opening = tokio::spawn(options(&database).open());

    // It is seen to wait, to give up, and to wait again; and meanwhile others are not kept.
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted";
    for round in 0..2 {
        for wanted in ["1", "0"] {
            while database.rows(waiting) != [wanted] {
                assert!(!opening.is_finished(), "round {round}");
            }
        }
    }
    database.run(&OLD_INSERT.replace("HANDLE", "meanwhile"));
    assert!(!opening.is_finished());
    // An operator is told who that is.
    while !log.has(&format!("process {holder_is} (")) {
        assert!(!opening.is_finished());
    }

    holder.batch_execute("COMMIT").await.unwrap();
    let store = (&mut opening).await.unwrap().unwrap();
    assert!(store.get_session(&app(), &"meanwhile".into()).await.unwrap().is_some());
    store.insert_session(&app(), session()).await.unwrap();
}

/// A core 2.x kept its one signing key among the secrets.
#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_an_old_core_is_moved_where_keys_are() {
    for kind in [SigningKeyKind::Dynamic, SigningKeyKind::Static] {
        let database = Database::new();
        database.run(SUPERTOKENS_TABLES);
        database.run(
            "INSERT INTO apps VALUES ('public', 1);
            INSERT INTO tenants VALUES ('public', 'public', 1);
            INSERT INTO key_value VALUES ('public', 'public', 'access_token_signing_key',
                'public-half;private-half', 1600000000000);",
        );
        for _ in 0..2 {
            let store = options(&database).legacy_signing_key(kind).open().await.unwrap();
            let keys = store.signing_keys(&app()).await.unwrap();
            assert_eq!(keys.len(), 1);
            assert_eq!(keys[0].created_at, Timestamp::from_millis(1_600_000_000_000));
            assert_eq!(keys[0].algorithm, "RS256");
            assert_eq!(keys[0].material, "public-half;private-half");
            assert_eq!(keys[0].is_static, kind == SigningKeyKind::Static);
            match kind {
                SigningKeyKind::Dynamic => assert_eq!(keys[0].key_id, "d-1600000000000"),
                SigningKeyKind::Static => assert!(keys[0].key_id.starts_with("s-")),
            }
            assert_eq!(database.rows("SELECT count(*) FROM key_value"), ["0"]);
        }
    }
}
