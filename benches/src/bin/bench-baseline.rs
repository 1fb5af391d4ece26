//! The least that a Rust program can do to print an environment variable.

use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;

#[expect(
    clippy::disallowed_methods,
    reason = "this is what `resolve get` is compared with"
)]
fn main() -> std::io::Result<()> {
    let name = std::env::args().nth(1).unwrap_or_default();
    let value = std::env::var_os(name).unwrap_or_default();
    std::io::stdout().write_all(value.as_bytes())
}
