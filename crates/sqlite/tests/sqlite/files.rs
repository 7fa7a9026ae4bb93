use std::{fs, path::Path};

use rusqlite::Connection;
use sessile_core::{
    AppId, TenantScope,
    store::{Accounts, Store, StoreError, StoreErrorKind, StoredSigningKey},
};
use sessile_sqlite::{Durability, SqliteStore};

use crate::{Folder, NOW, send, session};

const APPLICATION_ID: i64 = 0x5365_7373;

fn assert_refused(path: &Path, kind: StoreErrorKind, advice: &str) {
    let error: StoreError = SqliteStore::open(path).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(advice), "{error}");
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_reopening() {
    let (folder, app) = (Folder::new(), AppId::default());
    let key = StoredSigningKey {
        key_id: "key".into(),
        algorithm: "ES256".into(),
        created_at: NOW,
        material: "material".into(),
        is_static: false,
    };
    let mut rows = vec![session(), session()];
    rows.sort_by(|one, other| one.handle.cmp(&other.handle));
    for (number, row) in rows.iter().enumerate() {
        let store = folder.open();
        store.insert_session(&app, row.clone()).await.unwrap();
        let newest = (number > 0).then_some("none");
        store.add_signing_key(&app, key.clone(), newest).await.unwrap();
        assert_eq!(
            store.secret(&app, "name", format!("secret {number}")).await.unwrap(),
            "secret 0"
        );
    }
    let options = SqliteStore::options().readers(1).durability(Durability::Normal);
    let store = options.open(folder.file("")).unwrap();
    let found = store
        .sessions_of_user(&app, "alice", Accounts::Linked, &TenantScope::All, NOW)
        .await
        .unwrap();
    assert!(found == rows);
    assert!(store.signing_keys(&app).await.unwrap() == [key]);
}

#[tokio::test]
async fn a_closed_store_has_closed_its_file_and_says_so() {
    let (folder, app) = (Folder::new(), AppId::default());
    let (store, row) = (folder.open(), session());
    let kept = store.clone();
    let sent = send(store.insert_session(&app, row.clone()));
    store.close();
    assert!(!folder.file("-wal").exists(), "the last connection clears the log away");
    sent.await.unwrap();
    let read = kept.get_session(&app, &row.handle).await.unwrap_err();
    let write = kept.insert_session(&app, session()).await.unwrap_err();
    for error in [read, write] {
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(error.to_string().contains("closed"), "{error}");
    }
    kept.close();
    assert!(folder.open().get_session(&app, &row.handle).await.unwrap() == Some(row));
}

#[test]
fn a_newer_version_is_refused() {
    let folder = Folder::new();
    let connection = Connection::open(folder.file("")).unwrap();
    connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
    connection.pragma_update(None, "user_version", 1000).unwrap();
    assert_refused(&folder.file(""), StoreErrorKind::Incompatible, "newer version of Sessile");
    let read = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    assert_eq!(read("user_version").unwrap(), 1000);
    let mode: String =
        connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(mode, "delete", "a file that is refused must be left as it was");
}

#[test]
fn the_file_of_another_program_is_refused_and_left_as_it_was() {
    for (sql, advice) in [
        (Some("PRAGMA application_id = 77"), "another program's"),
        (Some("PRAGMA user_version = 1"), "another program's"),
        (Some("CREATE TABLE theirs (x)"), "another program's"),
        (None, "not a SQLite database"),
    ] {
        let folder = Folder::new();
        let path = folder.file("");
        match sql {
            Some(sql) => Connection::open(&path).unwrap().execute_batch(sql).unwrap(),
            None => fs::write(&path, "Dear diary, ".repeat(1000)).unwrap(),
        }
        let mode = fs::metadata(&path).unwrap().permissions();
        let content = fs::read(&path).unwrap();
        assert_refused(&path, StoreErrorKind::Incompatible, advice);
        assert_eq!(fs::metadata(&path).unwrap().permissions(), mode);
        assert!(fs::read(&path).unwrap() == content);
    }
}

#[test]
fn a_path_without_a_file_is_refused() {
    let folder = Folder::new();
    let missing = folder.file("").with_file_name("missing").join("sessions.db");
    assert_refused(&missing, StoreErrorKind::Unavailable, "no such folder: create it");
    let folder_itself = folder.file("");
    fs::create_dir(&folder_itself).unwrap();
    assert_refused(&folder_itself, StoreErrorKind::NotWritable, "write to the file");
}

#[cfg(unix)]
mod rights {
    use std::{
        fs::{self, OpenOptions, Permissions},
        os::unix::fs::PermissionsExt,
        path::Path,
    };

    use rusqlite::Connection;
    use sessile_core::{
        AppId,
        store::{Store, StoreErrorKind},
    };

    use super::{APPLICATION_ID, assert_refused};
    use crate::{Folder, session};

    const ENDS: [&str; 3] = ["", "-wal", "-shm"];

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[tokio::test]
    async fn only_the_owner_can_read_the_files_while_they_are_open() {
        let (folder, app) = (Folder::new(), AppId::default());
        let store = folder.open();
        let row = session();
        store.insert_session(&app, row.clone()).await.unwrap();
        store.get_session(&app, &row.handle).await.unwrap();
        for end in ENDS {
            assert_eq!(mode(&folder.file(end)), 0o600, "{end}");
        }

        for end in ENDS {
            set_mode(&folder.file(end), 0o644);
        }
        let second = folder.open();
        second.insert_session(&app, session()).await.unwrap();
        for end in ENDS {
            assert_eq!(mode(&folder.file(end)), 0o600, "{end}");
        }
    }

    #[tokio::test]
    async fn an_empty_file_that_others_can_read_is_taken_from_them() {
        let folder = Folder::new();
        fs::write(folder.file(""), "").unwrap();
        set_mode(&folder.file(""), 0o664);
        let store = folder.open();
        store.insert_session(&AppId::default(), session()).await.unwrap();
        for end in ENDS {
            assert_eq!(mode(&folder.file(end)), 0o600, "{end}");
        }
    }

    /// The superuser can write anywhere, and has nothing to see here.
    fn can_write(path: &Path) -> bool {
        OpenOptions::new().append(true).create(true).open(path).is_ok()
    }

    #[test]
    fn a_file_or_folder_that_cannot_be_written_is_refused() {
        let folder = Folder::new();
        let path = folder.file("");
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.close().unwrap();
        set_mode(&path, 0o400);
        if can_write(&path) {
            return;
        }
        assert_refused(&path, StoreErrorKind::NotWritable, "give this user the right");

        set_mode(&path, 0o600);
        set_mode(folder.0.path(), 0o500);
        assert_refused(&path, StoreErrorKind::NotWritable, "give this user the right");
        let new = folder.file("").with_file_name("new.db");
        assert_refused(&new, StoreErrorKind::NotWritable, "the right to write to the folder");
        set_mode(folder.0.path(), 0o700);
    }
}
