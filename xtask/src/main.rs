//! The project's own chores: cargo xtask test, check, bench, docs, servers.
fn main() {}
