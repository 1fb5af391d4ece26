//! The layers' promises, through the public API.

mod cache;
mod cache_safety;
mod flight;
mod guard;
mod limit;
mod retry;
mod settings;
mod support;
mod timeout;
