//! However much clients send, the server's memory has a bound, and others are served.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
};

use crate::support::Server;

/// The most memory that the process has had, in KiB.
fn peak(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.process_id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn head(length: usize) -> String {
    format!(
        "POST /recipe/session HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// Sends this from 40 clients at once, each of which may be refused or cut off, and gives how their
/// answers begin.
fn send_from_many(server: &Server, body: &str) -> Vec<String> {
    thread::scope(|scope| {
        let clients: Vec<_> = (0..40)
            .map(|_| {
                scope.spawn(|| {
                    let mut stream = TcpStream::connect(&server.address).unwrap();
                    let _ = stream.write_all(head(body.len()).as_bytes());
                    let _ = stream.write_all(body.as_bytes());
                    let mut answer = Vec::new();
                    let _ = stream.read_to_end(&mut answer);
                    String::from_utf8(answer).unwrap().chars().take(12).collect::<String>()
                })
            })
            .collect();
        // Beside them, a client that behaves.
        for _ in 0..10 {
            assert_eq!(server.create()["status"], "OK");
        }
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    })
}

#[test]
fn memory_stays_within_bounds_and_others_are_served() {
    let server = Server::start(&["--store", "memory"]);
    server.create();
    let before = peak(&server);

    // Half-open: a head without its end, a body without most of it, and nothing at all.
    let half_open: Vec<TcpStream> = (0..600)
        .map(|number| {
            let mut stream = TcpStream::connect(&server.address).unwrap();
            let sent = match number % 3 {
                0 => String::new(),
                1 => head(1_000_000).trim_end().to_owned(),
                _ => head(1_000_000) + "{\"userId\":",
            };
            stream.write_all(sent.as_bytes()).unwrap();
            stream
        })
        .collect();
    assert_eq!(server.create()["status"], "OK");

    for (body, statuses) in [
        ("x".repeat(10 * 1024 * 1024), ["413", "413"]),
        ("[".repeat(1024 * 1024), ["400", "503"]),
        // As many values as a body can have: each takes many times its two bytes.
        (format!("{{\"userId\":[{}0]}}", "0,".repeat(500_000)), ["400", "503"]),
        (format!("{{\"userId\":[{}[]]}}", "[],".repeat(340_000)), ["400", "503"]),
    ] {
        for answer in send_from_many(&server, &body) {
            let status = answer.strip_prefix("HTTP/1.1 ").unwrap();
            assert!(statuses.contains(&status), "{answer}");
        }
    }
    drop(half_open);
    let grown = (peak(&server) - before) / 1024;
    assert!(grown < 256, "{grown} MiB");
}
