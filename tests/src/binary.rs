//! Where the binary under test is, built when it is not there yet.
//!
//! Cargo tells only `credchain-cli`'s own tests where its binary is. `cargo xtask test` builds it
//! together with the tests and passes the path in `CREDCHAIN_TEST_RESOLVE`. Without that variable
//! (`cargo nextest run -p credchain-tests`, an editor) the harness builds it itself: once for each
//! run of the runner, not once for each test, although nextest starts a process for every test.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// The `resolve` binary that belongs to the sources of these tests.
///
/// # Panics
/// If it cannot be built.
pub fn resolve_binary() -> &'static Path {
    static BINARY: LazyLock<PathBuf> =
        LazyLock::new(|| variable("CREDCHAIN_TEST_RESOLVE").map_or_else(build_once, PathBuf::from));
    &BINARY
}

/// The root of the checkout that these tests belong to.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("`tests` lies in the repository")
}

#[expect(
    clippy::disallowed_methods,
    reason = "what the test runner says about itself"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The folder that cargo puts finished binaries into, such as `target/debug`.
fn profile_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("a test knows its own path");
    let deps = exe.parent().expect("a test lies in a folder");
    let dir = if deps.ends_with("deps") {
        deps.parent().expect("so does `deps`")
    } else {
        deps
    };
    dir.to_owned()
}

fn build_once() -> PathBuf {
    let dir = profile_dir();
    let binary = dir.join(format!("resolve{}", std::env::consts::EXE_SUFFIX));
    let run = variable("NEXTEST_RUN_ID").unwrap_or_else(|| std::process::id().to_string());
    let stamp = dir.join("resolve-built-for-run");
    let lock = File::create(dir.join("resolve-built-for-run.lock")).expect("target is writable");
    lock.lock().expect("target can be locked");
    if fs::read_to_string(&stamp).is_ok_and(|built| built == run) && binary.exists() {
        return binary;
    }
    let target = dir.parent().expect("a profile lies in the target folder");
    let status = Command::new(variable("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "build",
            "--quiet",
            "--package",
            "credchain-cli",
            "--bin",
            "resolve",
        ])
        .arg("--target-dir")
        .arg(target)
        .current_dir(repository())
        .status()
        .expect("cargo can be started");
    assert!(status.success(), "the `resolve` binary does not build");
    fs::write(&stamp, run).expect("target is writable");
    binary
}

/// Whether this process may do everything, so that tests of refused access cannot work and
/// packages can be installed.
pub fn is_root() -> bool {
    #[cfg(unix)]
    return rustix::process::geteuid().is_root();
    #[cfg(not(unix))]
    return false;
}
