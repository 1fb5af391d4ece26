//! `resolve check` and `resolve explain`: everything that is missing, and why.

use credchain_tests::{Project, Resolve};

const THREE: &str = r#"
[chain]
default = ["env"]
[credentials.api_key]
description = "billing API"
[credentials.db_password]
[credentials.smtp_password]
"#;

fn keys(object: &serde_json::Value) -> Vec<&str> {
    object
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn check_in_json_tells_every_status() {
    let json = Resolve::new()
        .config(
            "[chain]\ndefault = [\"env\"]\n[credentials.a]\ndefault = \"x\"\nsecret = false\n\
             [credentials.b]\n[credentials.c]\n[credentials.d]\nchain = [\"gone\"]\n\
             [providers.gone]\ntype = \"command\"\nprogram = \"/nowhere/plugin\"\n",
        )
        .trusted()
        .env("B", "short")
        .args(["check", "--json"])
        .run()
        .code(6)
        .json();
    let row = |at: usize| {
        let row = &json["credentials"][at];
        (row["status"].as_str().unwrap(), row["kind"].as_str())
    };
    assert_eq!(row(0), ("default", None));
    assert_eq!(row(1), ("warning", None));
    assert_eq!(row(2), ("missing", Some("not_found")));
    assert_eq!(row(3), ("failed", Some("misconfigured")));
}

#[test]
fn check_names_everything_that_is_missing_and_how_to_supply_it() {
    let output = Resolve::new().config(THREE).args(["check"]).run().code(3);
    output
        .stdout_contains("export API_KEY=")
        .stdout_contains("export DB_PASSWORD=")
        .stdout_contains("export SMTP_PASSWORD=")
        .stdout_contains("billing API");
}

#[test]
fn check_speaks_the_users_shell() {
    for (shell, words) in [
        ("/usr/bin/fish", "set -x API_KEY"),
        ("/usr/bin/pwsh", "$env:API_KEY ="),
    ] {
        Resolve::new()
            .config(THREE)
            .plain_env("SHELL", shell)
            .args(["check"])
            .run()
            .code(3)
            .stdout_contains(words);
    }
}

#[test]
fn check_in_json_has_the_published_shape() {
    let json = Resolve::new()
        .config(THREE)
        .env("API_KEY", "long-enough-value")
        .plain_env("DB_PASSWORD", "")
        .args(["check", "--json"])
        .run()
        .code(3)
        .json();
    assert_eq!(json["version"], 1);
    assert_eq!(json["ok"], false);
    let rows = json["credentials"].as_array().unwrap();
    assert_eq!(rows[0]["name"], "api_key");
    assert_eq!(rows[0]["status"], "ok");
    assert_eq!(rows[0]["link"], "env");
    assert_eq!(rows[1]["status"], "missing");
    assert_eq!(rows[1]["kind"], "not_found");
    assert!(rows[1]["fix"].as_str().unwrap().contains("DB_PASSWORD"));
    assert_eq!(keys(&json), ["credentials", "ok", "version"]);
    for row in rows {
        assert_eq!(keys(row), ["fix", "kind", "link", "name", "status"]);
    }
}

#[test]
fn strict_adds_warnings_with_code_8() {
    let run = |args: &[&str]| {
        Resolve::new()
            .config("[chain]\ndefault = [\"env\"]\n[credentials.pin]\n")
            .env("PIN", "x7")
            .args(args)
            .run()
    };
    run(&["check"]).success().stdout_contains("warning");
    run(&["check", "--strict"]).code(8);
}

#[test]
fn an_empty_ci_variable_is_reported_as_set_but_empty() {
    Resolve::new()
        .config(THREE)
        .plain_env("API_KEY", "")
        .plain_env("CI", "true")
        .args(["check"])
        .run()
        .code(3)
        .stdout_contains("set but empty")
        .stdout_contains("the variable `API_KEY` in the job's settings");
}

#[test]
fn explain_shows_every_link_and_never_the_value() {
    let project = Project::new();
    project.write(
        "credchain.toml",
        "[chain]\ndefault = [\"env\", \"dotenv\"]\n[credentials.a]\n",
    );
    project.write(".env", "A=canary-value\n");
    let text = project
        .resolve(["explain", "a"])
        .secret("canary-value")
        .run()
        .success();
    text.stdout_contains("env")
        .stdout_contains("dotenv")
        .stdout_lacks("canary-value");
    let json = project
        .resolve(["explain", "a", "--json"])
        .run()
        .success()
        .json();
    assert_eq!(keys(&json), ["links", "name", "version"]);
    let links = json["links"].as_array().unwrap();
    for link in links {
        assert_eq!(keys(link), ["cached", "link", "ms", "outcome", "reference"]);
    }
    assert_eq!(links[0]["link"], "env");
    assert_eq!(links[0]["outcome"], "not_found");
    assert_eq!(links[1]["outcome"], "hit");
    assert_eq!(links[1]["reference"], "A");
    assert!(links[1]["ms"].is_number() && links[1]["cached"] == false);
}

#[test]
fn explain_of_a_missing_credential_exits_3_and_names_who_was_not_asked() {
    Resolve::new()
        .config(THREE)
        .args(["explain", "api_key"])
        .run()
        .code(3)
        .stdout_contains("not_found");
}

#[test]
fn templates_are_explained_by_their_parts() {
    Resolve::new()
        .config(
            "[chain]\ndefault = [\"env\"]\n[credentials.pass]\n\
             [credentials.url]\ntemplate = \"https://u:{{ pass | url }}@h\"\n",
        )
        .env("PASS", "a/b-secret")
        .args(["explain", "url"])
        .run()
        .success()
        .stdout_contains("for `pass`");
}

#[test]
fn a_project_that_declares_nothing_is_told_how() {
    Resolve::new()
        .config("[chain]\ndefault = [\"env\"]\n")
        .args(["check"])
        .run()
        .success()
        .stdout_contains("nothing is declared");
}

#[test]
fn the_advice_names_the_variable_that_is_really_read() {
    Resolve::new()
        .config(
            "[chain]\ndefault = [\"ci\"]\n[providers.ci]\ntype = \"env\"\nprefix = \"PIPELINE_\"\n\
             [credentials.api_key]\n",
        )
        .trusted()
        .args(["check"])
        .run()
        .code(3)
        .stdout_contains("export PIPELINE_API_KEY=");
}
