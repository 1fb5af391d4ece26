//! The suite passes for the provider that is the model of all others.

use std::sync::Arc;

use credchain_core::Memory;

credchain_conformance::suite! {
    name: memory,
    start: || async {},
    provider: |_server: &()| Arc::new(Memory::new()),
}
