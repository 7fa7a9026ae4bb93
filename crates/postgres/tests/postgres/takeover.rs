//! A database that a SuperTokens core has used, and may go on using.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use sessile_core::{
    Algorithm, Error, IssueOptions, NewSession, RefreshRequest, SessionService, Sessions,
    VerifyRequest,
    clock::{Clock, ManualClock, Timestamp},
    policy::{Policy, RefreshTokenFormat, RotationPolicy, SigningKeyKind},
};
use sessile_postgres::PostgresStore;
use sessile_postgres_fixture::Database;

use crate::{
    SUPERTOKENS_TABLES,
    core_tokens::{Core, sha},
    open,
};

const START: Timestamp = Timestamp::from_seconds(1_700_000_000);
const HOUR: i64 = 3_600_000;
const HANDLE: &str = "0b2b9b0e-6b5c-4e1e-9d0a-0a6f0d1c2b3a";

/// A policy with which everything is as SuperTokens' core has it.
fn policy(rotation: RotationPolicy) -> Policy {
    Policy {
        rotation,
        algorithm: Algorithm::Rs256,
        refresh_token_format: RefreshTokenFormat::SuperTokens,
        absolute_lifetime: None,
        ..Policy::default()
    }
}

/// A database with one session of a core, its tokens, and an engine on it.
struct TakenOver {
    database: Database,
    core: Core,
    sessions: Sessions<PostgresStore>,
    clock: Arc<ManualClock>,
    refresh_token: String,
    access_token: String,
}

impl TakenOver {
    async fn new(rotation: RotationPolicy) -> Self {
        let core = Core::new(START.as_millis() - HOUR);
        let database = Database::new();
        database.run(SUPERTOKENS_TABLES);
        let refresh_token = core.refresh_token(HANDLE, "alice", None);
        let hash = sha(&sha(&refresh_token));
        let (key, key_created_at, secret) = (core.key_text(), core.key_created_at, &core.secret);
        let expires_at = START.as_millis() + 100 * HOUR;
        database.run(&format!(
            "INSERT INTO apps VALUES ('public', 1);
            INSERT INTO tenants VALUES ('public', 'public', 1);
            INSERT INTO session_access_token_signing_keys
                VALUES ('public', {key_created_at}, '{key}');
            INSERT INTO key_value VALUES ('public', 'public', 'refresh_token_key', '{secret}', 1);
            INSERT INTO session_info (session_handle, user_id, refresh_token_hash_2, session_data,
                expires_at, created_at_time, jwt_user_payload, use_static_key)
            VALUES ('{HANDLE}', 'alice', '{hash}', '{{\"cart\":[1,null]}}', {expires_at},
                {key_created_at}, '{{\"role\":\"reader\",\"none\":null}}', false);"
        ));
        let seconds = START.as_seconds();
        let access_token = core.access_token(&json!({
            "sub": "alice", "exp": seconds + 3000, "iat": seconds - 600, "sessionHandle": HANDLE,
            "refreshTokenHash1": sha(&refresh_token), "parentRefreshTokenHash1": null,
            "antiCsrfToken": null, "tId": "public", "rsub": "alice",
            "role": "reader", "none": null, "iss": "https://api.example/auth",
        }));
        let clock = Arc::new(ManualClock::at(START));
        let sessions = Sessions::builder(open(&database).await)
            .policy(policy(rotation))
            .clock(Arc::clone(&clock))
            .build()
            .await
            .unwrap();
        Self { database, core, sessions, clock, refresh_token, access_token }
    }

    async fn refresh(&self, token: &str) -> Result<(String, String), Error> {
        let issued = self.sessions.refresh(RefreshRequest::from(token)).await?;
        let (access, refresh) = (&issued.access_token.token, &issued.refresh_token.token);
        Ok((access.expose().to_owned(), refresh.expose().to_owned()))
    }

    /// Current hash, previous hash, time of the rotation and expiry.
    fn row(&self) -> Vec<String> {
        let rows = self.database.rows(
            "SELECT refresh_token_hash_2, prev_refresh_token_hash_2, refresh_token_rotated_at,
                expires_at FROM session_info",
        );
        rows[0].split('|').map(str::to_owned).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_a_core_are_good_at_once() {
    let taken_over = TakenOver::new(RotationPolicy::OnUse).await;
    let sessions = &taken_over.sessions;
    let request = VerifyRequest::new(&taken_over.access_token);
    let session = sessions.verify(request).await.unwrap();
    assert_eq!((session.handle().as_str(), session.user_id()), (HANDLE, "alice"));
    let payload = json!({"role": "reader", "none": null, "iss": "https://api.example/auth"});
    assert_eq!(json!(session.jwt_payload()), payload);
    let data = sessions.get_session_data(session.handle()).await.unwrap();
    assert_eq!(json!(data), json!({"cart": [1, null]}));

    let millis = START.as_millis();
    let old = taken_over.core.old_access_token(&json!({
        "sessionHandle": HANDLE, "userId": "alice", "expiryTime": millis + HOUR,
        "timeCreated": millis - 1, "refreshTokenHash1": sha(&taken_over.refresh_token),
        "userData": {"role": "reader"},
    }));
    let session = sessions.verify(VerifyRequest::new(&old)).await.unwrap();
    assert_eq!(session.handle().as_str(), HANDLE);

    // The key that the core made goes on signing.
    let keys = sessions.public_signing_keys(SigningKeyKind::Dynamic).await.unwrap();
    assert_eq!(keys.verifying.len(), 1);
}

/// As the core does it up to CDI 5.5: the row moves when the child is used.
#[tokio::test(flavor = "multi_thread")]
async fn a_core_can_go_on_with_what_was_refreshed_on_use() {
    let taken_over = TakenOver::new(RotationPolicy::OnUse).await;
    let before = taken_over.row();
    let (access, refresh) = taken_over.refresh(&taken_over.refresh_token).await.unwrap();
    assert_eq!(taken_over.row(), before, "handing a child out writes nothing");
    let content = taken_over.core.open_refresh_token(&refresh);
    assert_eq!(content["sessionHandle"], HANDLE);
    assert_eq!(content["userId"], "alice");
    assert_eq!(content["parentRefreshTokenHash1"], sha(&taken_over.refresh_token));

    taken_over.clock.advance(Duration::from_secs(5));
    taken_over.sessions.verify(VerifyRequest::new(&access)).await.unwrap();
    let now = taken_over.clock.now();
    let validity = policy(RotationPolicy::OnUse).refresh_token_validity;
    let expected = [
        sha(&sha(&refresh)),
        before[0].clone(),
        now.as_millis().to_string(),
        now.plus(validity).as_millis().to_string(),
    ];
    assert_eq!(taken_over.row(), expected);
    let error = taken_over.refresh(&taken_over.refresh_token).await.err().unwrap();
    assert!(matches!(error, Error::TokenTheftDetected { .. }), "{error}");
    // Nothing is left that the core would not know of.
    let beside = "SELECT count(*) FROM sessile_session; SELECT count(*) FROM sessile_signing_key";
    assert_eq!(taken_over.database.rows(beside), ["0", "0"]);
}

/// As the core does it since CDI 5.6; and in between, the core rotates itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_core_and_sessile_can_take_turns() {
    let grace = Duration::from_secs(30);
    for rotation in [RotationPolicy::OnRefresh { grace }, RotationPolicy::Idempotent { grace }] {
        let taken_over = TakenOver::new(rotation).await;
        let (_, ours) = taken_over.refresh(&taken_over.refresh_token).await.unwrap();
        let row = taken_over.row();
        assert_eq!(row[0], sha(&sha(&ours)));
        assert_eq!(row[1], sha(&sha(&taken_over.refresh_token)));
        assert_eq!(row[2], START.as_millis().to_string());

        // The core exchanges our token for one of its own.
        let theirs = taken_over.core.refresh_token(HANDLE, "alice", Some(&ours));
        let (current, previous, now) =
            (sha(&sha(&theirs)), sha(&sha(&ours)), START.as_millis() + 1);
        taken_over.database.run(&format!(
            "UPDATE session_info SET refresh_token_hash_2 = '{current}',
                prev_refresh_token_hash_2 = '{previous}', refresh_token_rotated_at = {now}"
        ));
        // A retry with the token that the core replaced is answered, within the grace period.
        taken_over.clock.advance(Duration::from_secs(1));
        let (_, retried) = taken_over.refresh(&ours).await.unwrap();
        assert_eq!(taken_over.row()[0], sha(&sha(&retried)));
        let (_, next) = taken_over.refresh(&retried).await.unwrap();
        assert_eq!(taken_over.row()[0], sha(&sha(&next)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_finds_the_sessions_that_are_created() {
    let taken_over = TakenOver::new(RotationPolicy::OnUse).await;
    let payload = json!({"n": 1, "none": null});
    let login = NewSession::new("bob").jwt_payload(&payload).session_data(json!({"x": [null]}));
    let login = login.issue(IssueOptions {
        signing_key_kind: Some(SigningKeyKind::Static),
        ..IssueOptions::default()
    });
    let issued = taken_over.sessions.create_session(login).await.unwrap();
    let handle = issued.session.handle();
    let rows = taken_over.database.rows(&format!(
        "SELECT app_id, tenant_id, user_id, refresh_token_hash_2, session_data, expires_at,
            created_at_time, jwt_user_payload, use_static_key, prev_refresh_token_hash_2,
            refresh_token_rotated_at
        FROM session_info WHERE session_handle = '{handle}'"
    ));
    let hash = sha(&sha(issued.refresh_token.token.expose()));
    let (now, end) = (START.as_millis(), issued.refresh_token.expires_at.as_millis());
    let expected = format!(
        "public|public|bob|{hash}|{{\"x\":[null]}}|{end}|{now}|{{\"n\":1,\"none\":null}}|t||"
    );
    assert_eq!(rows, [expected]);
    let key =
        taken_over.database.rows("SELECT key_id, algorithm, key_string FROM jwt_signing_keys");
    assert!(key[0].starts_with("s-") && key[0].matches('|').count() == 3, "a static key was made");
}
