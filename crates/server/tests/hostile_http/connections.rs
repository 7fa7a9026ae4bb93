use sessile_server::Limits;
use tokio::io::AsyncWriteExt as _;

use crate::support::{Running, SHORT, one_answer, patient, rest};

const HELLO: &str = "GET /hello HTTP/1.1\r\n\r\n";

#[tokio::test]
async fn a_connection_on_which_nothing_comes_is_closed() {
    let server = Running::start(Limits { head_timeout: SHORT, ..patient() }).await;
    let mut client = server.connect().await;
    assert_eq!(rest(&mut client).await, "");
    server.serves().await;
}

#[tokio::test]
async fn a_head_that_does_not_end_in_time_closes_the_connection() {
    let server = Running::start(Limits { head_timeout: SHORT, ..patient() }).await;
    // Also where an answer came before it, though an idle connection is kept for long.
    for before in ["", HELLO] {
        let mut client = server.connect().await;
        if !before.is_empty() {
            client.write_all(before.as_bytes()).await.unwrap();
            assert_eq!(one_answer(&mut client).await.1, "Hello\n");
        }
        client.write_all(b"GET /hello HTTP/1.1\r\nX-Slow").await.unwrap();
        assert_eq!(rest(&mut client).await, "");
    }
    server.serves().await;
}

#[tokio::test]
async fn bytes_that_trickle_in_do_not_lengthen_the_time_of_a_head() {
    let server = Running::start(Limits { head_timeout: SHORT, ..patient() }).await;
    let mut client = server.connect().await;
    let (mut reading, mut writing) = client.split();
    let trickle = async {
        loop {
            if writing.write_all(b"X: y\r\n").await.is_err() {
                return;
            }
            tokio::time::sleep(SHORT / 20).await;
        }
    };
    let mut answer = Vec::new();
    let ended = async {
        use tokio::io::AsyncReadExt as _;
        let _ = reading.read_to_end(&mut answer).await;
    };
    tokio::select! {
        () = trickle => {}
        () = ended => {}
    }
    server.serves().await;
}

#[tokio::test]
async fn an_idle_connection_is_kept_for_its_time_and_then_closed() {
    let server = Running::start(Limits { idle_timeout: SHORT * 10, ..patient() }).await;
    let mut client = server.connect().await;
    for _ in 0..3 {
        client.write_all(HELLO.as_bytes()).await.unwrap();
        let (head, body) = one_answer(&mut client).await;
        assert!(head.starts_with("HTTP/1.1 200") && body == "Hello\n", "{head}");
    }
    assert_eq!(rest(&mut client).await, "");
}

#[tokio::test]
async fn connections_beyond_the_limit_are_told_so() {
    let server = Running::start(Limits { connections: 2, ..patient() }).await;
    let mut first = server.connect().await;
    first.write_all(HELLO.as_bytes()).await.unwrap();
    one_answer(&mut first).await;
    let mut second = server.connect().await;
    second.write_all(HELLO.as_bytes()).await.unwrap();
    one_answer(&mut second).await;
    let refused = server.answer(HELLO).await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("\r\nretry-after: 1\r\n"), "{refused}");
    assert!(refused.ends_with("There are too many connections; try again later\n"), "{refused}");
    // Who has a connection is served all the same, and a place that becomes free is given away.
    first.write_all(HELLO.as_bytes()).await.unwrap();
    assert_eq!(one_answer(&mut first).await.1, "Hello\n");
    second.shutdown().await.unwrap();
    assert_eq!(rest(&mut second).await, "");
    server.serves_again().await;
}

#[tokio::test]
async fn clients_that_only_connect_cannot_take_more_than_the_limit() {
    let server = Running::start(Limits { connections: 1, head_timeout: SHORT, ..patient() }).await;
    let mut clients = Vec::new();
    for _ in 0..200 {
        clients.push(server.connect().await);
    }
    // Each is cut off: for its silence, or because there are too many.
    for mut client in clients {
        assert_eq!(rest(&mut client).await, "");
    }
    server.serves_again().await;
}

#[tokio::test]
async fn idle_and_silent_connections_do_not_hold_up_the_end() {
    let mut server = Running::start(patient()).await;
    let silent = server.connect().await;
    let mut idle = server.connect().await;
    idle.write_all(HELLO.as_bytes()).await.unwrap();
    one_answer(&mut idle).await;
    server.tell_to_stop();
    server.stopped().await;
    assert_eq!(rest(&mut idle).await, "");
    drop(silent);
}

#[tokio::test]
async fn a_request_that_is_under_way_for_too_long_is_given_up_at_the_end() {
    let limits = Limits { shutdown_timeout: SHORT, ..patient() };
    let server = Running::start(limits).await;
    let mut client = server.connect().await;
    let head = "POST /recipe/session HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    let mut going_on = [0; 25];
    tokio::io::AsyncReadExt::read_exact(&mut client, &mut going_on).await.unwrap();
    assert_eq!(going_on, *b"HTTP/1.1 100 Continue\r\n\r\n");
    server.stopped().await;
    assert_eq!(rest(&mut client).await, "");
}
