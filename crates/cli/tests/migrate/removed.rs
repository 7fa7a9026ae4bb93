//! Apps and tenants that are removed while they are moved.

use std::path::Path;

use sessile::{
    AppId, TenantId,
    clock::Timestamp,
    postgres::PostgresStore,
    sqlite::SqliteStore,
    store::{
        BulkStore, Store as _, StoredSecret, StoredSigningKey, StoredTenant, TenantStore as _,
    },
};
use sessile_postgres_fixture::{Database, supertokens};

use crate::{Server, interruption::fill, migrate, paused::Paused};

fn app(name: &str) -> AppId {
    name.parse().unwrap()
}

fn tenant(app: &AppId, name: &str) -> StoredTenant {
    StoredTenant {
        app: app.clone(),
        tenant: name.parse().unwrap(),
        core_config: "{}".into(),
        first_factors: None,
        required_secondary_factors: None,
        created_at: Timestamp::from_millis(1),
    }
}

/// A source whose apps and tenants are partly removed later, with so many sessions that this can
/// happen while they are moved.
async fn source(folder: &Path) -> SqliteStore {
    Server::start(folder, "first.db").log_in("alice");
    fill(&folder.join("first.db")).await;
    let store = SqliteStore::open(folder.join("first.db")).unwrap();
    for name in ["kept", "gone", "renewed"] {
        let app = app(name);
        for name in ["public", "t-kept", "t-gone"] {
            store.put_tenant(tenant(&app, name)).await.unwrap();
        }
        fill_app(&store, &app, "first").await;
    }
    store
}

async fn fill_app(store: &SqliteStore, app: &AppId, secret: &str) {
    store.secret(app, "refresh_token_key", secret_of(app, secret)).await.unwrap();
    let key = StoredSigningKey {
        key_id: "d-1".into(),
        algorithm: "RS256".into(),
        created_at: Timestamp::from_millis(1),
        material: "public|private".into(),
        is_static: false,
    };
    store.add_signing_key(app, key, None).await.unwrap();
}

fn secret_of(app: &AppId, secret: &str) -> String {
    format!("1000:{app}:{secret}")
}

/// What the source loses once a part of it is in the target.
async fn remove(source: &SqliteStore) {
    let t_gone: TenantId = "t-gone".parse().unwrap();
    assert!(source.remove_tenant(&app("kept"), &t_gone).await.unwrap());
    assert!(source.remove_app(&app("gone")).await.unwrap());
    let renewed = app("renewed");
    assert!(source.remove_app(&renewed).await.unwrap());
    source.put_tenant(tenant(&renewed, "public")).await.unwrap();
    fill_app(source, &renewed, "second").await;
}

async fn tenants_of(store: &impl BulkStore) -> Vec<String> {
    let tenants = store.tenants().await.unwrap();
    let mut names: Vec<_> =
        tenants.iter().map(|tenant| format!("{}/{}", tenant.app, tenant.tenant)).collect();
    names.sort();
    names
}

/// Checks that the target has what is left of the source.
async fn check(target: &impl BulkStore, tenants: &[&str]) {
    assert_eq!(tenants_of(target).await, tenants);
    for (name, secret) in [("kept", Some("first")), ("gone", None), ("renewed", Some("second"))] {
        let app = app(name);
        let expected = secret.map(|secret| StoredSecret {
            name: "refresh_token_key".into(),
            value: secret_of(&app, secret),
        });
        assert!(target.secrets(&app).await.unwrap() == Vec::from_iter(expected), "of {name}");
        let keys = target.signing_keys(&app).await.unwrap().len();
        assert_eq!(keys, usize::from(secret.is_some()), "of {name}");
    }
}

const LEFT: [&str; 3] = ["kept/public", "kept/t-kept", "renewed/public"];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_removed_meanwhile_is_not_in_the_target() {
    for is_shared in [false, true] {
        let database = Database::new();
        if is_shared {
            database.run(supertokens::TABLES);
        }
        let url = database.url();
        let folder = tempfile::tempdir().unwrap();
        let source = source(folder.path()).await;
        let paused = Paused::start(folder.path(), &["--from", "first.db", "--to", &url]);
        remove(&source).await;
        let run = paused.finish();
        assert!(run.done, "{}", run.progress);
        let target = PostgresStore::open(&url).await.unwrap();
        check(&target, &LEFT).await;
        let apps = target.apps().await.unwrap();
        assert_eq!(apps.contains(&app("gone")), is_shared, "{apps:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_attempt_has_left_is_removed() {
    let database = Database::new();
    let url = database.url();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let source = source(folder).await;
    for to in [&url, "second.db"] {
        Paused::start(folder, &["--from", "first.db", "--to", to]).kill();
    }
    remove(&source).await;

    // A difference that cannot be mended is seen.
    database.run(
        "CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
        CREATE TRIGGER stay BEFORE DELETE ON tenant_configs FOR EACH ROW EXECUTE FUNCTION stay()",
    );
    let run = migrate(folder, &["--from", "first.db", "--to", &url], &[]);
    assert!(!run.done && run.progress.contains("is not what the source is"), "{}", run.progress);
    database.run("DROP TRIGGER stay ON tenant_configs");

    let run = migrate(folder, &["--from", "first.db", "--to", &url], &[]);
    assert!(run.done, "{}", run.progress);
    check(&PostgresStore::open(&url).await.unwrap(), &LEFT).await;
    source.reinstate().unwrap();
    let run = migrate(folder, &["--from", "first.db", "--to", "second.db"], &[]);
    assert!(run.done, "{}", run.progress);
    let target = SqliteStore::open(folder.join("second.db")).unwrap();
    assert_eq!(tenants_of(&target).await, LEFT);
    assert_eq!(target.apps().await.unwrap(), source.apps().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_keeps_its_tenants() {
    let database = Database::new();
    database.run(supertokens::TABLES);
    let url = database.url();
    let core = PostgresStore::open(&url).await.unwrap();
    for (app_name, name) in [("public", "theirs"), ("theirs", "public")] {
        core.put_tenant(tenant(&app(app_name), name)).await.unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path()).await;
    let arguments = ["--from", "first.db", "--to", &url];
    Paused::start(folder.path(), &arguments).kill();
    remove(&source).await;
    let run = migrate(folder.path(), &arguments, &[]);
    assert!(run.done, "{}", run.progress);
    let left = "gone/public, gone/t-gone, gone/t-kept, kept/t-gone, public/theirs, renewed/t-gone, \
                renewed/t-kept, theirs/public\n";
    assert!(run.progress.contains(left), "{}", run.progress);
    // Of those that an earlier attempt has made it is not known whether they are in use by now.
    let before = ["gone/public", "gone/t-gone", "gone/t-kept"].into_iter();
    let before = before.chain(["kept/public", "kept/t-gone", "kept/t-kept", "public/theirs"]);
    let before = before.chain(["renewed/public", "renewed/t-gone", "renewed/t-kept"]);
    let all: Vec<_> = before.chain(["theirs/public"]).collect();
    check(&core, &all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_with_tenants_of_its_own_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    Server::start(folder, "first.db").log_in("alice");
    Server::start(folder, "other.db");
    std::fs::copy(folder.join("other.db.key"), folder.join("second.db.key")).unwrap();
    let target = SqliteStore::open(folder.join("second.db")).unwrap();
    target.put_tenant(tenant(&app("theirs"), "public")).await.unwrap();
    let arguments = ["--from", "first.db", "--to", "second.db"];
    let run = migrate(folder, &arguments, &[]);
    assert!(
        !run.done && run.progress.contains("tenants already: theirs/public"),
        "{}",
        run.progress
    );
    assert_eq!(tenants_of(&target).await, ["theirs/public"]);
    // Those that are to be there anyway do no harm.
    let source = SqliteStore::open(folder.join("first.db")).unwrap();
    source.put_tenant(tenant(&app("theirs"), "public")).await.unwrap();
    let run = migrate(folder, &arguments, &[]);
    assert!(run.done, "{}", run.progress);
}
