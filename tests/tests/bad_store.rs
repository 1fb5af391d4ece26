//! A store that cannot or must not be used: nothing is lost, and it is said what to do.

#![cfg(unix)]

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use credchain_tests::{Project, is_root};

const VALUE: &str = "s3cret-value";

fn project() -> (Project, PathBuf) {
    let project = Project::new();
    project.resolve(["init"]).run().success();
    project
        .resolve(["set", "api_key"])
        .stdin(VALUE)
        .run()
        .success();
    let store = project.dir().join("credchain.age");
    (project, store)
}

/// Reading and writing both fail with this code, and leave the store as it is.
#[track_caller]
fn refused(project: &Project, store: &std::path::Path, code: i32, message: &str) {
    let before = std::fs::read(store).ok();
    for args in [
        vec!["get", "api_key"],
        vec!["set", "api_key"],
        vec!["recipients", "list"],
    ] {
        project
            .resolve(&args)
            .stdin("s3cret-other")
            .secret("s3cret-other")
            .secret(VALUE)
            .run()
            .code(code)
            .stdout_is("")
            .stderr_contains(message);
    }
    assert!(std::fs::read(store).ok() == before, "the store changed");
}

#[test]
fn a_world_writable_store_is_refused() {
    let (project, store) = project();
    std::fs::set_permissions(&store, std::fs::Permissions::from_mode(0o666)).unwrap();
    refused(&project, &store, 6, "chmod");
}

#[test]
fn a_store_of_another_user_is_refused() {
    // Only the administrator can give a file away.
    if !is_root() {
        return;
    }
    let (project, store) = project();
    std::os::unix::fs::chown(&store, Some(12345), None).unwrap();
    refused(&project, &store, 6, "another user");
}

#[test]
fn a_corrupt_or_truncated_store_is_told_and_kept() {
    let (project, store) = project();
    let whole = std::fs::read(&store).unwrap();
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] = if damaged[middle] == b'A' { b'B' } else { b'A' };
    for content in [
        &whole[..whole.len() / 2],
        b"",
        b"not an age file at all\n",
        &damaged,
    ] {
        std::fs::write(&store, content).unwrap();
        refused(&project, &store, 6, "error");
    }
    std::fs::write(&store, &whole).unwrap();
    project
        .resolve(["get", "api_key"])
        .run()
        .success()
        .stdout_is(VALUE);
}

#[test]
fn a_directory_in_the_place_of_the_store_is_refused() {
    let (project, store) = project();
    std::fs::remove_file(&store).unwrap();
    std::fs::create_dir(&store).unwrap();
    refused(&project, &store, 6, "error");
    project.resolve(["init"]).run().success();
    assert!(store.is_dir());
}

#[test]
fn a_store_behind_a_symlink_is_read_but_not_written_through() {
    let (project, store) = project();
    let elsewhere = project.dir().join("elsewhere.age");
    std::fs::rename(&store, &elsewhere).unwrap();
    symlink("elsewhere.age", &store).unwrap();
    project
        .resolve(["get", "api_key"])
        .run()
        .success()
        .stdout_is(VALUE);
    let before = std::fs::read(&elsewhere).unwrap();
    project
        .resolve(["set", "api_key"])
        .stdin("s3cret-other")
        .run()
        .code(6)
        .stderr_contains("symbolic link");
    assert!(std::fs::read(&elsewhere).unwrap() == before);
    assert!(store.is_symlink());
}

#[test]
fn an_identity_that_others_can_read_is_refused_with_the_command_that_helps() {
    let (project, store) = project();
    let identity = project.config_home().join("credchain/identity");
    std::fs::set_permissions(&identity, std::fs::Permissions::from_mode(0o644)).unwrap();
    refused(&project, &store, 6, "chmod 600");
}

#[test]
fn the_wrong_identity_is_a_locked_store() {
    let (project, store) = project();
    let other = Project::new();
    other.resolve(["init"]).run().success();
    let identity = std::fs::read(other.config_home().join("credchain/identity")).unwrap();
    std::fs::write(project.config_home().join("credchain/identity"), identity).unwrap();
    refused(&project, &store, 4, "resolve recipients add");
}

#[test]
fn a_full_disk_loses_nothing() {
    let (project, store) = project();
    // A file that may grow no further is what a full disk looks like to the writer.
    let script = "trap '' XFSZ; ulimit -f 1; head -c 100000 /dev/urandom | resolve set big_value";
    let output = project.sh(script).secret(VALUE).run();
    assert!(!output.status().success());
    assert!(output.stderr().contains("error:"), "{}", output.stderr());
    project
        .resolve(["get", "api_key"])
        .run()
        .success()
        .stdout_is(VALUE);
    project.resolve(["get", "big_value"]).run().code(3);
    let left = std::fs::read_dir(store.parent().unwrap())
        .unwrap()
        .flatten();
    let left: Vec<_> = left
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert!(
        left.iter()
            .all(|name| !name.contains("tmp") && !name.contains("-age-")),
        "{left:?}"
    );
}

#[test]
fn a_wrong_passphrase_is_a_locked_store() {
    let project = Project::new();
    project
        .resolve(["init", "--passphrase"])
        .env("CREDCHAIN_PASSPHRASE", "correct horse battery")
        .run()
        .success();
    project
        .resolve(["set", "api_key"])
        .env("CREDCHAIN_PASSPHRASE", "correct horse battery")
        .stdin(VALUE)
        .run()
        .success();
    project
        .resolve(["get", "api_key"])
        .env("CREDCHAIN_PASSPHRASE", "wrong horse battery")
        .secret(VALUE)
        .run()
        .code(4)
        .stdout_is("")
        .stderr_contains("hint:");
}
