//! The contract of [`Store`](crate::store::Store) as tests, for whoever writes a store.
//!
//! Each check is a function of its own; [`store_conformance!`](crate::store_conformance) makes a
//! test of every one. A check uses an app with a random name, so checks may share one database,
//! run at the same time, and run again on a database that was used before.
//!
//! A check panics where the store breaks the contract, and says what it expected.

mod bulk;
mod interleave;
mod keys;
mod limits;
mod names;
mod removal;
mod replacement;
mod retirement;
mod rotation;
mod samples;
mod sessions;
mod sweeping;
mod tenants;
mod users;

pub use bulk::{
    all_sessions_are_exported_in_order, apps_and_secrets_are_listed, secrets_are_replaced,
    sessions_are_put_as_they_are, signing_keys_are_replaced,
};
pub use keys::{
    one_of_many_first_signing_keys_is_added, one_of_many_next_signing_keys_is_added,
    one_of_many_secrets_is_kept, secrets_are_kept_by_app_and_name,
    signing_keys_are_added_after_the_newest, the_signing_key_added_last_is_the_newest,
};
pub use limits::{
    a_full_user_is_refused, a_limit_is_exact_however_many_race,
    a_taken_handle_is_refused_within_a_limit, expired_sessions_take_no_place,
    sessions_created_before_are_removed, the_oldest_sessions_make_room,
};
pub use names::{apps_are_kept_apart, names_are_compared_exactly};
pub use removal::{
    one_of_many_removals_gets_the_session, removals_give_what_existed,
    removed_sessions_stay_removed,
};
pub use replacement::{
    jwt_payloads_are_replaced, no_acknowledged_increment_is_lost, nothing_is_replaced_once_expired,
    session_data_is_replaced, session_data_is_replaced_in_the_expected_version,
};
pub use retirement::a_retired_store_refuses_every_write;
pub use rotation::{
    a_rotation_changes_what_it_says, a_rotation_ends_with_the_session, a_rotation_needs_its_guard,
    one_of_many_rotations_happens, rotations_agree_with_the_rules,
};
pub use sessions::{
    a_taken_handle_is_refused, inserted_sessions_come_back, one_of_many_inserts_gets_the_handle,
    unknown_sessions_are_not_found,
};
pub use sweeping::{a_sweep_removes_what_is_before, a_sweep_respects_its_limit};
pub use tenants::{
    apps_are_removed_whole, tenants_are_kept, tenants_are_removed_with_their_sessions,
};
pub use users::{
    concurrent_inserts_are_all_listed, no_acknowledged_session_survives_removal,
    sessions_of_a_user_are_listed, sessions_of_a_user_are_removed,
};

/// Makes a test of every conformance check, in the module where it is called.
///
/// The argument is a function or closure whose future gives a store. It is called once for each
/// check, and may give a fresh store or another handle on one that they all share:
///
/// ```
/// # use sessile_core::memory::MemoryStore;
/// sessile_core::store_conformance!(|| async { MemoryStore::new() });
/// # fn main() {}
/// ```
///
/// Where something has to live as long as the store, such as its folder, let the first function
/// give a value that holds both, and a second one borrow the store from it:
///
/// ```
/// # use sessile_core::memory::MemoryStore;
/// # struct Folder;
/// struct Fixture {
///     store: MemoryStore,
///     folder: Folder,
/// }
///
/// impl Fixture {
///     async fn open() -> Self {
///         Self { store: MemoryStore::new(), folder: Folder }
///     }
///
///     fn store(&self) -> &MemoryStore {
///         &self.store
///     }
/// }
///
/// sessile_core::store_conformance!(Fixture::open, Fixture::store);
/// # fn main() {}
/// ```
///
/// The calling crate needs `tokio` with the features `macros` and `rt-multi-thread` among its
/// `dev-dependencies`, and this crate with the feature `conformance`.
#[macro_export]
macro_rules! store_conformance {
    ($new_store:expr $(,)?) => {
        $crate::store_conformance!($new_store, ::core::convert::identity);
    };
    ($new_fixture:expr, $store_of:expr $(,)?) => {
        $crate::store_conformance! { @checks ($new_fixture) ($store_of)
            inserted_sessions_come_back
            a_taken_handle_is_refused
            one_of_many_inserts_gets_the_handle
            unknown_sessions_are_not_found
            apps_are_kept_apart
            names_are_compared_exactly
            a_rotation_needs_its_guard
            a_rotation_changes_what_it_says
            a_rotation_ends_with_the_session
            rotations_agree_with_the_rules
            one_of_many_rotations_happens
            session_data_is_replaced
            session_data_is_replaced_in_the_expected_version
            nothing_is_replaced_once_expired
            no_acknowledged_increment_is_lost
            jwt_payloads_are_replaced
            removals_give_what_existed
            one_of_many_removals_gets_the_session
            removed_sessions_stay_removed
            sessions_of_a_user_are_listed
            concurrent_inserts_are_all_listed
            sessions_of_a_user_are_removed
            no_acknowledged_session_survives_removal
            the_oldest_sessions_make_room
            a_full_user_is_refused
            expired_sessions_take_no_place
            a_taken_handle_is_refused_within_a_limit
            a_limit_is_exact_however_many_race
            sessions_created_before_are_removed
            signing_keys_are_added_after_the_newest
            the_signing_key_added_last_is_the_newest
            one_of_many_first_signing_keys_is_added
            one_of_many_next_signing_keys_is_added
            secrets_are_kept_by_app_and_name
            one_of_many_secrets_is_kept
            a_sweep_removes_what_is_before
            a_sweep_respects_its_limit
        }
    };
    (@checks ($new_fixture:expr) ($store_of:expr) $($check:ident)*) => {
        $(
            #[::tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $check() {
                let (new_fixture, store_of) = ($new_fixture, $store_of);
                let fixture = new_fixture().await;
                $crate::conformance::$check(store_of(&fixture)).await;
            }
        )*
    };
}

/// Makes a test of every check that a [`TenantStore`](crate::store::TenantStore) passes beside
/// those of [`store_conformance!`](crate::store_conformance), which has the same arguments.
///
/// ```
/// # use sessile_core::memory::MemoryStore;
/// sessile_core::tenant_store_conformance!(|| async { MemoryStore::new() });
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! tenant_store_conformance {
    ($new_store:expr $(,)?) => {
        $crate::tenant_store_conformance!($new_store, ::core::convert::identity);
    };
    ($new_fixture:expr, $store_of:expr $(,)?) => {
        $crate::store_conformance! { @checks ($new_fixture) ($store_of)
            tenants_are_kept
            tenants_are_removed_with_their_sessions
            apps_are_removed_whole
        }
    };
}

/// Makes a test of every check that a [`BulkStore`](crate::store::BulkStore) passes beside those of
/// [`tenant_store_conformance!`](crate::tenant_store_conformance), which has the same arguments.
///
/// ```
/// # use sessile_core::memory::MemoryStore;
/// sessile_core::bulk_store_conformance!(|| async { MemoryStore::new() });
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! bulk_store_conformance {
    ($new_store:expr $(,)?) => {
        $crate::bulk_store_conformance!($new_store, ::core::convert::identity);
    };
    ($new_fixture:expr, $store_of:expr $(,)?) => {
        $crate::store_conformance! { @checks ($new_fixture) ($store_of)
            all_sessions_are_exported_in_order
            sessions_are_put_as_they_are
            signing_keys_are_replaced
            apps_and_secrets_are_listed
            secrets_are_replaced
        }
    };
}
