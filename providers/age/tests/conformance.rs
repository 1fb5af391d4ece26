//! The promises of every provider, kept by a real store.

mod common;

use std::fs;
use std::sync::Arc;

use common::{World, world};
use credchain_core::Reference;

credchain_conformance::suite! {
    name: age,
    start: || async { World::with_store().await },
    provider: |world: &World| Arc::new(world.age()),
    context: |_: &World| world(&[]),
    reference: |name: &str| Reference::new(format!("default/{name}")).unwrap(),
    secrets: |world: &World| {
        let identity = fs::read_to_string(&world.identity).unwrap();
        identity.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    },
}
