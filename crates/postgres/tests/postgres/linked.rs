//! A database in which SuperTokens' core keeps users: accounts that are linked to a primary user,
//! and ids that are mapped to external ones.

use std::{collections::BTreeSet, num::NonZeroUsize};

use sessile_core::{
    SessionHandle, TenantScope,
    clock::Timestamp,
    store::{
        Accounts, BulkStore, LimitedInsertion, Owner, SessionExport, SessionLimit, SessionRecord,
        Store, StoreErrorKind, TenantStore, WhenFull,
    },
};
use sessile_postgres::PostgresStore;
use sessile_postgres_fixture::{Database, supertokens::TABLES_OF_USERS};

use crate::{
    NOW, SUPERTOKENS_TABLES, app, fresh_number,
    locked::wait_until_set_aside,
    open, options, rotation_of, send, session,
    sharing::{Counter, connect, wait_for_waiting},
};

/// `own-alice`, who is `alice` to the application, is the primary user of `own-google` and of
/// `own-work`, who is `work` to the application. `own-bob` is linked to nobody, and nobody knows of
/// `carol`.
const USERS: &str = "
    INSERT INTO apps VALUES ('public', 0), ('other', 0);
    INSERT INTO tenants VALUES ('public', 'public', 0), ('public', 't1', 0), ('other', 'public', 0);
    INSERT INTO app_id_to_user_id VALUES
        ('public', 'own-alice', 'emailpassword', 'own-alice', true),
        ('public', 'own-google', 'thirdparty', 'own-alice', true),
        ('public', 'own-work', 'thirdparty', 'own-alice', true),
        ('public', 'own-bob', 'emailpassword', 'own-bob', false),
        ('other', 'own-google', 'thirdparty', 'own-google', false);
    INSERT INTO userid_mapping VALUES
        ('public', 'own-alice', 'alice', ''), ('public', 'own-work', 'work', '')";

const ALL: &TenantScope = &TenantScope::All;

fn database() -> Database {
    let database = Database::new();
    database.run(SUPERTOKENS_TABLES);
    database.run(TABLES_OF_USERS);
    database
}

async fn store() -> (Database, PostgresStore) {
    let database = database();
    database.run(USERS);
    let store = open(&database).await;
    (database, store)
}

fn session_of(user_id: &str) -> SessionRecord {
    SessionRecord { user_id: user_id.into(), ..session() }
}

fn owner(user_id: &str, primary_user: Option<&str>) -> Owner {
    Owner { user_id: user_id.into(), primary_user_id: primary_user.map(Into::into) }
}

/// The account that is given, the one that the session has, and the primary user.
const ACCOUNTS: [(&str, &str, Option<&str>); 9] = [
    ("alice", "alice", None),
    ("own-alice", "alice", None),
    ("own-google", "own-google", Some("alice")),
    ("work", "work", Some("alice")),
    ("own-work", "work", Some("alice")),
    ("own-bob", "own-bob", None),
    ("carol", "carol", None),
    // Ids are padded with spaces in SuperTokens' tables, and these are other ids all the same.
    ("own-google ", "own-google ", None),
    ("OWN-GOOGLE", "OWN-GOOGLE", None),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_intent_answers_with_the_primary_user() {
    let (_database, store) = store().await;
    let (store, app) = (&store, &app());
    let limit =
        SessionLimit { maximum: NonZeroUsize::new(100).unwrap(), when_full: WhenFull::EndOldest };
    for (given, account, primary_user) in ACCOUNTS {
        let right = owner(account, primary_user);
        let row = session_of(given);
        assert_eq!(store.insert_session(app, row.clone()).await.unwrap(), right, "{given}");
        let within = session_of(given);
        let added = store.insert_session_within(app, within.clone(), limit, NOW).await.unwrap();
        let expected = LimitedInsertion::Inserted { owner: right.clone(), ended: Vec::new() };
        assert_eq!(added, expected, "{given}");

        let check = |found: Option<SessionRecord>| {
            let SessionRecord { user_id, primary_user_id, .. } = found.unwrap();
            assert_eq!(Owner { user_id, primary_user_id }, right, "{given}");
        };
        for row in [&row, &within] {
            check(store.get_session(app, &row.handle).await.unwrap());
            check(store.rotate_session(app, &row.handle, rotation_of(row)).await.unwrap());
            let payload = "{}".to_owned();
            check(store.replace_jwt_payload(app, &row.handle, payload, NOW).await.unwrap());
        }
        let listed = store.sessions_of_user(app, account, Accounts::Alone, ALL, NOW).await.unwrap();
        let row = listed.into_iter().find(|listed| listed.handle == row.handle).unwrap();
        check(Some(row.clone()));

        let known = primary_user.unwrap_or(account);
        let handles = std::slice::from_ref(&row.handle);
        let removed = store.remove_sessions(app, handles).await.unwrap();
        assert_eq!(removed[0].user_id, known, "{given}");
        let alone = Accounts::Alone;
        let removed = store.remove_sessions_of_user(app, account, alone, ALL, None).await.unwrap();
        assert!(removed.iter().all(|session| session.user_id == known), "{given}: {removed:?}");
        assert_eq!(removed.len(), 1, "{given}");
    }
    let old = SessionRecord { created_at: Timestamp::from_millis(1), ..session_of("work") };
    store.insert_session(app, old).await.unwrap();
    let removed = store.remove_sessions_created_before(app, NOW, 10).await.unwrap();
    assert_eq!(removed.iter().map(|session| &*session.user_id).collect::<Vec<_>>(), ["alice"]);
}

/// What shares a statement, each with its own account.
#[tokio::test(flavor = "multi_thread")]
async fn requests_that_come_together_are_told_apart() {
    let (database, store) = store().await;
    let app = &app();
    let holder = connect(&database).await;
    holder.batch_execute("BEGIN; LOCK TABLE session_info IN SHARE MODE").await.unwrap();
    let accounts: Vec<_> = ACCOUNTS.into_iter().cycle().take(400).collect();
    let sent: Vec<_> = accounts
        .iter()
        .map(|(given, ..)| send(store.insert_session(app, session_of(given))))
        .collect();
    wait_for_waiting(&database, 1);
    holder.batch_execute("COMMIT").await.unwrap();
    for (answer, (given, account, primary_user)) in sent.into_iter().zip(accounts) {
        assert_eq!(answer.await.unwrap(), owner(account, primary_user), "{given}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_intent_is_one_statement_here_too() {
    let (database, store) = store().await;
    let (store, app, counter) = (&store, &app(), Counter::new(&database));
    let row = session_of("own-work");
    let handle = &row.handle;
    macro_rules! check {
        ($number:literal, $intent:literal, $request:expr) => {
            let calls = counter.calls_of(async { $request.await.unwrap() }).await;
            let total: u32 = calls.iter().map(|(calls, _)| calls).sum();
            assert_eq!(total, $number, "{}: {calls:?}", $intent);
        };
    }
    check!(1, "insert", store.insert_session(app, row.clone()));
    check!(1, "get", store.get_session(app, handle));
    check!(1, "refresh", store.rotate_session(app, handle, rotation_of(&row)));
    check!(1, "payload", store.replace_jwt_payload(app, handle, "{}".into(), NOW));
    for accounts in [Accounts::Linked, Accounts::Alone] {
        check!(1, "list", store.sessions_of_user(app, "alice", accounts, ALL, NOW));
        // With the locks of the accounts, in a transaction that is sent at once.
        check!(4, "remove all", store.remove_sessions_of_user(app, "bob", accounts, ALL, None));
    }
    check!(1, "remove", store.remove_sessions(app, std::slice::from_ref(handle)));
}

/// The accounts of a small world, by which lists and removals are compared.
#[derive(Default)]
struct World {
    accounts: Vec<Account>,
    sessions: Vec<SessionRecord>,
}

struct Account {
    own_id: String,
    external_id: Option<String>,
    user: usize,
}

impl World {
    /// Accounts of which some are linked and some are mapped, and two sessions of each of their
    /// ids, one of which is from before the id was mapped.
    async fn fill(database: &Database, store: &PostgresStore, mut seed: u64) -> Self {
        let mut pick = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        let mut world = Self::default();
        for number in 0..12 {
            let own_id = format!("own-{number}");
            let external_id = (pick(2) == 0).then(|| format!("external-{number}"));
            let earlier: Vec<usize> =
                (0..number).filter(|other| world.accounts[*other].user == *other).collect();
            let user = match pick(3) {
                0 => number,
                _ => earlier.get(pick(4) as usize).copied().unwrap_or(number),
            };
            database.run(&format!(
                "INSERT INTO app_id_to_user_id VALUES
                    ('public', '{own_id}', 'emailpassword', 'own-{user}', true)"
            ));
            if let Some(external_id) = &external_id {
                database.run(&format!(
                    "INSERT INTO userid_mapping VALUES ('public', '{own_id}', '{external_id}')"
                ));
            }
            world.accounts.push(Account { own_id, external_id, user });
        }
        let mut names: Vec<String> = vec!["stranger".into()];
        for account in &world.accounts {
            names.extend(
                [Some(account.own_id.clone()), account.external_id.clone()].into_iter().flatten(),
            );
        }
        for user_id in names {
            for tenant in ["", "_t1"] {
                let handle = SessionHandle::new(&format!("session-{}{tenant}", fresh_number()));
                world.sessions.push(SessionRecord { handle, ..session_of(&user_id) });
            }
        }
        // As they are: a core from before the mapping has made some of them.
        store.put_sessions(&app(), world.sessions.clone()).await.unwrap();
        world
    }

    fn named(&self, user_id: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| {
            account.own_id == user_id || account.external_id.as_deref() == Some(user_id)
        })
    }

    fn ids(&self) -> BTreeSet<String> {
        self.sessions.iter().map(|session| session.user_id.clone()).collect()
    }

    fn meant(&self, user_id: &str, accounts: Accounts, tenants: &TenantScope) -> BTreeSet<String> {
        let is_meant = |session: &&SessionRecord| {
            let is_same = session.user_id == user_id;
            let is_linked = match (self.named(&session.user_id), self.named(user_id)) {
                (Some(one), Some(other)) => one.user == other.user,
                _ => false,
            };
            tenants.covers(&session.handle.tenant())
                && (is_same || (accounts == Accounts::Linked && is_linked))
        };
        self.sessions.iter().filter(is_meant).map(|session| session.handle.to_string()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_removals_mean_the_accounts_that_a_model_says() {
    let t1 = TenantScope::Only("t1".parse().unwrap());
    for seed in 0..6 {
        let database = database();
        database.run(
            "INSERT INTO apps VALUES ('public', 0);
            INSERT INTO tenants VALUES ('public', 'public', 0), ('public', 't1', 0)",
        );
        let store = open(&database).await;
        let app = app();
        let mut world = World::fill(&database, &store, seed).await;
        for user_id in world.ids() {
            for accounts in [Accounts::Linked, Accounts::Alone] {
                for tenants in [ALL, &t1] {
                    let listed =
                        store.sessions_of_user(&app, &user_id, accounts, tenants, NOW).await;
                    let number = listed.as_ref().unwrap().len();
                    let listed: BTreeSet<_> =
                        listed.unwrap().into_iter().map(|row| row.handle.to_string()).collect();
                    let meant = world.meant(&user_id, accounts, tenants);
                    assert_eq!(listed, meant, "{user_id}, {accounts:?}, seed {seed}");
                    assert_eq!(number, meant.len(), "each once");
                }
            }
        }
        for (number, user_id) in world.ids().into_iter().enumerate() {
            let accounts = [Accounts::Alone, Accounts::Linked][number % 2];
            let tenants = [ALL, &t1][number / 2 % 2];
            let removed =
                store.remove_sessions_of_user(&app, &user_id, accounts, tenants, None).await;
            let removed: BTreeSet<_> =
                removed.unwrap().into_iter().map(|session| session.handle.to_string()).collect();
            let meant = world.meant(&user_id, accounts, tenants);
            assert_eq!(removed, meant, "{user_id}, {accounts:?}, seed {seed}");
            world.sessions.retain(|session| !meant.contains(session.handle.as_str()));
        }
        let left = database.rows("SELECT count(*) FROM session_info");
        assert_eq!(left, [world.sessions.len().to_string()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_have_users_of_their_own() {
    let (_database, store) = store().await;
    let other = "other".parse().unwrap();
    store.insert_session(&app(), session_of("alice")).await.unwrap();
    let inserted = store.insert_session(&other, session_of("own-google")).await.unwrap();
    assert_eq!(inserted, owner("own-google", None));
    let linked = Accounts::Linked;
    let found = store.sessions_of_user(&other, "own-google", linked, ALL, NOW).await.unwrap();
    assert_eq!(found.len(), 1);
    let found = store.sessions_of_user(&app(), "own-google", linked, ALL, NOW).await.unwrap();
    assert_eq!(found.iter().map(|row| &*row.user_id).collect::<Vec<_>>(), ["alice"]);
}

/// A core links and maps while the store is open.
#[tokio::test(flavor = "multi_thread")]
async fn links_and_mappings_count_from_the_next_statement_on() {
    let (database, store) = store().await;
    let app = &app();
    let row = session_of("own-bob");
    store.insert_session(app, row.clone()).await.unwrap();
    let user = async || {
        let row = store.get_session(app, &row.handle).await.unwrap().unwrap();
        row.user().to_owned()
    };
    assert_eq!(user().await, "own-bob");
    database.run("INSERT INTO userid_mapping VALUES ('public', 'own-bob', 'bob')");
    assert_eq!(user().await, "bob", "a session from before the mapping");
    let listed = store.sessions_of_user(app, "bob", Accounts::Linked, ALL, NOW).await.unwrap();
    assert_eq!(listed.len(), 1);
    database.run(
        "UPDATE app_id_to_user_id SET primary_or_recipe_user_id = 'own-alice'
        WHERE user_id = 'own-bob'",
    );
    assert_eq!(user().await, "alice");
    database.run(
        "UPDATE app_id_to_user_id SET primary_or_recipe_user_id = 'own-bob'
        WHERE user_id = 'own-bob'",
    );
    assert_eq!(user().await, "bob");
}

/// All sessions of a user end at one moment, whichever account logs in meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn no_account_logs_in_while_all_of_its_user_are_about_to_end() {
    let (database, store) = store().await;
    let app = &app();
    let locked = session_of("alice");
    store.insert_session(app, locked.clone()).await.unwrap();
    let holder = connect(&database).await;
    holder.batch_execute("BEGIN; SELECT * FROM session_info FOR UPDATE").await.unwrap();

    let linked = Accounts::Linked;
    let ended = send(store.remove_sessions_of_user(app, "work", linked, ALL, None));
    wait_for_waiting(&database, 1);
    let login = session_of("own-work");
    let added = send(store.insert_session(app, login.clone()));
    wait_until_set_aside(&database);
    let limit =
        SessionLimit { maximum: NonZeroUsize::new(3).unwrap(), when_full: WhenFull::EndOldest };
    let other = send(store.insert_session_within(app, session_of("own-google"), limit, NOW));
    wait_for_waiting(&database, 2);
    // Nobody else waits for that.
    store.insert_session(app, session_of("own-bob")).await.unwrap();
    holder.batch_execute("COMMIT").await.unwrap();

    let ended = ended.await.unwrap().into_iter().map(|session| session.handle);
    assert!(ended.eq([locked.handle]));
    added.await.unwrap();
    other.await.unwrap();
    let left = store.sessions_of_user(app, "alice", linked, ALL, NOW).await.unwrap();
    assert_eq!(left.len(), 2);
}

/// What is moved elsewhere is what is kept, and nothing of users.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_is_what_is_kept() {
    let (_database, store) = store().await;
    let rows = [session_of("own-google"), session_of("own-alice")];
    store.put_sessions(&app(), rows.to_vec()).await.unwrap();
    let exported = store.export_sessions().await.unwrap().next().await.unwrap();
    let exported: Vec<_> = exported.into_iter().map(|(_, row)| row).collect();
    assert!(rows.iter().all(|row| exported.contains(row)), "{exported:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_users_that_may_not_be_read_are_not_passed_over() {
    let (database, store) = store().await;
    store.tenants().await.unwrap();
    let role = format!("{}_role", database.name());
    database.run(&format!(
        "CREATE ROLE {role} LOGIN;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};
        REVOKE ALL ON app_id_to_user_id FROM {role}"
    ));
    let url = database.url().replace("postgres@", &format!("{role}@"));
    let error = PostgresStore::open(&url).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Incompatible);
    let grant = r#"GRANT SELECT ON "public"."app_id_to_user_id""#;
    assert!(error.to_string().contains(grant), "{error}");
    database.run(&format!("GRANT SELECT ON app_id_to_user_id TO {role}"));
    PostgresStore::open(&url).await.unwrap();
}

/// A core from before accounts could be linked, or ids mapped.
#[tokio::test(flavor = "multi_thread")]
async fn older_tables_of_users_say_less() {
    let (database, _) = store().await;
    database.run("DROP TABLE userid_mapping");
    let unmapped = open(&database).await;
    let inserted = unmapped.insert_session(&app(), session_of("own-google")).await.unwrap();
    assert_eq!(inserted, owner("own-google", Some("own-alice")));
    let found = unmapped.sessions_of_user(&app(), "own-alice", Accounts::Linked, ALL, NOW).await;
    assert_eq!(found.unwrap().len(), 1);

    let (database, _) = store().await;
    database.run("ALTER TABLE app_id_to_user_id DROP COLUMN primary_or_recipe_user_id");
    let unlinked = options(&database).open().await.unwrap();
    let inserted = unlinked.insert_session(&app(), session_of("own-work")).await.unwrap();
    assert_eq!(inserted, owner("work", None));
    let found = unlinked.sessions_of_user(&app(), "alice", Accounts::Linked, ALL, NOW).await;
    assert!(found.unwrap().is_empty());
}
