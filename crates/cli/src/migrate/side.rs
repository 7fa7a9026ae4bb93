//! The stores that sessions are moved between.

use std::{
    fs,
    future::Future,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use sessile::{
    AppId, WRAPPING_KEY_VARIABLE, WrappingKey, key_file_of,
    postgres::{self, PostgresStore},
    sqlite::{self, SqliteStore},
    store::{BulkStore, Moves, StoreError, StoredSecret, StoredSigningKey},
    wrapping_key_of,
};

use crate::serve::Place;

/// A store whose writers can be held, and kept out.
pub(super) trait Movable: BulkStore {
    /// Holds the writers as long as it lives.
    type Held;

    fn hold(&self) -> impl Future<Output = Result<Self::Held, StoreError>>;

    /// Keeps the writers out from now on, with a note of where the sessions are.
    fn retire(held: Self::Held, note: &str) -> impl Future<Output = Result<(), StoreError>>;

    /// What is known of moves to it and from it.
    fn moves(&self) -> impl Future<Output = Result<Moves, StoreError>>;

    /// Keeps a note of sessions that are moved to it.
    fn note_arrival(&self, note: &str) -> impl Future<Output = Result<(), StoreError>>;

    /// Lets them in again.
    fn let_in(&self) -> impl Future<Output = Result<(), StoreError>>;
}

impl Movable for SqliteStore {
    type Held = sqlite::HeldWriters;

    async fn hold(&self) -> Result<Self::Held, StoreError> {
        self.hold_writers()
    }

    async fn retire(held: Self::Held, note: &str) -> Result<(), StoreError> {
        held.retire(note)
    }

    async fn moves(&self) -> Result<Moves, StoreError> {
        self.moves().await
    }

    async fn note_arrival(&self, note: &str) -> Result<(), StoreError> {
        self.note_arrival(note).await
    }

    async fn let_in(&self) -> Result<(), StoreError> {
        self.reinstate()
    }
}

impl Movable for PostgresStore {
    type Held = postgres::HeldWriters;

    async fn hold(&self) -> Result<Self::Held, StoreError> {
        self.hold_writers().await
    }

    async fn retire(held: Self::Held, note: &str) -> Result<(), StoreError> {
        held.retire(note).await
    }

    async fn moves(&self) -> Result<Moves, StoreError> {
        self.moves().await
    }

    async fn note_arrival(&self, note: &str) -> Result<(), StoreError> {
        self.note_arrival(note).await
    }

    async fn let_in(&self) -> Result<(), StoreError> {
        self.reinstate().await
    }
}

/// A store, and what its keys are sealed under.
pub(super) struct Side<S> {
    pub(super) store: S,
    pub(super) wrapping_key: Option<WrappingKey>,
    /// The store, for people.
    pub(super) place: String,
}

impl<S: BulkStore> Side<S> {
    /// The keys of the app in the open, newest first.
    pub(super) async fn open_keys(&self, app: &AppId) -> anyhow::Result<Vec<StoredSigningKey>> {
        let keys = self.store.signing_keys(app).await?;
        let open = |key: &StoredSigningKey| {
            key.sealed_anew(app, self.wrapping_key.as_ref(), None)
                .with_context(|| format!("the key {} of the app {app}", key.key_id))
        };
        keys.iter().map(open).collect()
    }

    /// The secrets of the app in the open.
    pub(super) async fn open_secrets(&self, app: &AppId) -> anyhow::Result<Vec<StoredSecret>> {
        let secrets = self.store.secrets(app).await?;
        let open = |secret: &StoredSecret| {
            secret
                .sealed_anew(app, self.wrapping_key.as_ref(), None)
                .with_context(|| format!("the secret {} of the app {app}", secret.name))
        };
        secrets.iter().map(open).collect()
    }
}

pub(super) enum AnySide {
    File(Side<SqliteStore>),
    Database(Side<PostgresStore>),
}

impl AnySide {
    /// What is known of moves to it and from it.
    pub(super) async fn moves(&self) -> Result<Moves, StoreError> {
        match self {
            Self::File(side) => side.store.moves().await,
            Self::Database(side) => side.store.moves().await,
        }
    }

    /// The store, for people.
    pub(super) fn place(&self) -> &str {
        match self {
            Self::File(side) => &side.place,
            Self::Database(side) => &side.place,
        }
    }

    /// The store that has the sessions, which is there.
    pub(super) async fn open_source(place: Place) -> anyhow::Result<Self> {
        if let Place::File(path) = &place {
            ensure!(path.is_file(), "there is no file {}", path.display());
        }
        Self::open_target(place).await
    }

    /// A store that is made if it is not there.
    pub(super) async fn open_target(place: Place) -> anyhow::Result<Self> {
        let name = place.to_string();
        Ok(match place {
            Place::Memory => bail!("sessions in memory cannot be moved"),
            Place::File(path) => Self::File(open_file(path, name)?),
            Place::Postgres(options) => {
                let wrapping_key = match std::env::var(WRAPPING_KEY_VARIABLE) {
                    Ok(text) if !text.is_empty() => Some(WrappingKey::from_text(&text)?),
                    _ => None,
                };
                let name = options.description()?;
                Self::Database(Side { store: options.open().await?, wrapping_key, place: name })
            }
        })
    }
}

fn open_file(path: PathBuf, place: String) -> anyhow::Result<Side<SqliteStore>> {
    let wrapping_key = Some(wrapping_key(&path)?);
    Ok(Side { store: SqliteStore::open(path)?, wrapping_key, place })
}

/// The key beside the file comes first: the one in the environment may be the other store's.
fn wrapping_key(path: &Path) -> anyhow::Result<WrappingKey> {
    let file = key_file_of(path);
    if !file.exists() {
        return Ok(wrapping_key_of(path)?);
    }
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    WrappingKey::from_text(&text).with_context(|| file.display().to_string())
}
