//! The embedded store and the key file beside it.

#![expect(clippy::unwrap_used, reason = "in a test, what must not fail may panic")]

use std::fs;

use sessile::{
    Error, NewSession, SessionService as _, VerifyRequest, WrappingKey, embedded, key_file_of,
    random::SystemRandom,
};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn text(result: Result<impl Sized, Error>) -> String {
    result.map(drop).unwrap_err().to_string()
}

#[tokio::test]
async fn sessions_outlive_a_restart() {
    let folder = folder();
    let path = folder.path().join("sessile.db");
    let sessions = embedded(&path).unwrap().build().await.unwrap();
    let issued = sessions.create_session(NewSession::new("alice")).await.unwrap();
    drop(sessions);
    let sessions = embedded(&path).unwrap().build().await.unwrap();
    let access_token = issued.access_token.token.expose();
    assert_eq!(sessions.verify(VerifyRequest::new(access_token)).await.unwrap().user_id(), "alice");
    let refreshed = sessions.refresh(issued.refresh_token.token.expose().into()).await.unwrap();
    assert_eq!(refreshed.session.handle(), issued.session.handle());
}

#[cfg(unix)]
#[tokio::test]
async fn every_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder();
    let path = folder.path().join("sessile.db");
    let sessions = embedded(&path).unwrap().build().await.unwrap();
    let _issued = sessions.create_session(NewSession::new("alice")).await.unwrap();
    let mut names = Vec::new();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        names.push(entry.file_name().into_string().unwrap());
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{names:?}");
    }
    names.sort();
    assert_eq!(names, ["sessile.db", "sessile.db-shm", "sessile.db-wal", "sessile.db.key"]);
}

#[tokio::test]
async fn the_database_file_alone_makes_no_token() {
    let folder = folder();
    let path = folder.path().join("sessile.db");
    let sessions = embedded(&path).unwrap().build().await.unwrap();
    let issued = sessions.create_session(NewSession::new("alice")).await.unwrap();
    let refreshed = sessions.refresh(issued.refresh_token.token.expose().into()).await.unwrap();
    drop(sessions);

    // What a thief of the file has: every value in it, none of which is a key or a token.
    let database = rusqlite::Connection::open(&path).unwrap();
    let mut statement = database
        .prepare("SELECT material FROM signing_keys UNION ALL SELECT value FROM secrets")
        .unwrap();
    let kept: Vec<String> =
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(kept.len(), 3, "a signing key, and a refresh-token key for each format");
    assert!(kept.iter().all(|text| text.starts_with("sealed1:")), "keys at rest are sealed");
    let bytes: Vec<u8> = ["sessile.db", "sessile.db-wal"]
        .iter()
        .flat_map(|name| fs::read(folder.path().join(name)).unwrap_or_default())
        .collect();
    let tokens = [&issued.refresh_token, &refreshed.refresh_token, &refreshed.access_token];
    for token in tokens {
        let token = token.token.expose().as_bytes();
        assert!(!bytes.windows(token.len()).any(|window| window == token), "a token in the file");
    }

    // Without the key file the engine does not start, and a new key does not help.
    fs::remove_file(key_file_of(&path)).unwrap();
    assert!(text(embedded(&path)).contains("its key file"));
    let other = WrappingKey::generate(&SystemRandom).unwrap();
    fs::write(key_file_of(&path), other.to_text().as_bytes()).unwrap();
    let message = text(embedded(&path).unwrap().build().await);
    assert!(message.contains("another wrapping key"), "{message}");
    fs::write(key_file_of(&path), "not a key").unwrap();
    assert!(text(embedded(&path)).contains("44 characters"));
}

#[tokio::test]
async fn an_unusable_place_is_named() {
    let folder = folder();
    let nowhere = folder.path().join("missing").join("sessile.db");
    let message = text(embedded(&nowhere));
    assert!(message.contains("sessile.db.key"), "{message}");
    let foreign = folder.path().join("foreign.db");
    fs::write(
        key_file_of(&foreign),
        WrappingKey::generate(&SystemRandom).unwrap().to_text().as_bytes(),
    )
    .unwrap();
    fs::write(&foreign, "this is a text file, long enough to be no empty database".repeat(20))
        .unwrap();
    let before = fs::read(&foreign).unwrap();
    let message = text(embedded(&foreign));
    assert!(message.contains("not a SQLite database"), "{message}");
    assert_eq!(fs::read(&foreign).unwrap(), before, "left as it was");
}

#[tokio::test]
async fn two_engines_on_one_file_agree() {
    let folder = folder();
    let path = folder.path().join("sessile.db");
    let first = embedded(&path).unwrap().build().await.unwrap();
    let second = embedded(&path).unwrap().build().await.unwrap();
    let issued = first.create_session(NewSession::new("alice")).await.unwrap();
    let access_token = issued.access_token.token.expose();
    assert!(second.verify(VerifyRequest::new(access_token)).await.is_ok());
    let next = second.refresh(issued.refresh_token.token.expose().into()).await.unwrap();
    assert!(first.refresh(next.refresh_token.token.expose().into()).await.is_ok());
}
