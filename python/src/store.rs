//! The stores that Python can open, with every call counted.

use std::{
    future::Future,
    sync::atomic::{AtomicU64, Ordering},
};

use sessile::{
    AppId, SessionHandle, TenantScope,
    clock::Timestamp,
    memory::MemoryStore,
    rotation::Rotation,
    store::{
        Accounts, DataReplacement, DataVersion, LimitedInsertion, Owner, RemovedSession,
        SessionLimit, SessionRecord, Store, StoreError, StoredSigningKey, Sweep, Swept,
    },
};

use crate::{file_store::FileStore, postgres_store::PostgresStore};

/// A file, a database, or memory.
#[derive(Debug)]
pub(crate) struct OpenStore {
    place: Place,
    calls: Calls,
}

#[derive(Debug)]
enum Place {
    File(FileStore),
    Memory(MemoryStore),
    Postgres(PostgresStore),
}

impl OpenStore {
    pub(crate) fn in_file(store: FileStore) -> Self {
        Self { place: Place::File(store), calls: Calls::default() }
    }

    pub(crate) fn in_postgres(store: PostgresStore) -> Self {
        Self { place: Place::Postgres(store), calls: Calls::default() }
    }

    pub(crate) fn in_memory() -> Self {
        Self { place: Place::Memory(MemoryStore::new()), calls: Calls::default() }
    }

    /// Closes the file or the connections; memory has nothing to close.
    pub(crate) fn close(&self) {
        match &self.place {
            Place::File(store) => store.close(),
            Place::Memory(_) => {}
            Place::Postgres(store) => store.close(),
        }
    }

    /// The same while the process forks: calls wait until `end_fork`.
    pub(crate) fn begin_fork(&self) {
        match &self.place {
            Place::File(store) => store.begin_fork(),
            Place::Memory(_) => {}
            Place::Postgres(store) => store.begin_fork(),
        }
    }

    /// Opens the file or lets connect again, in the process that has forked.
    pub(crate) fn end_fork(&self) -> Result<(), StoreError> {
        match &self.place {
            Place::File(store) => store.end_fork()?,
            Place::Memory(_) => {}
            Place::Postgres(store) => store.end_fork(),
        }
        Ok(())
    }
}

macro_rules! counted {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[derive(Debug, Default)]
        struct Calls { $($name: AtomicU64,)* }

        impl OpenStore {
            /// How often each intent was asked of the store, by its name.
            pub(crate) fn calls(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.calls.$name.load(Ordering::Relaxed)),)*]
            }

            /// Begins to count anew.
            pub(crate) fn forget_calls(&self) {
                $(self.calls.$name.store(0, Ordering::Relaxed);)*
            }
        }

        impl Store for OpenStore {
            fn is_shared_with_supertokens(&self) -> bool {
                match &self.place {
                    Place::File(_) | Place::Memory(_) => false,
                    Place::Postgres(store) => store.store.is_shared_with_supertokens(),
                }
            }

            $(fn $name(&self, $($argument: $type),*)
                -> impl Future<Output = Result<$answer, StoreError>> + Send {
                self.calls.$name.fetch_add(1, Ordering::Relaxed);
                async move {
                    match &self.place {
                        Place::File(store) => store.current().await.$name($($argument),*).await,
                        Place::Memory(store) => store.$name($($argument),*).await,
                        Place::Postgres(store) => store.store.$name($($argument),*).await,
                    }
                }
            })*
        }
    };
}

counted! {
    insert_session(app: &AppId, session: SessionRecord) -> Owner;
    insert_session_within(app: &AppId, session: SessionRecord, limit: SessionLimit, now: Timestamp)
        -> LimitedInsertion;
    get_session(app: &AppId, handle: &SessionHandle) -> Option<SessionRecord>;
    rotate_session(app: &AppId, handle: &SessionHandle, rotation: Rotation)
        -> Option<SessionRecord>;
    replace_session_data(app: &AppId, handle: &SessionHandle, data: String,
        expected: Option<DataVersion>, now: Timestamp) -> DataReplacement;
    replace_jwt_payload(app: &AppId, handle: &SessionHandle, payload: String, now: Timestamp)
        -> Option<SessionRecord>;
    remove_sessions(app: &AppId, handles: &[SessionHandle]) -> Vec<RemovedSession>;
    remove_sessions_of_user(app: &AppId, user: &str, accounts: Accounts, tenants: &TenantScope,
        except: Option<&SessionHandle>) -> Vec<RemovedSession>;
    remove_sessions_created_before(app: &AppId, before: Timestamp, limit: usize)
        -> Vec<RemovedSession>;
    sessions_of_user(app: &AppId, user: &str, accounts: Accounts, tenants: &TenantScope,
        now: Timestamp) -> Vec<SessionRecord>;
    signing_keys(app: &AppId) -> Vec<StoredSigningKey>;
    add_signing_key(app: &AppId, key: StoredSigningKey, newest: Option<&str>)
        -> Vec<StoredSigningKey>;
    secret(app: &AppId, name: &str, candidate: String) -> String;
    sweep(app: &AppId, sweep: Sweep) -> Swept;
}
