//! The suite passes for an honest provider that can only read, and whose values are planted.

use std::sync::{Arc, Mutex};

use credchain_conformance::{Limits, Planted};
use credchain_core::{
    Capabilities, Context, Environment, Error, Provider, Reference, Result, Secret, async_trait,
};

/// Reads variables.
#[derive(Debug)]
struct Variables;

#[async_trait]
impl Provider for Variables {
    fn capabilities(&self) -> Capabilities {
        Capabilities::read_only().text_only()
    }

    async fn get(&self, reference: &Reference, cx: &Context) -> Result<Secret> {
        if reference.field().is_some() || reference.version().is_some() {
            return Err(Error::unsupported("a field or version"));
        }
        let value = cx
            .env()
            .get(reference.path())
            .ok_or_else(Error::not_found)?;
        Ok(Secret::new(value.into_encoded_bytes()))
    }
}

#[derive(Default)]
struct World(Mutex<Vec<(String, String)>>);

credchain_conformance::suite! {
    name: variables,
    start: || async { World::default() },
    provider: |_world: &World| Arc::new(Variables),
    seed: async |world: &World, values: &[Planted]| {
        world.0.lock().unwrap().extend(values.iter().map(|(reference, value)| {
            (reference.path().to_owned(), String::from_utf8(value.clone()).unwrap())
        }));
    },
    context: |world: &World| {
        Context::system().with_env(Environment::fixed(world.0.lock().unwrap().clone()))
    },
    limits: Limits::none().refuses_names("`=` ends a variable's name", |name| name.contains('=')),
}
