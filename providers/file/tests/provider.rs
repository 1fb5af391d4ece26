//! What a directory of secret files promises, through the public API.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::fs;
use std::path::Path;

use credchain_core::{
    Context, Environment, Error, Kind, LinkName, Naming, Project, Provider, Reference, Registry,
    Secret, SetOptions, Settings, Setup,
};
use credchain_provider_file::Files;
use serde_json::json;
use tempfile::TempDir;

fn cx() -> Context {
    Context::system().with_env(Environment::fixed([("HOME", "/root")]))
}

fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

async fn get(files: &Files, text: &str) -> Result<Vec<u8>, Error> {
    Ok(files.get(&reference(text), &cx()).await?.expose().to_vec())
}

async fn set(files: &Files, text: &str, value: &[u8]) -> Result<(), Error> {
    let options = SetOptions::default();
    files
        .set(&reference(text), &Secret::new(value), &options, &cx())
        .await
        .map(|_| ())
}

async fn kind_of_get(files: &Files, text: &str) -> Kind {
    get(files, text).await.unwrap_err().kind()
}

/// A directory with these files.
fn mount<const N: usize>(files: [(&str, &[u8]); N]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(directory.path().join(name), content).unwrap();
    }
    directory
}

fn configured(root: &Path, table: serde_json::Value) -> Files {
    let setup = Setup::new(LinkName::literal("file"))
        .with_settings(Settings::from_json(table))
        .in_project(Project::new("demo", root).with_root(root));
    Files::from_setup(&setup).unwrap()
}

async fn listed(files: &Files) -> Vec<String> {
    let listed = files.list(None, &cx()).await.unwrap();
    listed
        .iter()
        .map(|entry| entry.reference.path().to_owned())
        .collect()
}

#[tokio::test]
async fn a_file_is_read_byte_for_byte() {
    let value = b"\0\xff line\r\n\n";
    let mount = mount([("api_key", value), ("empty", b"")]);
    let files = Files::in_directory(mount.path());
    assert_eq!(get(&files, "api_key").await.unwrap(), value);
    assert_eq!(get(&files, "empty").await.unwrap(), b"");
    assert_eq!(kind_of_get(&files, "other").await, Kind::NotFound);
    assert_eq!(kind_of_get(&files, "api_key/below").await, Kind::NotFound);
}

#[tokio::test]
async fn trim_drops_one_line_end_and_no_more() {
    let mount = mount([
        ("unix", b"v\n"),
        ("dos", b"v\r\n"),
        ("two", b"v\n\n"),
        ("none", b"v \t"),
    ]);
    let files = configured(mount.path(), json!({"path": ".", "trim": true}));
    for (name, value) in [
        ("unix", "v"),
        ("dos", "v"),
        ("two", "v\n"),
        ("none", "v \t"),
    ] {
        assert_eq!(get(&files, name).await.unwrap(), value.as_bytes(), "{name}");
    }
    assert_eq!(
        set(&files, "new", b"v\n").await.unwrap_err().kind(),
        Kind::Invalid
    );
}

#[test]
fn the_convention_is_the_name_and_then_the_environment_name() {
    let files = Files::in_directory("secrets");
    let located = |naming: &Naming| {
        files
            .locate(naming)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let naming = Naming::new("api_key".parse().unwrap());
    assert_eq!(located(&naming), ["api_key", "API_KEY"]);
    assert_eq!(
        located(&naming.with_env("STRIPE_KEY")),
        ["api_key", "STRIPE_KEY"]
    );
    assert_eq!(located(&Naming::new("KEY".parse().unwrap())), ["KEY"]);
}

#[tokio::test]
async fn a_missing_directory_is_absent_unless_it_was_named() {
    let root = mount([]);
    let gone = root.path().join("gone");
    let systemd = Environment::fixed([("CREDENTIALS_DIRECTORY", &gone)]);
    let cx = Context::system().with_env(systemd);
    let unnamed = configured(root.path(), json!({"trim": false}));
    let error = unnamed.get(&reference("a"), &cx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Absent);
    fs::create_dir(&gone).unwrap();
    fs::write(gone.join("a"), "v").unwrap();
    assert_eq!(
        unnamed.get(&reference("a"), &cx).await.unwrap().expose(),
        b"v"
    );

    let named = configured(root.path(), json!({"path": "nowhere"}));
    let error = get(&named, "a").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(error.hint().unwrap().contains("mkdir -m 700"), "{error:?}");
    fs::write(root.path().join("nowhere"), "").unwrap();
    assert_eq!(kind_of_get(&named, "a").await, Kind::Misconfigured);
}

#[tokio::test]
async fn a_field_of_a_document_is_read() {
    let mount = mount([
        ("db.json", br#"{"user": "app", "port": 5432}"#),
        ("plain", b"canary"),
    ]);
    let files = Files::in_directory(mount.path());
    assert_eq!(get(&files, "db.json#user").await.unwrap(), b"app");
    assert_eq!(get(&files, "db.json#port").await.unwrap(), b"5432");
    assert_eq!(
        kind_of_get(&files, "db.json#password").await,
        Kind::NotFound
    );
    let error = get(&files, "plain#user").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(!format!("{error:?}").contains("canary"));
}

#[tokio::test]
async fn no_path_leads_out_of_the_directory() {
    let outer = mount([("secret", b"canary")]);
    let inner = outer.path().join("mount");
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("own"), "v").unwrap();
    let files = Files::in_directory(&inner);
    let absolute = outer.path().join("secret");
    for bad in [
        absolute.to_str().unwrap(),
        "/etc/passwd",
        "/",
        ".",
        "./own",
        "own/",
        "a//b",
        "a/.",
    ] {
        assert_eq!(kind_of_get(&files, bad).await, Kind::Invalid, "{bad}");
        assert_eq!(
            set(&files, bad, b"v").await.unwrap_err().kind(),
            Kind::Invalid,
            "{bad}"
        );
    }
    let inside = inner.join("own");
    assert_eq!(get(&files, inside.to_str().unwrap()).await.unwrap(), b"v");
}

#[tokio::test]
async fn a_value_survives_writing_byte_for_byte() {
    let root = mount([]);
    let files = configured(root.path(), json!({"path": "made/secrets"}));
    let value: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    set(&files, "api_key", b"first").await.unwrap();
    set(&files, "api_key", &value).await.unwrap();
    set(&files, "deep/er/key", b"").await.unwrap();
    assert_eq!(get(&files, "api_key").await.unwrap(), value);
    assert_eq!(get(&files, "deep/er/key").await.unwrap(), b"");
    assert_eq!(
        listed(&files).await,
        ["api_key", "deep/er/key"],
        "no temporary file is left"
    );
    files.delete(&reference("api_key"), &cx()).await.unwrap();
    assert_eq!(kind_of_get(&files, "api_key").await, Kind::NotFound);
    let error = files
        .delete(&reference("api_key"), &cx())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(
        set(&files, "deep", b"v").await.unwrap_err().kind(),
        Kind::Invalid
    );
    assert_eq!(
        set(&files, "deep/er/key/x", b"v").await.unwrap_err().kind(),
        Kind::Invalid
    );
}

#[tokio::test]
async fn sizes_are_bounded_in_both_directions() {
    let root = mount([("small", b"1234"), ("large", b"12345")]);
    let files = configured(root.path(), json!({"path": ".", "max_size": 4}));
    assert!(get(&files, "small").await.is_ok());
    assert_eq!(kind_of_get(&files, "large").await, Kind::Invalid);
    assert_eq!(
        set(&files, "new", b"12345").await.unwrap_err().kind(),
        Kind::Invalid
    );
    assert_eq!(kind_of_get(&files, &"x".repeat(300)).await, Kind::Invalid);
}

#[tokio::test]
async fn a_batch_agrees_with_single_reads() {
    let root = mount([("a", b"1"), ("b", b"2")]);
    let files = Files::in_directory(root.path());
    let references = ["b", "c", "a", "a#x", "/etc/passwd", "a?version=1"].map(reference);
    let many = files.get_many(&references, &cx()).await;
    assert_eq!(many.len(), references.len());
    for (reference, answer) in references.iter().zip(&many) {
        match (files.get(reference, &cx()).await, answer) {
            (Ok(one), Ok(other)) => assert!(one.same_value(other)),
            (Err(one), Err(other)) => assert_eq!(one.kind(), other.kind()),
            (one, other) => panic!("{reference}: {one:?} and {other:?}"),
        }
    }
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[tokio::test]
    async fn a_symlink_is_followed_only_inside() {
        let outer = mount([("secret", b"canary")]);
        let inner = outer.path().join("mount");
        fs::create_dir_all(inner.join("sub")).unwrap();
        fs::write(inner.join("sub/own"), "v").unwrap();
        symlink("sub/own", inner.join("relative")).unwrap();
        symlink(inner.join("sub/own"), inner.join("absolute")).unwrap();
        symlink("sub", inner.join("folder")).unwrap();
        symlink("../secret", inner.join("out")).unwrap();
        symlink(outer.path(), inner.join("up")).unwrap();
        symlink("loop", inner.join("loop")).unwrap();
        symlink("nowhere", inner.join("dangling")).unwrap();
        let files = Files::in_directory(&inner);
        for good in ["relative", "absolute", "folder/own"] {
            assert_eq!(get(&files, good).await.unwrap(), b"v", "{good}");
        }
        for bad in ["out", "up/secret", "loop"] {
            assert_eq!(kind_of_get(&files, bad).await, Kind::Invalid, "{bad}");
        }
        assert_eq!(kind_of_get(&files, "dangling").await, Kind::NotFound);
        for bad in ["out", "relative", "up/new", "folder/new", "dangling"] {
            assert_eq!(
                set(&files, bad, b"v").await.unwrap_err().kind(),
                Kind::Invalid,
                "{bad}"
            );
        }
        let error = files.delete(&reference("out"), &cx()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert_eq!(listed(&files).await, ["absolute", "relative", "sub/own"]);
        assert_eq!(fs::read(outer.path().join("secret")).unwrap(), b"canary");
    }

    #[tokio::test]
    async fn what_is_no_file_is_invalid_and_not_waited_for() {
        let root = mount([]);
        let pipe = root.path().join("pipe");
        let rights = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rights).unwrap();
        fs::create_dir(root.path().join("directory")).unwrap();
        let files = Files::in_directory(root.path());
        for name in ["pipe", "directory"] {
            assert_eq!(kind_of_get(&files, name).await, Kind::Invalid, "{name}");
            assert_eq!(
                set(&files, name, b"v").await.unwrap_err().kind(),
                Kind::Invalid
            );
        }
        assert_eq!(
            kind_of_get(&Files::in_directory("/dev"), "null").await,
            Kind::Invalid
        );
    }

    #[tokio::test]
    async fn a_file_that_others_control_is_refused_and_one_they_can_read_is_not() {
        let root = mount([("key", b"canary")]);
        let path = root.path().join("key");
        let files = Files::in_directory(root.path());
        set_mode(&path, 0o444);
        assert!(get(&files, "key").await.is_ok());
        set_mode(&path, 0o666);
        let error = get(&files, "key").await.unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert!(
            error.hint().unwrap().starts_with("`chmod o-w "),
            "{error:?}"
        );
        set_mode(&path, 0o600);
        // Giving a file away takes root; without it the first half of the test stands alone.
        if std::os::unix::fs::chown(&path, Some(54_321), None).is_ok() {
            assert_eq!(kind_of_get(&files, "key").await, Kind::Misconfigured);
        }
    }

    #[tokio::test]
    async fn what_is_written_is_for_this_user_alone() {
        let root = mount([]);
        let files = configured(root.path(), json!({"path": "made"}));
        set(&files, "deep/key", b"v").await.unwrap();
        let mode = |name: &str| fs::metadata(root.path().join(name)).unwrap().mode() & 0o777;
        assert_eq!(mode("made"), 0o700);
        assert_eq!(mode("made/deep"), 0o700);
        assert_eq!(mode("made/deep/key"), 0o600);
    }

    /// What the kubelet does when a Secret changes.
    fn publish(mount: &Path, generation: usize) {
        let data = format!("..generation_{generation}");
        fs::create_dir(mount.join(&data)).unwrap();
        for name in ["user", "password"] {
            fs::write(mount.join(&data).join(name), format!("{generation}")).unwrap();
        }
        let before = fs::read_link(mount.join("..data"));
        symlink(&data, mount.join("..data_tmp")).unwrap();
        fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
        for name in ["user", "password"] {
            let _ = symlink(Path::new("..data").join(name), mount.join(name));
        }
        if let Ok(before) = before {
            fs::remove_dir_all(mount.join(before)).unwrap();
        }
    }

    #[tokio::test]
    async fn a_batch_is_of_one_generation_while_kubernetes_swaps_them() {
        const GENERATIONS: usize = 300;
        let mount = mount([]);
        publish(mount.path(), 0);
        let files = Files::in_directory(mount.path());
        assert_eq!(listed(&files).await, ["password", "user"]);
        let both = ["user", "password"].map(reference);
        let done = AtomicBool::new(false);
        let (path, done) = (mount.path(), &done);
        // A scope would block the runtime, so the publisher is a thread beside it.
        let seen = std::thread::scope(|scope| {
            scope.spawn(move || {
                (1..=GENERATIONS).for_each(|generation| publish(path, generation));
                done.store(true, Ordering::Release);
            });
            credchain_core::block_on(async {
                let mut seen = 0_usize;
                while !done.load(Ordering::Acquire) || seen == 0 {
                    let values = files.get_many(&both, &cx()).await;
                    let [user, password] = &values[..] else {
                        panic!("{values:?}")
                    };
                    let (user, password) = (user.as_ref().unwrap(), password.as_ref().unwrap());
                    assert!(user.same_value(password));
                    seen += 1;
                }
                seen
            })
        });
        assert!(seen.unwrap() > 0);
        let last = GENERATIONS.to_string();
        assert_eq!(get(&files, "user").await.unwrap(), last.as_bytes());
    }
}

#[test]
fn the_type_is_registered_and_builds_from_settings() {
    let registry = Registry::collect(&["file"]).unwrap();
    let registration = registry.get("file").unwrap();
    let table = Settings::from_json(json!({"max_size": 0}));
    let wrong = Setup::new(LinkName::literal("file")).with_settings(table);
    assert_eq!(
        (registration.build)(wrong).unwrap_err().kind(),
        Kind::Misconfigured
    );
    let provider = (registration.build)(Setup::new(LinkName::literal("file"))).unwrap();
    assert_eq!(provider.capabilities(), registration.capabilities);
}
