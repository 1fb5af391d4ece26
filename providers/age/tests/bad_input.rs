//! Everything that can be wrong with a store, its place and its identity: a clear error of the
//! right kind, nothing changed, no value shown.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{World, at, get, set};
use credchain_core::{Error, Kind, LinkName, Project, Provider as _, Setup};
use credchain_provider_age::{Age, StoreSettings};

const CANARY: &str = "canary-value-of-the-store";

/// Reading and writing both fail with this kind, and the store's bytes stay as they are.
async fn refused(age: &Age, path: &Path, kind: Kind) -> Error {
    let before = fs::read(path).ok();
    let read = get(age, "default/api_key").await.unwrap_err();
    let written = set(age, "default/api_key", b"new").await.unwrap_err();
    for error in [&read, &written] {
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.hint().is_some(), "{error}");
        assert!(!format!("{error:?}").contains(CANARY), "{error:?}");
    }
    assert_eq!(fs::read(path).ok(), before);
    read
}

#[tokio::test]
async fn a_truncated_store_is_invalid_at_every_length() {
    let world = World::with_value(CANARY).await;
    let whole = fs::read(world.path()).unwrap();
    for length in (0..whole.len() - 1).step_by(37) {
        fs::write(world.path(), &whole[..length]).unwrap();
        let error = refused(&world.age(), &world.path(), Kind::Invalid).await;
        assert!(error.message().contains("nothing was changed"), "{error}");
    }
}

#[tokio::test]
async fn a_store_with_one_changed_byte_never_gives_another_value() {
    let world = World::with_value(CANARY).await;
    let whole = fs::read(world.path()).unwrap();
    let mut noticed = 0;
    for at in (0..whole.len()).step_by(23) {
        let mut changed = whole.clone();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        fs::write(world.path(), &changed).unwrap();
        match get(&world.age(), "default/api_key").await {
            // Nothing else may come out of it, whichever way it fails.
            Ok(value) => assert_eq!(value, CANARY.as_bytes()),
            Err(error) => {
                let expected = [Kind::Invalid, Kind::Unauthenticated];
                assert!(expected.contains(&error.kind()), "byte {at}: {error}");
                noticed += 1;
            }
        }
    }
    assert!(noticed > whole.len() / 23 * 9 / 10);
}

#[tokio::test]
async fn what_is_no_age_file_is_invalid() {
    let world = World::with_value(CANARY).await;
    for junk in [
        &b""[..],
        b"\0\xff\xfe",
        b"API_KEY=x",
        b"<<<<<<< HEAD\n",
        b"age-encryption.org/v9\n",
    ] {
        fs::write(world.path(), junk).unwrap();
        refused(&world.age(), &world.path(), Kind::Invalid).await;
    }
}

#[tokio::test]
async fn a_store_that_opens_to_something_else_is_invalid() {
    let world = World::new();
    let plain = world.directory.path().join("plain");
    for contents in [
        CANARY,
        "{}",
        r#"{"version": 2}"#,
        r#"{"version": 1, "entires": {}}"#,
    ] {
        fs::write(&plain, contents).unwrap();
        let path = world.path();
        let _ = fs::remove_file(&path);
        let recipient = world.recipient.key();
        let arguments = [
            "-r",
            recipient,
            "-o",
            common::text(&path),
            common::text(&plain),
        ];
        common::tool("age", &arguments);
        refused(&world.age(), &path, Kind::Invalid).await;
    }
}

#[tokio::test]
async fn another_identity_is_unauthenticated_and_named() {
    let world = World::with_value(CANARY).await;
    let (stranger, _) = world.other("stranger");
    let error = refused(
        &world.age_with(&stranger),
        &world.path(),
        Kind::Unauthenticated,
    )
    .await;
    assert!(error.hint().unwrap().contains("stranger"), "{error:?}");
    let missing = world.directory.path().join("home/none");
    let error = refused(
        &world.age_with(&missing),
        &world.path(),
        Kind::Unauthenticated,
    )
    .await;
    assert!(error.hint().unwrap().contains("resolve init"));
}

#[tokio::test]
async fn a_broken_identity_is_misconfigured() {
    let world = World::with_value(CANARY).await;
    fs::write(&world.identity, CANARY).unwrap();
    refused(&world.age(), &world.path(), Kind::Misconfigured).await;
}

#[tokio::test]
async fn a_missing_store_is_absent_or_misconfigured_and_made_by_the_first_write() {
    let world = World::new();
    let error = get(&world.age(), "default/api_key").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(error.hint().unwrap().contains("resolve init"));

    let mut project = Project::new("pipeline", world.project());
    let unused = Setup::new(LinkName::literal("age")).in_project(project.clone());
    let error = get(&Age::from_setup(&unused).unwrap(), "default/api_key")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Absent);
    // No identity either: there is nobody to make a store for.
    let error = set(&Age::from_setup(&unused).unwrap(), "default/k", b"v")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(!world.path().exists());

    project.config_home = world.identity.parent().map(Path::to_owned);
    let default = Age::from_setup(&unused.in_project(project)).unwrap();
    set(&default, "default/k", b"v").await.unwrap();
    assert_eq!(get(&world.age(), "default/k").await.unwrap(), b"v");
    let error = world
        .age()
        .delete(&at("default/none"), &common::world(&[]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_directory_in_the_place_of_the_store_is_misconfigured() {
    let world = World::new();
    fs::create_dir(world.path()).unwrap();
    let error = refused(&world.age(), &world.path(), Kind::Misconfigured).await;
    assert!(error.message().contains("not a regular file"));
    let below = Age::new(
        StoreSettings::new(world.identity.join("credchain.age")).with_identity(&world.identity),
    );
    refused(
        &below,
        &world.identity.join("credchain.age"),
        Kind::Misconfigured,
    )
    .await;
}

#[tokio::test]
async fn a_store_over_the_size_limit_is_neither_read_nor_written() {
    let world = World::with_value(CANARY).await;
    let small = |limit| {
        let settings = StoreSettings::new(world.path()).with_identity(&world.identity);
        Age::new(settings.with_max_size(limit))
    };
    refused(&small(100), &world.path(), Kind::Invalid).await;
    let before = fs::read(world.path()).unwrap();
    let limit = u64::try_from(before.len()).unwrap() + 1000;
    let error = set(&small(limit), "default/big", &[b'x'; 4000])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert_eq!(fs::read(world.path()).unwrap(), before);
}

#[tokio::test]
async fn hostile_names_and_values_come_back_as_they_were() {
    let world = World::with_value(CANARY).await;
    let age = world.age();
    let values = [
        vec![0; 3],
        b"\xff\xfe\0\n".to_vec(),
        b"a\r\nb\n\n".to_vec(),
        "quote \" back \\ dollar $ \u{2028} \u{1f600}".into(),
        vec![],
        (0..1 << 20).map(|n: u32| n.to_le_bytes()[0]).collect(),
    ];
    let names = [
        "default/a b",
        "default/%25",
        "-rf",
        "*/$(x)",
        "\u{1f600}",
        "/absolute",
        "a//b",
    ];
    for (number, value) in values.iter().enumerate() {
        set(&age, names[number % names.len()], value).await.unwrap();
        assert_eq!(
            &get(&world.age(), names[number % names.len()])
                .await
                .unwrap(),
            value
        );
    }
    let too_large = vec![b'x'; (4 << 20) + 1];
    let error = set(&age, "default/large", &too_large).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::process::Command;

    use super::*;

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn is_root() -> bool {
        rustix::process::geteuid().is_root()
    }

    #[tokio::test]
    async fn a_world_writable_store_or_directory_is_refused_with_the_command_that_helps() {
        let world = World::with_value(CANARY).await;
        chmod(&world.path(), 0o666);
        let error = refused(&world.age(), &world.path(), Kind::Misconfigured).await;
        assert!(
            error.hint().unwrap().starts_with("`chmod o-w "),
            "{error:?}"
        );
        chmod(&world.path(), 0o644);
        assert!(
            get(&world.age(), "default/api_key").await.is_ok(),
            "an encrypted file may be read"
        );
        chmod(&world.project(), 0o777);
        refused(&world.age(), &world.path(), Kind::Misconfigured).await;
        chmod(&world.project(), 0o1777);
        assert!(
            get(&world.age(), "default/api_key").await.is_ok(),
            "sticky, as /tmp is"
        );
    }

    #[tokio::test]
    async fn an_identity_that_others_can_read_is_refused_with_the_command_that_helps() {
        let world = World::with_value(CANARY).await;
        for mode in [0o640, 0o604, 0o660] {
            chmod(&world.identity, mode);
            let error = refused(&world.age(), &world.path(), Kind::Misconfigured).await;
            assert!(
                error.hint().unwrap().starts_with("`chmod 600 "),
                "{error:?}"
            );
        }
        chmod(&world.identity, 0o400);
        assert!(get(&world.age(), "default/api_key").await.is_ok());
    }

    #[tokio::test]
    async fn a_file_of_another_user_is_refused_and_one_of_root_is_not() {
        let world = World::with_value(CANARY).await;
        if is_root() {
            let (uid, gid) = (Some(12_345), Some(12_345));
            for path in [world.path(), world.project(), world.identity.clone()] {
                std::os::unix::fs::chown(&path, uid, gid).unwrap();
                let error = refused(&world.age(), &world.path(), Kind::Misconfigured).await;
                assert!(error.message().contains("another user"), "{error}");
                std::os::unix::fs::chown(&path, Some(0), Some(0)).unwrap();
            }
            assert!(get(&world.age(), "default/api_key").await.is_ok());
        } else {
            // Nobody but root can give a file away; a file of root is no store, but not foreign.
            let settings = StoreSettings::new("/etc/passwd").with_identity(&world.identity);
            let error = get(&Age::new(settings), "default/api_key")
                .await
                .unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid);
        }
    }

    #[tokio::test]
    async fn a_symbolic_link_is_read_through_and_not_written_through() {
        let world = World::with_value(CANARY).await;
        let real = world.project().join("real.age");
        fs::rename(world.path(), &real).unwrap();
        symlink(&real, world.path()).unwrap();
        assert_eq!(
            get(&world.age(), "default/api_key").await.unwrap(),
            CANARY.as_bytes()
        );
        let before = fs::read(&real).unwrap();
        let error = set(&world.age(), "default/api_key", b"new")
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert!(error.message().contains("symbolic link"));
        assert_eq!(fs::read(&real).unwrap(), before);
        assert!(world.path().is_symlink());

        // Through a link the directory of the target counts as well.
        let open = world.directory.path().join("open");
        fs::create_dir(&open).unwrap();
        chmod(&open, 0o777);
        fs::rename(&real, open.join("real.age")).unwrap();
        fs::remove_file(world.path()).unwrap();
        symlink(open.join("real.age"), world.path()).unwrap();
        refused(&world.age(), &world.path(), Kind::Misconfigured).await;

        // A link to nowhere is no invitation to make a file there.
        fs::remove_file(world.path()).unwrap();
        symlink(world.directory.path().join("elsewhere"), world.path()).unwrap();
        let error = set(&world.age(), "default/api_key", b"new")
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert!(!world.directory.path().join("elsewhere").exists());
    }

    #[tokio::test]
    async fn a_fifo_is_refused_without_waiting_for_a_writer() {
        let world = World::new();
        common::tool("mkfifo", &[common::text(&world.path())]);
        let error = get(&world.age(), "default/api_key").await.unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
    }

    /// Something mounted, unmounted again at the end.
    struct Mounted(PathBuf);

    impl Mounted {
        fn small_disk(at: &Path) -> Self {
            common::tool(
                "mount",
                &[
                    "-t",
                    "tmpfs",
                    "-o",
                    "size=64k,mode=755",
                    "tmpfs",
                    common::text(at),
                ],
            );
            Self(at.to_owned())
        }
    }

    impl Drop for Mounted {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg(&self.0).status();
        }
    }

    #[tokio::test]
    async fn a_full_disk_loses_nothing() {
        let world = World::new();
        if !is_root() {
            // Only root can mount; the mapping of what a full disk answers is tested anyway.
            let full = fs::write("/dev/full", b"x").unwrap_err();
            assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
            return;
        }
        let _disk = Mounted::small_disk(&world.project());
        set(&world.age(), "default/api_key", CANARY.as_bytes())
            .await
            .unwrap();
        let before = fs::read(world.path()).unwrap();
        let error = set(&world.age(), "default/big", &vec![b'x'; 60_000])
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(error.message().contains("nothing was changed"));
        assert_eq!(fs::read(world.path()).unwrap(), before);
        assert_eq!(world.litter(), [""; 0]);
        set(&world.age(), "default/small", b"still works")
            .await
            .unwrap();
        assert_eq!(
            get(&world.age(), "default/api_key").await.unwrap(),
            CANARY.as_bytes()
        );
    }

    /// Mounts a directory over itself, read-only.
    fn mount_read_only(at: &Path) -> Mounted {
        common::tool("mount", &["--bind", common::text(at), common::text(at)]);
        let mounted = Mounted(at.to_owned());
        common::tool("mount", &["-o", "remount,bind,ro", common::text(at)]);
        mounted
    }

    #[tokio::test]
    async fn an_identity_on_a_read_only_mount_is_read_at_any_mode() {
        let world = World::with_value(CANARY).await;
        chmod(&world.identity, 0o444);
        refused(&world.age(), &world.path(), Kind::Misconfigured).await;
        if is_root() {
            let _mounted = mount_read_only(world.identity.parent().unwrap());
            assert_eq!(
                get(&world.age(), "default/api_key").await.unwrap(),
                CANARY.as_bytes()
            );
        }
    }

    #[tokio::test]
    async fn a_read_only_place_is_reported_and_still_readable() {
        let world = World::with_value(CANARY).await;
        if is_root() {
            // Root writes anywhere but on a file system that is mounted read-only.
            let _mounted = mount_read_only(&world.project());
            let error = set(&world.age(), "default/api_key", b"new")
                .await
                .unwrap_err();
            assert_eq!(error.kind(), Kind::Misconfigured);
            assert_eq!(
                get(&world.age(), "default/api_key").await.unwrap(),
                CANARY.as_bytes()
            );
        } else {
            chmod(&world.project(), 0o555);
            let error = set(&world.age(), "default/api_key", b"new")
                .await
                .unwrap_err();
            assert_eq!(error.kind(), Kind::Denied);
            assert_eq!(
                get(&world.age(), "default/api_key").await.unwrap(),
                CANARY.as_bytes()
            );
            chmod(&world.project(), 0o755);
        }
        assert_eq!(world.litter(), [""; 0]);
    }
}
