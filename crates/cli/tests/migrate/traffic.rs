use std::{
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use serde_json::Value;
use sessile_postgres_fixture::Database;

use crate::{Run, Server, migrate, refresh_token, sessile};

/// A client that refreshes for as long as it is served.
struct Client {
    /// What it was given last.
    answer: Value,
}

impl Client {
    fn new(answer: Value) -> Self {
        Self { answer }
    }

    fn access_token(&self) -> &str {
        self.answer["accessToken"]["token"].as_str().unwrap()
    }

    /// Goes on until the store takes no more writes; whatever is answered before must be a success.
    fn refresh_until_moved(
        &mut self,
        address: &str,
        is_over: &AtomicBool,
        refreshed: &AtomicUsize,
    ) {
        while !is_over.load(Ordering::Relaxed) {
            let (status, answer) = Server::refresh(address, &refresh_token(&self.answer));
            if status == "200" {
                assert_eq!(answer["status"], "OK", "{answer}");
                self.answer = answer;
                refreshed.fetch_add(1, Ordering::Relaxed);
            } else {
                assert_eq!(status, "503", "{answer}");
            }
        }
    }
}

/// Moves the store while all clients refresh and others log in.
fn move_with_traffic(
    folder: &Path,
    server: &Server,
    clients: &mut [Client],
    arguments: &[&str],
) -> Run {
    let (is_over, refreshed) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let busy: Vec<_> = clients
            .iter_mut()
            .map(|client| {
                let (is_over, refreshed) = (&is_over, &refreshed);
                let address = &server.address;
                scope.spawn(move || client.refresh_until_moved(address, is_over, refreshed))
            })
            .collect();
        // The traffic is there before, during and after the move.
        while refreshed.load(Ordering::Relaxed) < 2 * busy.len() {
            assert!(!busy.iter().any(thread::ScopedJoinHandle::is_finished));
            thread::yield_now();
        }
        let run = migrate(folder, arguments, &[]);
        is_over.store(true, Ordering::Relaxed);
        run
    })
}

#[test]
fn sessions_that_are_refreshed_meanwhile_are_moved_there_and_back() {
    let database = Database::new();
    let url = database.url();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let first = Server::start(folder, "first.db");
    let idle = Client::new(first.log_in("idle"));
    let mut clients: Vec<_> =
        (0..4).map(|number| Client::new(first.log_in(&format!("user {number}")))).collect();

    let mut servers = [first];
    for (from, to) in [("first.db", url.as_str()), (url.as_str(), "second.db")] {
        let run =
            move_with_traffic(folder, &servers[0], &mut clients, &["--from", from, "--to", to]);
        assert!(run.done, "{}", run.progress);
        assert!(run.told.contains("5 sessions"), "{}", run.told);
        // Who still asks the old server is told that it failed, and loses nothing.
        let (status, _) = Server::refresh(&servers[0].address, &refresh_token(&idle.answer));
        assert_eq!(status, "503", "nobody writes to {from} any more");
        for (store, is_ready) in [(from, false), (to, true)] {
            let report = sessile(folder).args(["doctor", "--store", store]).output().unwrap();
            let told = String::from_utf8_lossy(&report.stdout);
            assert_eq!(report.status.success(), is_ready, "{told}");
            assert!(is_ready || told.contains("not ready: writes"), "{told}");
        }

        servers[0] = Server::start(folder, to);
        for client in &mut clients {
            let verified = servers[0].verify(client.access_token());
            assert_eq!(verified["status"], "OK", "{verified}");
            let (_, answer) = Server::refresh(&servers[0].address, &refresh_token(&client.answer));
            assert_eq!(answer["status"], "OK", "{answer}");
            client.answer = answer;
        }
    }
    let verified = servers[0].verify(idle.access_token());
    assert_eq!(verified["session"]["userDataInJWT"]["role"], "editor", "{verified}");
    let (_, answer) = Server::refresh(&servers[0].address, &refresh_token(&idle.answer));
    assert_eq!(answer["status"], "OK", "{answer}");
}
