//! The resolve command.
fn main() {}
