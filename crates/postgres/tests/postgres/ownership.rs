use sessile_core::{
    Algorithm, SessionHandle, Sessions, TenantId, WrappingKey,
    clock::Timestamp,
    policy::{Policy, RefreshTokenFormat},
    random::SystemRandom,
    store::{SessionRecord, Store, StoreErrorKind, StoredSigningKey, StoredTenant, TenantStore},
};
use sessile_postgres::Ownership;
use sessile_postgres_fixture::Database;

use crate::{NOW, SUPERTOKENS_TABLES, app, kind, open, options, session};

fn shared_database() -> Database {
    let database = Database::new();
    database.run(SUPERTOKENS_TABLES);
    database
}

/// A key as SuperTokens' core has it.
fn supertokens_key(created_at: i64, is_static: bool) -> StoredSigningKey {
    StoredSigningKey {
        key_id: if is_static { "s-1".into() } else { format!("d-{created_at}") },
        algorithm: "RS256".into(),
        created_at: Timestamp::from_millis(created_at),
        material: format!("public-{created_at}|private"),
        is_static,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_the_database_is_is_kept() {
    let (ours, theirs) = (Database::new(), shared_database());
    for _ in 0..2 {
        assert_eq!(open(&ours).await.ownership(), Ownership::Own);
        assert_eq!(open(&theirs).await.ownership(), Ownership::Shared);
    }
    // What is said counts, and is kept.
    for ownership in [Ownership::Own, Ownership::Shared] {
        let store = options(&theirs).ownership(ownership).open().await.unwrap();
        assert_eq!(store.ownership(), ownership);
        assert_eq!(open(&theirs).await.ownership(), ownership);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_core_cannot_read_keeps_a_database_from_being_shared() {
    let database = Database::new();
    let store = open(&database).await;
    let shared = || options(&database).ownership(Ownership::Shared).open();
    shared().await.unwrap();
    options(&database).ownership(Ownership::Own).open().await.unwrap();

    let own = StoredSigningKey { algorithm: "ES256".into(), ..supertokens_key(1, false) };
    store.add_signing_key(&app(), own, None).await.unwrap();
    assert_eq!(kind(shared().await), Some(StoreErrorKind::Incompatible));
    assert_eq!(open(&database).await.ownership(), Ownership::Own);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_can_read_the_keys_in_a_shared_database() {
    let database = shared_database();
    let store = open(&database).await;
    let (first, second) = (supertokens_key(1000, false), supertokens_key(3000, false));
    let fixed = supertokens_key(2000, true);
    store.add_signing_key(&app(), first.clone(), None).await.unwrap();
    store.add_signing_key(&app(), fixed.clone(), Some(&first.key_id)).await.unwrap();
    let keys = store.add_signing_key(&app(), second.clone(), Some(&fixed.key_id)).await.unwrap();
    assert!(keys == [second, fixed, first], "newest first");
    let rows = database.rows(
        "SELECT created_at_time, value FROM session_access_token_signing_keys ORDER BY 1;
        SELECT key_id, algorithm, created_at, key_string FROM jwt_signing_keys",
    );
    let expected = [
        "1000|public-1000|private",
        "3000|public-3000|private",
        "s-1|RS256|2000|public-2000|private",
    ];
    assert_eq!(rows, expected);

    let newest = keys[0].key_id.as_str();
    for refused in [
        StoredSigningKey { algorithm: "ES256".into(), ..supertokens_key(4000, false) },
        StoredSigningKey { material: "sealed1:abc|def".into(), ..supertokens_key(4000, false) },
        StoredSigningKey { key_id: "d-1".into(), ..supertokens_key(4000, false) },
        supertokens_key(2500, false),
    ] {
        let answer = store.add_signing_key(&app(), refused, Some(newest)).await;
        let error = answer.err().unwrap();
        assert_eq!(error.kind(), StoreErrorKind::Incompatible);
        assert!(error.to_string().contains("SuperTokens"), "{error}");
        assert!(!error.to_string().contains("abc"), "{error}");
    }
    assert_eq!(database.rows("SELECT count(*) FROM sessile_signing_key"), ["0"]);
    // Keys of another kind, and those of another core's making.
    database.run(
        "INSERT INTO jwt_signing_keys VALUES ('public', 'x', 'secret', 'HS256', 5000);
        INSERT INTO session_access_token_signing_keys VALUES ('public', 6000, 'public|private');",
    );
    let listed = store.signing_keys(&app()).await.unwrap();
    assert_eq!(listed.len(), 4);
    assert_eq!(listed[0].key_id, "d-6000");
}

/// In Sessile's own database, keys that a core could read are where it looks for them; those that it
/// could not are ordered among them.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_both_kinds_are_in_the_order_of_their_addition() {
    let database = Database::new();
    let store = open(&database).await;
    let es256 = |number: i64, created_at| StoredSigningKey {
        key_id: format!("own-{number}"),
        algorithm: "ES256".into(),
        ..supertokens_key(created_at, false)
    };
    let mut keys: Vec<StoredSigningKey> = Vec::new();
    for key in [
        es256(1, 9000),
        supertokens_key(1000, false),
        es256(2, 500),
        es256(3, 5000),
        supertokens_key(2000, true),
        // A clock that went back: it would not be the newest in the core's table.
        supertokens_key(1500, false),
        supertokens_key(3000, false),
        es256(4, 1),
    ] {
        let newest = keys.first().map(|key| key.key_id.clone());
        keys.insert(0, key.clone());
        let answer = store.add_signing_key(&app(), key, newest.as_deref()).await.unwrap();
        assert!(answer == keys, "after {} keys", keys.len());
    }
    let kept = "SELECT created_at_time FROM session_access_token_signing_keys ORDER BY 1";
    assert_eq!(database.rows(kept), ["1000", "3000"]);
    assert_eq!(database.rows("SELECT key_id FROM jwt_signing_keys"), ["s-1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cores_secret_is_where_the_core_looks_for_it() {
    for database in [Database::new(), shared_database()] {
        let store = open(&database).await;
        let secret = async |name: &str, candidate: &str| {
            store.secret(&app(), name, candidate.to_owned()).await
        };
        assert_eq!(secret("refresh_token_key", "1000:a:b").await.unwrap(), "1000:a:b");
        assert_eq!(secret("refresh_token_key", "other").await.unwrap(), "1000:a:b");
        assert_eq!(secret("sessile_refresh_token_key", "own").await.unwrap(), "own");
        let rows = "SELECT app_id, tenant_id, name, value FROM key_value";
        assert_eq!(database.rows(rows), ["public|public|refresh_token_key|1000:a:b"]);
    }
    // A secret that a core made is the secret.
    let database = shared_database();
    let store = open(&database).await;
    database
        .run("INSERT INTO key_value VALUES ('public', 'public', 'refresh_token_key', 'core', 1)");
    let secret = store.secret(&app(), "refresh_token_key", "ours".into()).await;
    assert_eq!(secret.unwrap(), "core");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_secret_of_the_core_is_kept_only_where_no_core_is() {
    let sealed = || "sealed1:abc".to_owned();
    let own = open(&Database::new()).await;
    assert_eq!(own.secret(&app(), "refresh_token_key", sealed()).await.unwrap(), sealed());
    assert_eq!(own.secret(&app(), "refresh_token_key", "x".into()).await.unwrap(), sealed());

    let shared = open(&shared_database()).await;
    let answer = shared.secret(&app(), "refresh_token_key", sealed()).await;
    assert_eq!(kind(answer), Some(StoreErrorKind::Incompatible));
    let answer = shared.secret(&app(), "sessile_refresh_token_key", sealed()).await;
    assert_eq!(answer.unwrap(), sealed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_made_by_its_first_session_or_has_to_be_there() {
    let of_tenant = |name: &str| SessionRecord {
        handle: SessionHandle::new(&format!("{}_{name}", session().handle)),
        ..session()
    };
    let own = Database::new();
    let store = open(&own).await;
    let other_app = "shop".parse().unwrap();
    store.insert_session(&app(), of_tenant("t1")).await.unwrap();
    store.insert_session(&other_app, of_tenant("t2")).await.unwrap();
    let tenants = "SELECT app_id, tenant_id FROM tenants ORDER BY 1, 2";
    assert_eq!(own.rows(tenants), ["public|public", "public|t1", "shop|public", "shop|t2"]);
    assert_eq!(store.tenants().await.unwrap(), [], "nobody put them");

    let shared = shared_database();
    let store = open(&shared).await;
    let error = store.insert_session(&app(), of_tenant("t1")).await.err().unwrap();
    assert!(error.to_string().contains("tenant"), "{error}");
    let t1: TenantId = "t1".parse().unwrap();
    let tenant = StoredTenant {
        app: app(),
        tenant: t1.clone(),
        core_config: "{}".into(),
        first_factors: Some(vec!["emailpassword".into()]),
        required_secondary_factors: None,
        created_at: NOW,
    };
    assert!(store.put_tenant(tenant).await.unwrap());
    let session = of_tenant("t1");
    store.insert_session(&app(), session.clone()).await.unwrap();
    let rows = shared.rows(
        "SELECT * FROM tenant_configs; SELECT * FROM tenant_first_factors;
        SELECT * FROM tenants WHERE tenant_id = 't1'",
    );
    let expected = ["|public|t1|{}|t|t|t|f", "|public|t1|emailpassword", "public|t1|1700000000000"];
    assert_eq!(rows, expected);
    assert!(store.remove_tenant(&app(), &t1).await.unwrap());
    assert!(store.get_session(&app(), &session.handle).await.unwrap().is_none());
    assert_eq!(shared.rows("SELECT count(*) FROM tenant_first_factors"), ["0"]);
}

/// Where a session has nothing that SuperTokens' core would not keep, nothing is kept beside it.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_beside_a_session_is_written_only_for_what_it_holds() {
    let database = shared_database();
    let store = open(&database).await;
    let beside = || database.rows("SELECT count(*) FROM sessile_session");
    let row = session();
    store.insert_session(&app(), row.clone()).await.unwrap();
    let mut rotation = crate::rotation_of(&row);
    rotation.change.sealed_child = None;
    let rotated = store.rotate_session(&app(), &row.handle, rotation).await.unwrap().unwrap();
    assert_eq!(beside(), ["0"]);

    let rotation = crate::rotation_of(&rotated);
    let rotated = store.rotate_session(&app(), &row.handle, rotation).await.unwrap().unwrap();
    assert_eq!(rotated.sealed_child, Some(vec![7; 100]));
    assert_eq!(beside(), ["1"]);
    // The core replaces the token, and the child is none of the new one's.
    database.run("UPDATE session_info SET refresh_token_hash_2 = repeat('ab', 32)");
    let found = store.get_session(&app(), &row.handle).await.unwrap().unwrap();
    assert_eq!(found.sealed_child, None);
    // It moves the expiry, and the session ends when it ends.
    database.run("UPDATE sessile_session SET ends_at = 1800000000000");
    let found = store.get_session(&app(), &row.handle).await.unwrap().unwrap();
    assert_eq!(found.expires_at, Timestamp::from_millis(1_800_000_000_000));
    // The core removes the session, and what was beside it goes.
    database.run("DELETE FROM session_info");
    assert_eq!(beside(), ["0"]);
}

#[tokio::test]
async fn an_engine_that_would_write_what_a_core_cannot_read_does_not_start() {
    let (theirs, ours) = (shared_database(), Database::new());
    let supertokens = Policy {
        algorithm: Algorithm::Rs256,
        refresh_token_format: RefreshTokenFormat::SuperTokens,
        ..Policy::default()
    };
    let of_another_algorithm = Policy { algorithm: Algorithm::Es256, ..supertokens.clone() };
    let of_another_format =
        Policy { refresh_token_format: RefreshTokenFormat::Sessile, ..supertokens.clone() };
    for (policy, is_sealed, problem) in [
        (of_another_algorithm, false, Some("algorithm must be RS256, because a SuperTokens core")),
        (of_another_format, false, Some("refresh_token_format must be that of SuperTokens, ")),
        (
            supertokens.clone(),
            true,
            Some("there must be no wrapping key, because a SuperTokens core"),
        ),
        (supertokens, false, None),
    ] {
        for database in [&theirs, &ours] {
            let mut builder = Sessions::builder(open(database).await).policy(policy.clone());
            if is_sealed {
                builder = builder.wrapping_key(WrappingKey::generate(&SystemRandom).unwrap());
            }
            let said = builder.build().await.err().map(|error| error.to_string());
            match problem.filter(|_| std::ptr::eq(database, &theirs)) {
                Some(problem) => assert!(said.unwrap().contains(problem)),
                None => assert_eq!(said, None),
            }
        }
    }
}
