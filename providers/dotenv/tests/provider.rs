//! What `.env` files promise, through the public API.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use credchain_core::{
    Context, Environment, Error, Kind, LinkName, Naming, Project, Provider, Reference, Registry,
    Secret, SetOptions, Settings, Setup,
};
use credchain_provider_dotenv::Dotenv;
use serde_json::json;
use tempfile::TempDir;

fn cx() -> Context {
    Context::system().with_env(Environment::fixed([("HOST", "db.example")]))
}

fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

async fn get(dotenv: &Dotenv, text: &str) -> Result<Vec<u8>, Error> {
    Ok(dotenv.get(&reference(text), &cx()).await?.expose().to_vec())
}

async fn set(dotenv: &Dotenv, text: &str, value: &[u8]) -> Result<(), Error> {
    let options = SetOptions::default();
    dotenv
        .set(&reference(text), &Secret::new(value), &options, &cx())
        .await
        .map(|_| ())
}

/// A project directory with these files.
fn project<const N: usize>(files: [(&str, &str); N]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(directory.path().join(name), content).unwrap();
    }
    directory
}

fn setup(root: &Path) -> Setup {
    Setup::new(LinkName::literal("dotenv")).in_project(Project::new("demo", root).with_root(root))
}

fn configured(root: &Path, table: serde_json::Value) -> Dotenv {
    Dotenv::from_setup(&setup(root).with_settings(Settings::from_json(table))).unwrap()
}

#[tokio::test]
async fn an_earlier_file_wins_over_a_later_one() {
    let root = project([
        (".env.local", "A=local\nC\n"),
        (".env", "A=shared\nB=shared\nC=shared"),
    ]);
    let dotenv = configured(root.path(), json!({"files": [".env.local", ".env"]}));
    assert_eq!(get(&dotenv, "A").await.unwrap(), b"local");
    assert_eq!(get(&dotenv, "B").await.unwrap(), b"shared");
    assert_eq!(
        get(&dotenv, "C").await.unwrap(),
        b"shared",
        "a key without `=` is not set"
    );
    assert_eq!(get(&dotenv, "D").await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn no_file_is_absent_unless_somebody_asked_for_it() {
    let root = project([]);
    let unasked = Dotenv::from_setup(&setup(root.path())).unwrap();
    assert_eq!(get(&unasked, "A").await.unwrap_err().kind(), Kind::Absent);
    let asked = configured(root.path(), json!({"files": [".env.local", ".env"]}));
    assert_eq!(get(&asked, "A").await.unwrap_err().kind(), Kind::NotFound);
    fs::write(root.path().join(".env"), "").unwrap();
    assert_eq!(get(&unasked, "A").await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn the_prefix_is_for_relative_names_only() {
    let root = project([(".env", "APP_A=with\nA=without\n'APP_/B'=odd")]);
    let dotenv = configured(root.path(), json!({"prefix": "APP_"}));
    assert_eq!(get(&dotenv, "A").await.unwrap(), b"with");
    assert_eq!(get(&dotenv, "/A").await.unwrap(), b"without");
    let listed = dotenv.list(None, &cx()).await.unwrap();
    assert_eq!(
        listed
            .iter()
            .map(|l| l.reference.path())
            .collect::<Vec<_>>(),
        ["A"]
    );
}

#[test]
fn the_convention_is_the_environment_name() {
    let dotenv = Dotenv::file(".env");
    let located = |naming: &Naming| {
        dotenv
            .locate(naming)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let naming = Naming::new("api_key".parse().unwrap());
    assert_eq!(located(&naming), ["API_KEY"]);
    assert_eq!(
        located(&naming.clone().with_env("STRIPE_KEY")),
        ["STRIPE_KEY"]
    );
    assert_eq!(located(&naming.undeclared()), ["api_key", "API_KEY"]);
}

#[tokio::test]
async fn a_changed_file_and_a_changed_variable_are_seen() {
    let root = project([(".env", "A=1\nURL=${HOST}/x\n")]);
    let dotenv = configured(root.path(), json!({}));
    for round in 0..20 {
        let value = format!("{round}");
        fs::write(
            root.path().join(".env"),
            format!("A={value}\nURL=${{HOST}}/x\n"),
        )
        .unwrap();
        assert_eq!(get(&dotenv, "A").await.unwrap(), value.as_bytes());
    }
    assert_eq!(get(&dotenv, "URL").await.unwrap(), b"db.example/x");
    let other = Context::system().with_env(Environment::fixed([("HOST", "other")]));
    let value = dotenv.get(&reference("URL"), &other).await.unwrap();
    assert_eq!(value.expose(), b"other/x");
}

#[tokio::test]
async fn a_file_is_parsed_once_and_shared_by_all_readers() {
    let root = project([(".env", "A=1\n")]);
    let old = fs::File::open(root.path().join(".env")).unwrap();
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    old.set_modified(long_ago).unwrap();
    let dotenv = configured(root.path(), json!({}));
    let first = dotenv.get(&reference("A"), &cx()).await.unwrap();
    let second = dotenv.clone().get(&reference("A"), &cx()).await.unwrap();
    assert_eq!(first.expose().as_ptr(), second.expose().as_ptr());
}

#[tokio::test]
async fn broken_lines_are_told_by_file_and_number_and_the_rest_loads() {
    let root = project([(".env", "A=1\n=canary\nB=\"canary\nC=3\n")]);
    let dotenv = configured(root.path(), json!({}));
    let warnings = dotenv.warnings(&cx()).await.unwrap();
    let file = Some(root.path().join(".env"));
    assert_eq!(
        warnings
            .iter()
            .map(|w| (w.file.clone(), w.line))
            .collect::<Vec<_>>(),
        [(file.clone(), 2), (file, 3)]
    );
    assert!(!format!("{warnings:?} {}", warnings[0]).contains("canary"));
    assert_eq!(get(&dotenv, "C").await.unwrap(), b"3");
}

#[tokio::test]
async fn a_batch_agrees_with_single_reads() {
    let root = project([(".env", "A=1\nB=2\n")]);
    let dotenv = configured(root.path(), json!({}));
    let references = ["B", "C", "A", "A#x", "A?version=1"].map(reference);
    let many = dotenv.get_many(&references, &cx()).await;
    let kinds: Vec<_> = many
        .iter()
        .map(|answer| answer.as_ref().err().map(Error::kind))
        .collect();
    let expected = [
        None,
        Some(Kind::NotFound),
        None,
        Some(Kind::Invalid),
        Some(Kind::Unsupported),
    ];
    assert_eq!(kinds, expected);
    for (reference, answer) in references.iter().zip(&many) {
        let one = dotenv.get(reference, &cx()).await;
        assert_eq!(
            one.as_ref().err().map(Error::kind),
            answer.as_ref().err().map(Error::kind)
        );
        assert!(one.is_err() || one.unwrap().same_value(answer.as_ref().unwrap()));
    }
}

#[tokio::test]
async fn a_value_survives_writing_byte_for_byte_and_the_rest_of_the_file_as_well() {
    let root = project([(
        ".env",
        "# mine\nexport A=1 # one\n\nbroken line\nB='${A}'\n",
    )]);
    let dotenv = configured(root.path(), json!({}));
    let hash = b"$2a$10$abc ${A} 'it' \"is\" \\ \r\n\t\x0b# \xc3\xa9";
    set(&dotenv, "A", hash).await.unwrap();
    set(&dotenv, "NEW", b"").await.unwrap();
    assert_eq!(get(&dotenv, "A").await.unwrap(), hash);
    assert_eq!(get(&dotenv, "NEW").await.unwrap(), b"");
    assert_eq!(get(&dotenv, "B").await.unwrap(), b"${A}");
    dotenv.delete(&reference("A"), &cx()).await.unwrap();
    dotenv.delete(&reference("NEW"), &cx()).await.unwrap();
    let text = fs::read_to_string(root.path().join(".env")).unwrap();
    assert_eq!(text, "# mine\n\nbroken line\nB='${A}'\n");
    let error = dotenv.delete(&reference("A"), &cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_key_is_written_where_it_takes_effect() {
    let root = project([(".env.local", "A=1\n"), (".env", "A=2\nB=2\n")]);
    let dotenv = configured(root.path(), json!({"files": [".env.local", ".env"]}));
    for key in ["A", "B", "C"] {
        set(&dotenv, key, b"new").await.unwrap();
        assert_eq!(get(&dotenv, key).await.unwrap(), b"new");
    }
    let read = |name: &str| fs::read_to_string(root.path().join(name)).unwrap();
    assert_eq!(read(".env.local"), "A='new'\nC='new'\n");
    assert_eq!(read(".env"), "A=2\nB='new'\n");
    dotenv.delete(&reference("A"), &cx()).await.unwrap();
    assert_eq!(get(&dotenv, "A").await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn what_cannot_be_written_is_invalid_and_makes_no_file() {
    let root = project([]);
    let dotenv = configured(root.path(), json!({}));
    for value in [&b"a\0b"[..], b"\xff"] {
        assert_eq!(
            set(&dotenv, "A", value).await.unwrap_err().kind(),
            Kind::Invalid
        );
    }
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_lose_nothing() {
    let root = Arc::new(project([]));
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let root = root.clone();
            tokio::spawn(async move {
                // Nothing in common but the file, as separate processes have it.
                let dotenv = configured(root.path(), json!({}));
                for round in 0..10 {
                    set(&dotenv, &format!("KEY_{writer}_{round}"), b"v")
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let listed = configured(root.path(), json!({}))
        .list(None, &cx())
        .await
        .unwrap();
    assert_eq!(listed.len(), 80);
    assert_eq!(
        fs::read_dir(root.path()).unwrap().count(),
        1,
        "no lock or temporary file is left"
    );
}

#[tokio::test]
async fn a_writer_waits_for_another_and_gives_up_with_its_caller() {
    let root = project([(".env", "A=1\n")]);
    let other = fs::File::open(root.path().join(".env")).unwrap();
    other.lock().unwrap();
    let dotenv = configured(root.path(), json!({}));
    let (place, value, options) = (reference("A"), Secret::new("2"), SetOptions::default());
    let cx = cx();
    let write = || dotenv.set(&place, &value, &options, &cx);
    let dropped = cx
        .clock()
        .timeout(std::time::Duration::from_millis(50), write())
        .await;
    assert!(dropped.is_none(), "the file is locked");
    assert_eq!(
        get(&dotenv, "A").await.unwrap(),
        b"1",
        "a reader does not wait"
    );
    let (written, ()) = tokio::join!(write(), async { other.unlock().unwrap() });
    written.unwrap();
    assert_eq!(get(&dotenv, "A").await.unwrap(), b"2");
}

#[tokio::test]
async fn ten_mebibytes_are_read_and_one_more_than_sixteen_refused() {
    let root = project([]);
    let path = root.path().join(".env");
    let line = format!("KEY=\"{}\"\n", "x".repeat(990));
    fs::write(&path, line.repeat(10 << 10)).unwrap();
    let dotenv = configured(root.path(), json!({}));
    assert_eq!(get(&dotenv, "KEY").await.unwrap().len(), 990);
    fs::File::create(&path)
        .unwrap()
        .set_len((16 << 20) + 1)
        .unwrap();
    assert_eq!(get(&dotenv, "KEY").await.unwrap_err().kind(), Kind::Invalid);
}

#[tokio::test]
async fn a_directory_called_env_is_an_error_only_where_a_file_was_asked_for() {
    let root = project([]);
    fs::create_dir(root.path().join(".env")).unwrap();
    let asked = configured(root.path(), json!({}));
    let error = get(&asked, "A").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(error.message().contains("is a directory"), "{error}");
    let unasked = Dotenv::from_setup(&setup(root.path())).unwrap();
    assert_eq!(get(&unasked, "A").await.unwrap_err().kind(), Kind::Absent);
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[tokio::test]
    async fn a_pipe_or_a_device_is_refused_without_waiting() {
        let root = project([]);
        let pipe = root.path().join("pipe");
        let rights = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rights).unwrap();
        for path in [pipe, PathBuf::from("/dev/zero")] {
            let dotenv = Dotenv::file(&path);
            assert_eq!(
                get(&dotenv, "A").await.unwrap_err().kind(),
                Kind::Misconfigured
            );
            assert_eq!(
                set(&dotenv, "A", b"v").await.unwrap_err().kind(),
                Kind::Misconfigured
            );
        }
    }

    #[tokio::test]
    async fn a_file_that_others_control_is_refused_and_one_they_can_read_is_not() {
        let root = project([(".env", "A=canary\n")]);
        let path = root.path().join(".env");
        let dotenv = configured(root.path(), json!({}));
        set_mode(&path, 0o644);
        assert!(get(&dotenv, "A").await.is_ok());
        set_mode(&path, 0o666);
        let error = get(&dotenv, "A").await.unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert!(
            error.hint().unwrap().starts_with("`chmod o-w "),
            "{error:?}"
        );
        assert_eq!(
            set(&dotenv, "A", b"v").await.unwrap_err().kind(),
            Kind::Misconfigured
        );
        set_mode(&path, 0o600);
        // Giving a file away takes root; without it the first half of the test stands alone.
        if std::os::unix::fs::chown(&path, Some(54_321), None).is_ok() {
            let error = get(&dotenv, "A").await.unwrap_err();
            assert_eq!(error.kind(), Kind::Misconfigured);
            assert!(error.message().contains("another user"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_new_file_is_private_and_an_old_one_keeps_its_mode() {
        let root = project([]);
        let path = root.path().join(".env");
        let dotenv = configured(root.path(), json!({}));
        set(&dotenv, "A", b"v").await.unwrap();
        assert_eq!(mode(&path), 0o600);
        set_mode(&path, 0o640);
        set(&dotenv, "A", b"w").await.unwrap();
        assert_eq!(mode(&path), 0o640);
    }

    #[tokio::test]
    async fn a_read_only_file_stays_as_it_is() {
        let root = project([(".env", "A=1\n")]);
        set_mode(&root.path().join(".env"), 0o444);
        let dotenv = configured(root.path(), json!({}));
        assert_eq!(
            set(&dotenv, "A", b"v").await.unwrap_err().kind(),
            Kind::Denied
        );
        assert_eq!(get(&dotenv, "A").await.unwrap(), b"1");
    }

    #[tokio::test]
    async fn a_symlink_is_read_but_not_written_through() {
        let root = project([("real", "A=1\n")]);
        symlink("real", root.path().join(".env")).unwrap();
        let dotenv = configured(root.path(), json!({}));
        assert_eq!(get(&dotenv, "A").await.unwrap(), b"1");
        let error = set(&dotenv, "A", b"v").await.unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert!(error.message().contains("symlink"), "{error}");
        assert_eq!(fs::read(root.path().join("real")).unwrap(), b"A=1\n");
    }

    #[tokio::test]
    async fn a_missing_directory_is_a_mistake_only_when_writing() {
        let dotenv = Dotenv::file("/nonexistent/.env");
        assert_eq!(get(&dotenv, "A").await.unwrap_err().kind(), Kind::NotFound);
        assert_eq!(
            set(&dotenv, "A", b"v").await.unwrap_err().kind(),
            Kind::Misconfigured
        );
    }
}

#[test]
fn the_type_is_registered_and_builds_from_settings() {
    let registry = Registry::collect(&["dotenv"]).unwrap();
    let registration = registry.get("dotenv").unwrap();
    let table = Settings::from_json(json!({"files": []}));
    let wrong = Setup::new(LinkName::literal("dotenv")).with_settings(table);
    assert_eq!(
        (registration.build)(wrong).unwrap_err().kind(),
        Kind::Misconfigured
    );
    let provider = (registration.build)(Setup::new(LinkName::literal("dotenv"))).unwrap();
    assert_eq!(provider.capabilities(), registration.capabilities);
}
