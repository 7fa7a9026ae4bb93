//! What was moved already is not moved again.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use sessile_postgres_fixture::Database;

use crate::{Server, migrate, refresh_token};

#[test]
fn a_finished_move_is_not_done_again() {
    let (database, other) = (Database::new(), Database::new());
    let (url, other) = (database.url(), (other.url(), other));
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut server = Server::start(folder, "first.db");
    let mut token = refresh_token(&server.log_in("alice"));
    for (from, to) in [("first.db", url.as_str()), (url.as_str(), "second.db")] {
        let arguments = ["--from", from, "--to", to];
        assert!(migrate(folder, &arguments, &[]).done);
        server = Server::start(folder, to);
        // What the source knows of is changed, and something is there of which it does not know.
        token = refresh_token(&Server::refresh(&server.address, &token).1);
        let bob = server.log_in("bob");

        let again = migrate(folder, &arguments, &[]);
        assert!(again.done && again.told.contains("before, as a whole"), "{}", again.progress);
        for elsewhere in ["third.db", &other.0] {
            let run = migrate(folder, &["--from", from, "--to", elsewhere], &[]);
            assert!(!run.done && run.progress.contains("moved away before"), "{}", run.progress);
        }
        assert!(!folder.join("third.db").exists(), "made, though nothing is moved there");
        let tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'";
        assert_eq!(other.1.rows(tables), [""; 0]);
        let bob = server.verify(bob["accessToken"]["token"].as_str().unwrap());
        assert_eq!(bob["status"], "OK", "{bob}");
        let (_, refreshed) = Server::refresh(&server.address, &token);
        assert_eq!(refreshed["status"], "OK", "{refreshed}");
        token = refresh_token(&refreshed);
    }
    // Of the first store it is still known.
    let run = migrate(folder, &["--from", "first.db", "--to", &url], &[]);
    assert!(run.done && run.told.contains("to second.db since"), "{}{}", run.told, run.progress);
    drop(server);
}

#[test]
fn there_is_a_way_back() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let token = refresh_token(&Server::start(folder, "first.db").log_in("alice"));
    let (there, back) =
        (["--from", "first.db", "--to", "second.db"], ["--from", "second.db", "--to", "first.db"]);
    assert!(migrate(folder, &there, &[]).done);
    let moved = Server::start(folder, "second.db");
    let token = refresh_token(&Server::refresh(&moved.address, &token).1);

    let run = migrate(folder, &back, &[]);
    assert!(!run.done && run.progress.contains("--reinstate"), "{}", run.progress);
    moved.log_in("bob");
    assert!(migrate(folder, &["--reinstate", "first.db"], &[]).done);
    for _ in 0..2 {
        let run = migrate(folder, &back, &[]);
        assert!(run.done, "{}", run.progress);
    }
    let server = Server::start(folder, "first.db");
    assert_eq!(Server::refresh(&server.address, &token).1["status"], "OK");
    // And there once more.
    assert!(migrate(folder, &["--reinstate", "second.db"], &[]).done);
    let run = migrate(folder, &there, &[]);
    assert!(run.done && run.told.contains("2 sessions"), "{}", run.progress);
}

#[test]
fn a_store_is_not_moved_to_itself() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), "first.db");
    server.log_in("alice");
    let run = migrate(folder.path(), &["--from", "first.db", "--to", "./first.db"], &[]);
    assert!(!run.done && run.progress.contains("the same store"), "{}", run.progress);
    server.log_in("bob");
}

/// Forwards connections to the database, but not the answer to the commit that retires it.
/// Afterwards there may be no new connections either.
fn losing_the_answer(database: &Database, is_gone_then: bool) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = database.url_at(listener.local_addr().unwrap().port());
    let port: u16 = database.url().split([':', '/']).nth(4).unwrap().parse().unwrap();
    let is_gone = Arc::new(AtomicBool::new(false));
    thread::spawn(move || {
        for client in listener.incoming() {
            if is_gone.load(Ordering::Relaxed) {
                continue;
            }
            let client = client.unwrap();
            let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let is_lost = Arc::new(AtomicBool::new(false));
            let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
            let (gone, lost) = (Arc::clone(&is_gone), Arc::clone(&is_lost));
            thread::spawn(move || {
                let mut is_retiring = false;
                forward(client, server, |text| {
                    is_retiring |= text.contains("CREATE TRIGGER sessile_retired");
                    if is_retiring && text.contains("COMMIT") {
                        lost.store(true, Ordering::Relaxed);
                        gone.store(is_gone_then, Ordering::Relaxed);
                    }
                    true
                });
            });
            thread::spawn(move || forward(back.0, back.1, |_| !is_lost.load(Ordering::Relaxed)));
        }
    });
    url
}

/// Until one side ends, or something is not to be passed on.
fn forward(mut from: TcpStream, mut to: TcpStream, mut passes: impl FnMut(&str) -> bool) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        if !passes(&String::from_utf8_lossy(&bytes[..read]))
            || to.write_all(&bytes[..read]).is_err()
        {
            break;
        }
    }
    for side in [from, to] {
        drop(side.shutdown(Shutdown::Both));
    }
}

fn with_session(folder: &Path) -> Database {
    let database = Database::new();
    Server::start(folder, &database.url()).log_in("alice");
    database
}

#[test]
fn a_lost_answer_is_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let database = with_session(folder.path());
    let url = losing_the_answer(&database, false);
    let run = migrate(folder.path(), &["--from", &url, "--to", "second.db"], &[]);
    assert!(run.done && run.told.contains("1 sessions"), "{}", run.progress);
    assert!(run.progress.contains("the answer was lost, but it was done"), "{}", run.progress);
}

#[test]
fn where_nothing_can_be_known_the_next_run_tells() {
    let folder = tempfile::tempdir().unwrap();
    let database = with_session(folder.path());
    let url = losing_the_answer(&database, true);
    let run = migrate(folder.path(), &["--from", &url, "--to", "second.db"], &[]);
    assert!(!run.done && run.told.is_empty(), "{}", run.told);
    assert!(run.progress.contains("it is not known whether"), "{}", run.progress);
    assert!(!run.progress.contains("goes on"), "{}", run.progress);
    let again = migrate(folder.path(), &["--from", &database.url(), "--to", "second.db"], &[]);
    assert!(again.done && again.told.contains("before, as a whole"), "{}", again.progress);
}
