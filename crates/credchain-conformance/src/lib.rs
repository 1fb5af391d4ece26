//! The behaviour suite that every credchain provider must pass.
//!
//! A provider's contract is written at the methods of
//! [`Provider`](credchain_core::Provider); this crate is the same contract as tests.
//! [`suite!`] makes one `#[test]` of each promise. What applies follows from
//! [`Provider::capabilities`](credchain_core::Provider::capabilities): a capability that is
//! claimed is tested, one that is not claimed has to answer `Unsupported`.
//!
//! ```
//! use std::sync::Arc;
//! use credchain_core::Memory;
//!
//! credchain_conformance::suite! {
//!     name: memory,
//!     start: || async { /* start the real backend here, and panic if it does not start */ },
//!     provider: |_server: &()| Arc::new(Memory::new()),
//! }
//! # fn main() {}
//! ```
//!
//! A provider that cannot write needs a way to plant values behind its back. Further keys, in any
//! order, are the methods of [`Fixture`]:
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use credchain_conformance::{Limits, Planted};
//! use credchain_core::{
//!     Capabilities, Context, Environment, Error, Provider, Reference, Result, Secret, async_trait,
//! };
//!
//! /// Reads variables.
//! #[derive(Debug)]
//! struct Variables;
//!
//! #[async_trait]
//! impl Provider for Variables {
//!     fn capabilities(&self) -> Capabilities {
//!         Capabilities::read_only().text_only()
//!     }
//!
//!     async fn get(&self, reference: &Reference, cx: &Context) -> Result<Secret> {
//!         if reference.field().is_some() || reference.version().is_some() {
//!             return Err(Error::unsupported("a field or version"));
//!         }
//!         let value = cx.env().get(reference.path()).ok_or_else(Error::not_found)?;
//!         Ok(Secret::new(value.into_encoded_bytes()))
//!     }
//! }
//!
//! #[derive(Default)]
//! struct World(Mutex<Vec<(String, String)>>);
//!
//! credchain_conformance::suite! {
//!     name: variables,
//!     start: || async { World::default() },
//!     provider: |_world: &World| Arc::new(Variables),
//!     seed: async |world: &World, values: &[Planted]| {
//!         world.0.lock().unwrap().extend(values.iter().map(|(reference, value)| {
//!             (reference.path().to_owned(), String::from_utf8(value.clone()).unwrap())
//!         }));
//!     },
//!     context: |world: &World| {
//!         Context::system().with_env(Environment::fixed(world.0.lock().unwrap().clone()))
//!     },
//!     limits: Limits::none().refuses_names("`=` ends a variable's name", |name| name.contains('=')),
//! }
//! # fn main() {}
//! ```
//!
//! What a backend cannot hold is said by [`Limits`], with a reason, in the open. Each promise is
//! also an ordinary function in [`promise`]. Every promise runs with a watchdog, so a provider
//! that hangs fails instead of hanging.
//!
//! The suite does not test what only the backend's author can know: how the backend's failures
//! map to kinds, and how the provider behaves when the network fails.

mod canary;
mod capture;
mod fixture;
mod limits;
pub mod promise;
mod run;
mod subject;
mod verdict;
mod warnings;

pub use crate::fixture::{Fixture, IntoProvider, Planted};
pub use crate::limits::Limits;
pub use crate::run::{Check, Flavour, run};
pub use crate::subject::Subject;
pub use crate::verdict::{Broken, Verdict};
pub use crate::warnings::Warnings;

/// Makes one `#[test]` of each [`promise`], in a module called `name`.
///
/// - `name`: the module;
/// - `start`: an async closure, or a closure that returns a future, that starts the backend. It
///   runs once for each promise; what it returns lives until the promise has been tested;
/// - `provider`: a closure from a reference to that to an `Arc` of the provider;
/// - then, in any order, the methods of [`Fixture`] that are needed: `seed`, `context`,
///   `reference`, `secrets`, `missing_version`, `limits`, `timeout`.
#[macro_export]
macro_rules! suite {
    (
        name: $name:ident,
        start: $start:expr,
        provider: $provider:expr
        $(, $key:ident: $value:expr)* $(,)?
    ) => {
        mod $name {
            #[allow(unused_imports, reason = "for the expressions given to the macro")]
            use super::*;

            $crate::__each_promise! { __tests {
                $crate::Fixture::new($start, $provider)$(.$key($value))*
            } }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    ($fixture:tt $($flavour:ident $promise:ident)*) => {
        $(
            #[test]
            fn $promise() {
                $crate::run(
                    stringify!($promise),
                    $crate::Flavour::$flavour,
                    || $fixture,
                    |subject| ::std::boxed::Box::pin($crate::promise::$promise(subject)),
                );
            }
        )*
    };
}

/// The one list of all promises, and the runtime that each needs.
#[doc(hidden)]
#[macro_export]
macro_rules! __each_promise {
    ($callback:ident { $($input:tt)* }) => {
        $crate::$callback! { { $($input)* }
            CurrentThread reads_back_every_byte
            CurrentThread holds_hostile_names
            CurrentThread keeps_names_apart_by_case
            CurrentThread tells_missing_from_empty
            CurrentThread misses_are_not_found
            CurrentThread batch_agrees_with_single
            CurrentThread parallel_reads_agree
            CurrentThread parallel_writes_all_survive
            CurrentThread exactly_one_of_many_racers_wins
            CurrentThread a_cancelled_read_leaves_it_working
            CurrentThread a_cancelled_write_is_all_or_nothing
            CurrentThread an_expired_deadline_ends_at_once
            CurrentThread expectations_hold
            CurrentThread a_repeated_write_counts_once
            CurrentThread a_written_version_can_be_read
            CurrentThread a_history_can_be_read_and_pruned
            CurrentThread a_deleted_value_is_not_found
            CurrentThread lists_what_was_set
            CurrentThread describes_what_it_gets
            CurrentThread conventional_places_work
            CurrentThread is_honest_about_what_it_cannot_do
            CurrentThread capabilities_and_facets_are_constant
            CurrentThread refuses_values_over_its_limit
            CurrentThread shows_no_secret
            CurrentThread errors_are_one_short_line
            CurrentThread outlives_the_runtime_it_was_first_used_on
            MultiThread works_on_many_threads
        }
    };
}
