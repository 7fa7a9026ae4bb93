//! What a store holds, in a few bytes.

use std::{collections::BTreeSet, fmt};

use aws_lc_rs::digest::{Context, SHA256};
use sessile::{
    clock::Timestamp,
    store::{BulkStore, SessionRecord},
};

use super::{
    copy::{TenantName, canonical, name_of},
    sessions::Cursor,
    side::Side,
};

/// Two stores that hold the same have the same digest: SHA-256 over everything in one order, keys
/// and secrets as they are in the open.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Digest {
    sessions: usize,
    keys: usize,
    secrets: usize,
    digest: Vec<u8>,
}

impl Digest {
    /// The digest of `side` without these tenants.
    pub(super) async fn of<S: BulkStore>(
        side: &Side<S>,
        without: &BTreeSet<TenantName>,
    ) -> anyhow::Result<Self> {
        let mut fields = Fields(Context::new(&SHA256));
        let mut tenants = side.store.tenants().await?;
        tenants.retain(|tenant| !without.contains(&name_of(tenant)));
        tenants.sort_by_cached_key(name_of);
        for tenant in &tenants {
            // No text of a store is in it: its Debug form is the same wherever it comes from.
            fields.add(format!("{:?}", canonical(tenant)).as_bytes());
        }
        // So that none can be taken for what follows.
        fields.add(&(tenants.len() as u64).to_be_bytes());
        let (mut keys, mut secrets, mut sessions) = (0, 0, 0);
        for app in side.store.apps().await? {
            for key in side.open_keys(&app).await? {
                keys += 1;
                for text in [app.as_str(), &key.key_id, &key.algorithm, &key.material] {
                    fields.add(text.as_bytes());
                }
                fields.time(Some(key.created_at));
                fields.add(&[u8::from(key.is_static)]);
            }
            for secret in side.open_secrets(&app).await? {
                secrets += 1;
                for text in [app.as_str(), &secret.name, &secret.value] {
                    fields.add(text.as_bytes());
                }
            }
        }
        let mut cursor = Cursor::new(side.store.export_sessions().await?);
        while let Some((app, session)) = cursor.next().await? {
            sessions += 1;
            fields.add(app.as_str().as_bytes());
            fields.session(&session);
        }
        Ok(Self { sessions, keys, secrets, digest: fields.0.finish().as_ref().to_vec() })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sessions, keys, secrets, digest } = self;
        write!(formatter, "{sessions} sessions, {keys} keys, {secrets} secrets, sha256:")?;
        digest.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// Fields with their lengths, so that no two rows run into one another.
struct Fields(Context);

impl Fields {
    fn add(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    fn optional(&mut self, bytes: Option<&[u8]>) {
        self.add(&[u8::from(bytes.is_some())]);
        self.add(bytes.unwrap_or_default());
    }

    fn time(&mut self, time: Option<Timestamp>) {
        self.optional(
            time.map(|time| time.as_millis().to_be_bytes()).as_ref().map(|time| &time[..]),
        );
    }

    fn session(&mut self, session: &SessionRecord) {
        self.add(session.handle.as_str().as_bytes());
        for text in [&session.user_id, &session.jwt_payload, &session.session_data] {
            self.add(text.as_bytes());
        }
        self.add(session.refresh_token_hash.as_bytes());
        let previous = session.previous_refresh_token_hash.as_ref();
        self.optional(previous.map(|hash| hash.as_bytes().as_slice()));
        self.optional(session.sealed_child.as_deref());
        self.optional(session.client_label.as_deref().map(str::as_bytes));
        self.add(&[u8::from(session.use_static_key)]);
        self.time(session.rotated_at);
        for time in [session.created_at, session.expires_at, session.ends_at] {
            self.time(Some(time));
        }
    }
}
