use std::net::TcpListener;

use crate::support::{Server, call};

#[test]
fn the_commits_of_sqlite_are_among_the_metrics() {
    let server = Server::start(&["--store", "sessions.db"]);
    let before = writes(&server.call("GET", "/metrics", "", ""));
    server.create();
    server.create();
    // What has expired is looked for meanwhile.
    assert!(writes(&server.call("GET", "/metrics", "", "")) >= before + 2.0);
}

/// How many writes were committed.
fn writes(exposition: &str) -> f64 {
    let line = "sessile_commit_writes_sum ";
    let found = exposition.lines().find_map(|text| text.strip_prefix(line));
    found.unwrap().parse().unwrap()
}

#[test]
fn metrics_may_have_an_address_of_their_own() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let server = Server::start(&["--store", "memory", "--metrics-address", &address]);
    server.create();
    let exposition = call(&address, "GET", "/metrics", "", "");
    assert!(exposition.contains("\nsessile_sessions_created_total 1\n"), "{exposition}");
    assert!(call(&address, "GET", "/health/ready", "", "").starts_with("HTTP/1.1 200 "));
    assert!(server.call("GET", "/metrics", "", "").starts_with("HTTP/1.1 404 "));
}
