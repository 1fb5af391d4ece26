//! The layers' promises, through the public API.

mod guard;
mod limit;
mod retry;
mod support;
mod timeout;
