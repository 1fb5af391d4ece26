//! What environment variables promise, through the public API.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::ffi::OsString;
use std::path::Path;

use credchain_core::{
    Context, Environment, Error, Kind, LinkName, Name, Naming, Project, Provider as _, Reference,
    Registry, Secret, Settings, Setup,
};
use credchain_provider_env::Env;

fn cx<const N: usize>(variables: [(&str, &str); N]) -> Context {
    Context::system().with_env(Environment::fixed(variables))
}

fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

async fn get(env: &Env, text: &str, cx: &Context) -> Result<Secret, Error> {
    env.get(&reference(text), cx).await
}

fn located(env: &Env, naming: &Naming) -> Vec<String> {
    env.locate(naming).iter().map(ToString::to_string).collect()
}

fn naming(name: &str) -> Naming {
    Naming::new(name.parse::<Name>().unwrap())
}

#[tokio::test]
async fn a_relative_name_takes_the_prefix_and_an_absolute_one_does_not() {
    let cx = cx([("APP_KEY", "with"), ("KEY", "without")]);
    let env = Env::new().with_prefix("APP_");
    assert_eq!(get(&env, "KEY", &cx).await.unwrap().expose(), b"with");
    assert_eq!(get(&env, "/KEY", &cx).await.unwrap().expose(), b"without");
    assert_eq!(
        get(&Env::new(), "KEY", &cx).await.unwrap().expose(),
        b"without"
    );
    assert_eq!(
        get(&env, "OTHER", &cx).await.unwrap_err().kind(),
        Kind::NotFound
    );
}

#[tokio::test]
async fn an_empty_variable_is_a_value_here() {
    let env = Env::new();
    assert!(
        get(&env, "KEY", &cx([("KEY", "")]))
            .await
            .unwrap()
            .is_empty()
    );
}

#[cfg(unix)]
#[tokio::test]
async fn bytes_that_are_no_text_survive() {
    use std::os::unix::ffi::OsStringExt as _;
    let raw = b"\xff\xfe$ '\"\n".to_vec();
    let variables = [("KEY", OsString::from_vec(raw.clone()))];
    let cx = Context::system().with_env(Environment::fixed(variables));
    assert_eq!(get(&Env::new(), "KEY", &cx).await.unwrap().expose(), raw);
}

#[test]
fn a_declared_name_is_looked_for_in_its_file_first() {
    let env = Env::new().with_prefix("APP_");
    assert_eq!(
        located(&env, &naming("api_key")),
        ["API_KEY_FILE#contents", "API_KEY"]
    );
    let renamed = naming("api_key").with_env("STRIPE_KEY");
    assert_eq!(
        located(&env, &renamed),
        ["STRIPE_KEY_FILE#contents", "STRIPE_KEY"]
    );
}

#[test]
fn an_undeclared_name_has_no_file_and_is_taken_as_typed_first() {
    let env = Env::new();
    assert_eq!(
        located(&env, &naming("api_key").undeclared()),
        ["api_key", "API_KEY"]
    );
    assert_eq!(located(&env, &naming("API_KEY").undeclared()), ["API_KEY"]);
}

#[tokio::test]
async fn a_file_variable_gives_the_files_exact_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    std::fs::write(&path, b"\0bytes\xff\n").unwrap();
    let cx = cx([("KEY_FILE", path.to_str().unwrap()), ("KEY", "")]);
    let value = get(&Env::new(), "KEY_FILE#contents", &cx).await.unwrap();
    assert_eq!(value.expose(), b"\0bytes\xff\n");
}

#[tokio::test]
async fn a_relative_path_starts_at_the_working_directory() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("key"), b"value").unwrap();
    let setup =
        Setup::new(LinkName::literal("env")).in_project(Project::new("demo", directory.path()));
    let env = Env::from_setup(&setup).unwrap();
    let cx = cx([("KEY_FILE", "key")]);
    assert_eq!(
        get(&env, "KEY_FILE#contents", &cx).await.unwrap().expose(),
        b"value"
    );
}

#[tokio::test]
async fn a_value_in_place_of_a_path_is_not_shown_in_a_project_either() {
    let project = Project::new("demo", "/nonexistent/project");
    let env = Env::from_setup(&Setup::new(LinkName::literal("env")).in_project(project)).unwrap();
    let cx = cx([("KEY_FILE", "canary")]);
    let error = get(&env, "KEY_FILE#contents", &cx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(
        !format!("{error} {error:?}").contains("canary"),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_unset_or_empty_file_variable_is_a_miss() {
    let env = Env::new();
    for cx in [
        cx([("KEY", "value")]),
        cx([("KEY_FILE", ""), ("KEY", "value")]),
    ] {
        let error = get(&env, "KEY_FILE#contents", &cx).await.unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
    }
}

#[tokio::test]
async fn a_value_and_a_file_at_once_are_misconfigured_and_both_named() {
    let cx = cx([("APP_KEY", "canary"), ("APP_KEY_FILE", "/dev/null")]);
    let env = Env::new().with_prefix("APP_");
    let error = get(&env, "KEY_FILE#contents", &cx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(
        error.message().contains("`APP_KEY` and `APP_KEY_FILE`"),
        "{error}"
    );
    assert!(!format!("{error:?}").contains("canary"));
}

#[tokio::test]
async fn a_file_variable_that_names_no_file_is_misconfigured_and_says_which() {
    let cx = cx([("KEY_FILE", "/nonexistent/key")]);
    let error = get(&Env::new(), "KEY_FILE#contents", &cx)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("KEY_FILE") && hint.contains("/nonexistent/key"),
        "{hint}"
    );
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_others_control_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    std::fs::write(&path, "canary").unwrap();
    let cx = cx([("KEY_FILE", path.to_str().unwrap())]);

    set_mode(&path, 0o646);
    let error = get(&Env::new(), "KEY_FILE#contents", &cx)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(error.hint().unwrap().starts_with("`chmod o-w"), "{error:?}");

    set_mode(&path, 0o644);
    // Giving a file away takes root; without it the first half of the test stands alone.
    if std::os::unix::fs::chown(&path, Some(54_321), None).is_ok() {
        let error = get(&Env::new(), "KEY_FILE#contents", &cx)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert!(error.message().contains("another user"), "{error}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_directory_a_pipe_or_a_device_is_refused_without_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).unwrap();
    for path in [directory.path(), &pipe, Path::new("/dev/zero")] {
        let cx = cx([("KEY_FILE", path.to_str().unwrap())]);
        let error = get(&Env::new(), "KEY_FILE#contents", &cx)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured, "{}", path.display());
    }
}

#[tokio::test]
async fn a_file_beyond_the_limit_is_invalid() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    std::fs::File::create(&path)
        .unwrap()
        .set_len((16 << 20) + 1)
        .unwrap();
    let cx = cx([("KEY_FILE", path.to_str().unwrap())]);
    let error = get(&Env::new(), "KEY_FILE#contents", &cx)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
}

#[tokio::test]
async fn fields_and_versions_are_refused_and_not_missed() {
    let cx = cx([("KEY", "value")]);
    for (text, kind) in [
        ("KEY#field", Kind::Invalid),
        ("KEY?version=2", Kind::Unsupported),
    ] {
        assert_eq!(get(&Env::new(), text, &cx).await.unwrap_err().kind(), kind);
    }
}

#[tokio::test]
async fn what_is_listed_has_the_prefix_and_can_be_read() {
    let cx = cx([
        ("APP_A", "1"),
        ("APP_B", "2"),
        ("OTHER", "3"),
        ("APP_", "4"),
    ]);
    let env = Env::new().with_prefix("APP_");
    let listed = env.list(None, &cx).await.unwrap();
    let paths: Vec<_> = listed.iter().map(|entry| entry.reference.path()).collect();
    assert_eq!(paths, ["A", "B"]);
    for entry in &listed {
        assert!(env.get(&entry.reference, &cx).await.is_ok());
    }
    assert_eq!(env.list(Some("B"), &cx).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_batch_agrees_with_single_reads() {
    let cx = cx([("A", "1"), ("B", "2")]);
    let references = ["B", "C", "A", "A#x"].map(reference);
    let many = Env::new().get_many(&references, &cx).await;
    for (reference, answer) in references.iter().zip(&many) {
        match (Env::new().get(reference, &cx).await, answer) {
            (Ok(one), Ok(other)) => assert!(one.same_value(other)),
            (Err(one), Err(other)) => assert_eq!(one.kind(), other.kind()),
            (one, other) => panic!("{reference}: {one:?} and {other:?}"),
        }
    }
}

#[test]
fn the_type_is_registered_and_builds_from_settings() {
    use credchain_provider_env as _;
    let registry = Registry::collect(&["env"]).unwrap();
    let registration = registry.get("env").unwrap();
    let table = Settings::from_json(serde_json::json!({"prefix": "A="}));
    let setup = Setup::new(LinkName::literal("env")).with_settings(table);
    assert_eq!(
        (registration.build)(setup).unwrap_err().kind(),
        Kind::Misconfigured
    );
    let provider = (registration.build)(Setup::new(LinkName::literal("env"))).unwrap();
    assert_eq!(provider.capabilities(), registration.capabilities);
}

#[tokio::test]
async fn a_variable_that_is_listed_as_a_path_is_read_through_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tls_key");
    std::fs::write(&path, b"the key\n").unwrap();
    let path = path.to_str().unwrap();
    let cx = cx([
        ("CREDCHAIN_FILES", "OTHER,TLS_KEY"),
        ("TLS_KEY", path),
        ("TLS_KEY_2", path),
        ("OTHER", "/nowhere/at/all"),
    ]);
    let env = Env::new();
    let value = get(&env, "TLS_KEY", &cx).await.unwrap();
    assert_eq!(value.expose(), b"the key\n");
    // Whole names count, and what is not listed is its own value.
    let plain = get(&env, "TLS_KEY_2", &cx).await.unwrap();
    assert_eq!(plain.expose(), path.as_bytes());
    let gone = get(&env, "OTHER", &cx).await.unwrap_err();
    assert_eq!(gone.kind(), Kind::Misconfigured);
    assert!(gone.hint().unwrap().contains("unset"), "{gone:?}");
    assert!(!format!("{gone} {gone:?}").contains("nowhere"), "{gone:?}");
}

#[tokio::test]
async fn a_value_that_replaced_a_listed_path_is_a_value() {
    let variables = [("CREDCHAIN_FILES", "TLS_KEY"), ("TLS_KEY", "another key")];
    let value = get(&Env::new(), "TLS_KEY", &cx(variables)).await.unwrap();
    assert_eq!(value.expose(), b"another key");
}
