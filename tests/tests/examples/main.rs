//! The examples do what they say, against real servers. The Rust pipeline has its own tests.
#![cfg(unix)]

mod github_actions;
mod python;
mod shell;
