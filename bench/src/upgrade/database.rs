//! A database as the cores from 9.0 to 12.0 have it, with sessions in it.

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sessile::{
    Algorithm, IssuedSession, NewSession, SessionService as _, Sessions,
    policy::{Policy, RefreshTokenFormat},
};
use sessile_bench::apps::{jwt_payload, session_data};
use sessile_postgres::{Ownership, PostgresOptions, PostgresStore};
use sessile_postgres_fixture::{Cluster, Database, supertokens};

/// What Sessile has beside the tables of the core.
const OWN_TABLES: [&str; 6] = [
    "sessile_move",
    "sessile_secret",
    "sessile_session",
    "sessile_signing_key",
    "sessile_store",
    "sessile_tenant",
];

/// Every hundredth session is one that cores change, and every five-hundredth one that ends soon.
pub(super) const CHANGED: &str = "changed";
pub(super) const ENDING: &str = "ending";
/// Those of the others are left alone.
const KEPT: &str = "kept";
/// Those whose tokens are known.
const KNOWN: &str = "known";

/// How many tokens are known.
const TOKENS: usize = 600;

/// When the first of the sessions that end soon ends, in milliseconds. That is long ago: of time,
/// only these know.
pub(super) const FIRST_END: i64 = 1_000_000_000_000;

/// A database and what is known of it.
pub(super) struct OldDatabase {
    database: Database,
    kept: Vec<String>,
    /// Sessions that a node may refresh.
    pub(super) known: Vec<IssuedSession>,
}

impl OldDatabase {
    pub(super) async fn make(cluster: &Cluster, rows: u32) -> anyhow::Result<Self> {
        let database = cluster.database();
        database.run(supertokens::TABLES);
        database.run(
            "INSERT INTO apps VALUES ('public', 1);
            INSERT INTO tenants VALUES ('public', 'public', 1);
            INSERT INTO tenant_configs VALUES ('', 'public', 'public', '{}', true, true, true)",
        );
        let mut made = Self { database, kept: Vec::new(), known: Vec::new() };
        made.known = made.log_in().await?;
        made.take_back();
        made.fill(rows);
        made.kept = made.digest();
        Ok(made)
    }

    pub(super) fn url(&self) -> String {
        self.database.url()
    }

    /// How a node opens it.
    pub(super) fn options(&self) -> anyhow::Result<PostgresOptions> {
        Ok(PostgresOptions::from_url(&self.url())?)
    }

    /// Sessions as a core makes them: with its keys, tokens and rows.
    async fn log_in(&self) -> anyhow::Result<Vec<IssuedSession>> {
        let sessions = node(self.options()?).await?;
        let logins = stream::iter(0..TOKENS).map(|_| {
            let new = NewSession::new(KNOWN).jwt_payload(jwt_payload());
            sessions.create_session(new.session_data(session_data()))
        });
        Ok(logins.buffer_unordered(32).try_collect().await?)
    }

    /// Makes the tables what they were before a node has opened them.
    pub(super) fn take_back(&self) {
        self.database.run(&format!("DROP TABLE {}", OWN_TABLES.join(", ")));
        self.database.run(supertokens::BACK_TO_9_0);
    }

    fn fill(&self, rows: u32) {
        let (payload, data) = (jwt_payload(), session_data());
        self.database.run(&format!(
            "SET synchronous_commit = off;
            INSERT INTO session_info (app_id, tenant_id, session_handle, user_id,
                refresh_token_hash_2, session_data, expires_at, jwt_user_payload, created_at_time,
                use_static_key)
            SELECT 'public', 'public', gen_random_uuid(),
                CASE WHEN n % 100 = 0 THEN '{CHANGED}' WHEN n % 500 = 1 THEN '{ENDING}'
                    ELSE '{KEPT}-' || n / 3 END,
                md5(n::text) || md5((-n)::text), '{data}',
                CASE WHEN n % 500 = 1 THEN {FIRST_END} + n ELSE now.now + 7000000000 + n END,
                '{payload}', now.now - 1000000000 + n, false
            FROM generate_series(1, {rows}) AS n,
                (SELECT (extract(epoch FROM now()) * 1000)::bigint AS now) AS now;
            VACUUM (ANALYZE) session_info; CHECKPOINT"
        ));
    }

    /// How many sessions nobody changes, and all that is stored of them.
    fn digest(&self) -> Vec<String> {
        self.database.rows(&format!(
            "SELECT count(*), sum(hashtextextended(ROW(app_id, tenant_id, session_handle, user_id,
                refresh_token_hash_2, session_data, expires_at, created_at_time, jwt_user_payload,
                use_static_key)::text, 0)::numeric)
            FROM session_info WHERE user_id LIKE '{KEPT}-%'"
        ))
    }

    /// That everything is there that a core 12.1 has, and every row that nobody has changed.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let columns = self.database.rows(
            "SELECT column_name FROM information_schema.columns
            WHERE table_schema = 'public' AND column_name IN ('prev_refresh_token_hash_2',
                'refresh_token_rotated_at', 'is_first_factors_null')",
        );
        ensure!(columns.len() == 3, "of the columns there are only {columns:?}");
        let indexes = self.database.rows(
            "SELECT indisvalid AND indisready FROM pg_index
            WHERE indrelid = 'session_info'::regclass
                AND pg_get_indexdef(indexrelid) LIKE '%(user\\_id, app\\_id)'",
        );
        ensure!(indexes == ["t"], "the index of users: {indexes:?}");
        let tables =
            "SELECT tablename FROM pg_tables WHERE tablename LIKE 'sessile\\_%' ORDER BY 1";
        let tables = self.database.rows(tables);
        ensure!(tables == OWN_TABLES, "of Sessile's own tables there are {tables:?}");
        self.check_rows()
    }

    /// That every row is there that nobody has changed.
    pub(super) fn check_rows(&self) -> anyhow::Result<()> {
        let kept = self.digest();
        let [before, after] = [&self.kept, &kept].map(|digest| digest.join(""));
        ensure!(before == after, "rows were changed or lost: {before} before, {after} after");
        Ok(())
    }

    /// How many sessions are left alone.
    pub(super) fn number_kept(&self) -> anyhow::Result<u32> {
        let digest = self.kept.first().context("no digest")?;
        Ok(digest.split('|').next().unwrap_or_default().parse()?)
    }
}

/// A node with everything as a core has it.
pub(super) async fn node(options: PostgresOptions) -> anyhow::Result<Sessions<PostgresStore>> {
    let policy = Policy {
        algorithm: Algorithm::Rs256,
        refresh_token_format: RefreshTokenFormat::SuperTokens,
        ..Policy::default()
    };
    let store = options.open().await?;
    ensure!(store.ownership() == Ownership::Shared, "the tables were there before");
    Ok(Sessions::builder(store).policy(policy).build().await?)
}
