//! The provider in a chain, from a configuration, as its users meet it.

use std::path::Path;

use credchain::{Context, Credchain, Environment, Kind, Outcome};
// Linking the crate is what registers the provider.
use credchain_provider_netrc as _;

const CONFIG: &str = r#"
[chain]
default = ["env", "netrc"]

[credentials.registry_token]
at.netrc = "registry.example.com"

[credentials.registry_user]
at.netrc = "registry.example.com#login"

[credentials.other_token]
at.netrc = "other.example.com"
"#;

fn open(home: &Path, variables: &[(&str, &str)]) -> Credchain {
    open_with(home, CONFIG, variables)
}

fn open_with(home: &Path, text: &str, variables: &[(&str, &str)]) -> Credchain {
    let config = home.join("credchain.toml");
    std::fs::write(&config, text).expect("a configuration");
    let home_variable = [("HOME", home.to_str().expect("a path that is text"))];
    let env = Environment::fixed(home_variable.iter().chain(variables).copied());
    Credchain::opener()
        .directory(home)
        .config(config)
        .context(Context::system().with_env(env))
        .open()
        .expect("a right configuration")
}

#[tokio::test]
async fn a_credential_comes_from_the_machine_that_the_configuration_names() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let entry = "machine registry.example.com login ci password \"s3cret # not a comment\"\n";
    std::fs::write(home.path().join(".netrc"), entry).expect("a netrc file");
    let credentials = open(home.path(), &[]);
    let token = credentials.get("registry_token").await.expect("a token");
    assert_eq!(token.expose(), b"s3cret # not a comment");
    assert_eq!(
        token.meta().link.as_ref().map(|link| link.as_str()),
        Some("netrc")
    );
    let user = credentials.get("registry_user").await.expect("a user");
    assert_eq!(user.expose(), b"ci");
    let missing = credentials
        .get("other_token")
        .await
        .expect_err("no such machine");
    assert_eq!(missing.kind(), Kind::NotFound);
}

#[tokio::test]
async fn an_earlier_link_wins_and_a_missing_file_is_no_failure() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let credentials = open(home.path(), &[("REGISTRY_TOKEN", "from the environment")]);
    let token = credentials.get("registry_token").await.expect("a token");
    assert_eq!(token.expose(), b"from the environment");
    let names = ["registry_user".parse().expect("a name")];
    let resolution = credentials.resolve_many(&names).await.swap_remove(0);
    let last = resolution.trace.steps.last().expect("a step");
    assert_eq!(last.outcome, Outcome::Failed(Kind::Absent));
}

#[tokio::test]
async fn a_broken_file_stops_the_chain_and_shows_nothing_of_itself() {
    let home = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(home.path().join(".netrc"), "machine a\npasswort canary\n").expect("a file");
    let error = open(home.path(), &[])
        .get("registry_token")
        .await
        .expect_err("a broken file");
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("line 2"), "{error}");
    assert!(!format!("{error} {error:?}").contains("canary"));
}

#[tokio::test]
async fn the_default_entry_counts_only_when_it_is_asked_for() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let entries = "machine a password x\ndefault login anonymous password guest\n";
    std::fs::write(home.path().join(".netrc"), entries).expect("a netrc file");
    let missing = open(home.path(), &[])
        .get("other_token")
        .await
        .expect_err("not listed");
    assert_eq!(missing.kind(), Kind::NotFound);
    let asked = format!("{CONFIG}\n[providers.netrc]\nuse_default = true\n");
    let token = open_with(home.path(), &asked, &[])
        .get("other_token")
        .await
        .expect("the default");
    assert_eq!(token.expose(), b"guest");
}

#[tokio::test]
async fn a_file_that_was_named_and_is_missing_stops_the_chain() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let variables = [("NETRC", "/no/such/netrc")];
    let error = open(home.path(), &variables)
        .get("other_token")
        .await
        .expect_err("no file");
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(error.hint().is_some_and(|hint| hint.contains("$NETRC")));
}
