//! The promises of every provider, kept by environment variables.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::ffi::OsString;
use std::sync::{Arc, Mutex};

use credchain_conformance::{Limits, Planted};
use credchain_core::{Context, Environment};
use credchain_provider_env::Env;

/// The variables that the suite planted.
#[derive(Default)]
struct World(Mutex<Vec<(OsString, OsString)>>);

const PREFIX: &str = "CONFORMANCE_";

impl World {
    fn plant(&self, values: &[Planted]) {
        let variable = |(reference, value): &Planted| {
            let name = format!("{PREFIX}{}", reference.path());
            (
                name.into(),
                String::from_utf8(value.clone()).unwrap().into(),
            )
        };
        self.0.lock().unwrap().extend(values.iter().map(variable));
    }
}

credchain_conformance::suite! {
    name: env,
    start: || async { World::default() },
    provider: |_: &World| Arc::new(Env::new().with_prefix(PREFIX)),
    seed: async |world: &World, values: &[Planted]| world.plant(values),
    context: |world: &World| {
        Context::system().with_env(Environment::fixed(world.0.lock().unwrap().clone()))
    },
    limits: Limits::none().refuses_names("`=` ends a variable's name", |name| name.contains('=')),
}
