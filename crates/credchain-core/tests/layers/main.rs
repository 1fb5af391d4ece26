//! The layers' promises, through the public API.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cache;
mod cache_safety;
mod facets;
mod flight;
mod guard;
mod limit;
mod retry;
mod settings;
mod support;
mod timeout;
