use serde_json::json;
use sessile_postgres_fixture::{Cluster, Shutdown};

use crate::client::{AWAY, Client, handle};

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_missed_at_once_and_found_again() {
    let cluster = Cluster::start(&[]);
    let client = Client::of(&cluster.database()).await;
    let mut session = client.log_in("").await.ok();
    let handle = handle(&session).to_owned();
    for shutdown in [Shutdown::Fast, Shutdown::Immediate] {
        cluster.stop(shutdown);
        for _ in 0..3 {
            client.log_in("").await.refused(AWAY);
            client.refresh(&session).await.refused(AWAY);
            client.verify(&session, true).await.refused(AWAY);
            client.information(&session).await.refused(AWAY);
            client.get("/recipe/session/user?userId=alice").await.refused(AWAY);
            let data = json!({ "sessionHandle": handle, "userDataInDatabase": {} });
            client.send("PUT", "/recipe/session/data", data).await.refused(AWAY);
            let all = json!({ "userId": "alice" });
            client.send("POST", "/recipe/session/remove", all).await.refused(AWAY);
            let app = json!({ "appId": "shop" });
            client.send("PUT", "/recipe/multitenancy/app/v2", app).await.refused(AWAY);
        }
        let ready = client.get("/health/ready").await;
        assert_eq!(ready.status, 503);
        assert!(ready.text.contains(AWAY), "{}", ready.text);
        client.check_life_without_database(&session).await;

        cluster.start_again();
        client.wait_until_ready().await;
        session = client.refresh(&session).await.ok();
        client.log_in("").await.ok();
        client.verify(&session, true).await.ok();
    }
    assert!(client.handles().await.contains(&handle));
}
