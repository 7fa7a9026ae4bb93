//! The in-memory store keeps the contract of stores.

use sessile_core::{
    bulk_store_conformance, memory::MemoryStore, store_conformance, tenant_store_conformance,
};

store_conformance!(|| async { MemoryStore::new() });
tenant_store_conformance!(|| async { MemoryStore::new() });
bulk_store_conformance!(|| async { MemoryStore::new() });
