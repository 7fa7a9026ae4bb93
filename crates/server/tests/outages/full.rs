use std::iter::repeat_with;

use serde_json::Value;
use sessile_postgres_fixture::{Cluster, SmallDisk};

use crate::{
    client::{AWAY, Client, NOT_WRITABLE, handle},
    support::Answer,
};

/// A text that cannot be compressed to much less.
fn text(length: usize) -> String {
    repeat_with(fastrand::alphanumeric).take(length).collect()
}

/// Logs in until that is refused. Gives the sessions that were acknowledged, and the refusal.
async fn log_in_until_refused(client: &Client, length: usize) -> (Vec<Value>, Answer) {
    let mut sessions = Vec::new();
    loop {
        let answer = client.log_in(&text(length)).await;
        if answer.status != 200 {
            return (sessions, answer);
        }
        sessions.push(answer.ok());
    }
}

/// Each session is there, and its newest refresh token is good.
async fn check_all_are_there(client: &Client, sessions: &[Value]) {
    for session in sessions {
        client.information(session).await.ok();
        let refreshed = client.refresh(session).await.ok();
        client.verify(&refreshed, true).await.ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_without_room_are_read_and_written_again_when_there_is_some() {
    let disk = SmallDisk::new(64);
    let cluster = Cluster::start(&[]);
    let client = Client::of(&cluster.database_on(&disk)).await;
    let mut sessions = vec![client.log_in("").await.ok()];
    disk.fill();
    for length in [100_000, 1000] {
        let (acknowledged, refusal) = log_in_until_refused(&client, length).await;
        refusal.refused(NOT_WRITABLE);
        sessions.extend(acknowledged);
    }
    for session in &mut sessions {
        client.information(session).await.ok();
        let answer = client.refresh(session).await;
        // In a page that has room for it, or not at all.
        if answer.status == 200 {
            *session = answer.ok();
        } else {
            answer.refused(NOT_WRITABLE);
        }
    }
    client.log_in(&text(100_000)).await.refused(NOT_WRITABLE);
    let mut handles: Vec<_> = sessions.iter().map(handle).collect();
    handles.sort_unstable();
    assert_eq!(client.handles().await, handles, "what was refused did not happen");
    assert!(client.is_ready().await);
    client.check_life_without_database(&sessions[0]).await;

    disk.make_room();
    client.log_in(&text(100_000)).await.ok();
    check_all_are_there(&client, &sessions).await;
}

/// A server that cannot write its log ends, and so do those that it starts instead.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_there_is_no_room_for_the_log() {
    let disk = SmallDisk::new(32);
    let cluster = Cluster::start_with_log_on(&disk);
    let client = Client::of(&cluster.database()).await;
    disk.fill();
    let (sessions, refusal) = log_in_until_refused(&client, 20_000).await;
    refusal.refused(AWAY);
    assert!(!sessions.is_empty());
    client.check_life_without_database(&sessions[0]).await;
    let log = cluster.log();
    assert!(log.contains("PANIC") && log.contains("No space left on device"), "{log}");

    disk.make_room();
    cluster.restart();
    client.wait_until_ready().await;
    check_all_are_there(&client, &sessions).await;
    client.log_in(&text(20_000)).await.ok();
}
