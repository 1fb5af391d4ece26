//! `resolve` with a real `OpenBao`.
#![cfg(unix)]

use credchain_tests::servers::{Moto, OpenBao, Postgres, SecretService};
use credchain_tests::{Project, Resolve};
use serde_json::{Value, json};

/// A project whose chain is the environment, then the server.
fn project(bao: &OpenBao, more: &str) -> Project {
    let project = Project::new();
    project.write(
        "credchain.toml",
        format!(
            "[project]\nname = \"demo\"\n[chain]\ndefault = [\"env\", \"vault\"]\nwrite = \"vault\"\n\
             [providers.vault]\naddress = \"{}\"\n{more}",
            bao.url()
        ),
    );
    project
}

fn run(bao: &OpenBao, project: &Project, args: &[&str]) -> Resolve {
    let run = project.resolve(args).trusted().secret(bao.root_token());
    run.plain_env("VAULT_TOKEN", bao.root_token())
}

const DECLARED: &str = "[credentials.api_key]\n[credentials.db_password]\n";

#[test]
fn what_is_set_is_got_and_seen_by_the_servers_own_program() {
    let bao = OpenBao::dev();
    let project = project(&bao, DECLARED);
    run(&bao, &project, &["set", "api_key"])
        .stdin("s3cret-value")
        .secret("s3cret-value")
        .run()
        .success()
        .stderr_contains("vault://demo/default#api_key");
    run(&bao, &project, &["get", "api_key"])
        .run()
        .success()
        .stdout_is("s3cret-value");
    let bao_program = OpenBao::program();
    project
        .command(bao_program)
        .args([
            "kv",
            "get",
            "-mount=secret",
            "-field=api_key",
            "demo/default",
        ])
        .plain_env("BAO_ADDR", bao.url())
        .plain_env("BAO_TOKEN", bao.root_token())
        .run()
        .success()
        .stdout_is("s3cret-value");
    run(&bao, &project, &["list", "--link", "vault"])
        .run()
        .success()
        .stdout_contains("api_key");
    run(&bao, &project, &["explain", "api_key"])
        .run()
        .success()
        .stdout_contains("vault");
}

#[test]
fn who_is_logged_in_is_told_on_request() {
    let bao = OpenBao::dev();
    let project = project(&bao, DECLARED);
    run(&bao, &project, &["providers", "vault", "--check"])
        .run()
        .success()
        .stdout_contains("ok")
        .stdout_contains("as token")
        .stdout_lacks(bao.root_token());
    let json = run(&bao, &project, &["providers", "vault", "--check", "--json"])
        .run()
        .json();
    assert_eq!(json["links"][0]["state"], "ok");
    assert_eq!(json["links"][0]["identity"]["details"]["policies"], "root");
    project
        .resolve(["providers", "vault", "--check"])
        .trusted()
        .plain_env("VAULT_TOKEN", "wrong")
        .run()
        .code(4)
        .stdout_contains("unauthenticated");
}

#[test]
fn denied_sealed_and_missing_are_three_things() {
    let bao = OpenBao::with_tls();
    let ca = bao.ca();
    let project = project(&bao, &format!("ca = \"{}\"\n{DECLARED}", ca.display()));
    run(&bao, &project, &["get", "api_key"]).run().code(3);
    bao.policy("nothing", "path \"none\" { capabilities = [\"deny\"] }");
    let token = bao.token(&["nothing", "default"], "1h", false);
    project
        .resolve(["get", "api_key"])
        .trusted()
        .plain_env("VAULT_TOKEN", token)
        .run()
        .code(4);
    bao.seal();
    run(&bao, &project, &["get", "api_key", "--timeout", "5s"])
        .run()
        .code(5)
        .stderr_contains("sealed");
}

#[test]
fn a_found_configuration_sends_nobody_there_without_trust() {
    let bao = OpenBao::dev();
    let project = project(&bao, DECLARED);
    project
        .resolve(["get", "api_key"])
        .plain_env("VAULT_TOKEN", bao.root_token())
        .run()
        .code(7);
    assert!(
        bao.requests()
            .iter()
            .all(|request| request["path"] != "secret/data/demo/default")
    );
}

#[test]
fn a_database_user_lives_as_long_as_the_program_and_no_longer() {
    let (bao, postgres) = (OpenBao::dev(), Postgres::start());
    bao.database(&postgres, "app", "2s", "1h");
    let project = project(
        &bao,
        "revoke_on_exit = true\n\
         [credentials.db_user]\nat.vault = \"/database/creds/app#username\"\n\
         [credentials.db_password]\nat.vault = \"/database/creds/app#password\"\n",
    );
    let script = format!(
        "export PGPASSWORD=$DB_PASSWORD\n\
         ask() {{ psql -XAtqw -h {} -p {} -U $DB_USER -d postgres -c 'select current_user'; }}\n\
         ask; sleep 7; ask",
        postgres.host(),
        postgres.port()
    );
    let output = run(
        &bao,
        &project,
        &["exec", "--no-mask", "--", "sh", "-c", &script],
    )
    .run()
    .success();
    let users: Vec<String> = output.stdout().lines().map(str::to_owned).collect();
    assert_eq!(users.len(), 2, "{}", output.stderr());
    assert_eq!(
        users[0], users[1],
        "after more than three lives of the lease"
    );
    let left = postgres.sql(&format!(
        "select count(*) from pg_roles where rolname = '{}'",
        users[0]
    ));
    assert_eq!(left, "0", "it is gone with the program");
    assert_eq!(
        bao.count("database/creds/app"),
        1,
        "user and password are of one lease"
    );
}

#[test]
fn a_login_is_not_left_behind_when_it_is_not_to_be() {
    let bao = OpenBao::dev();
    bao.root(
        "POST",
        "secret/data/demo/default",
        &json!({"data": {"api_key": "s3cret-value"}}),
    );
    bao.policy(
        "demo",
        "path \"secret/data/demo/*\" { capabilities = [\"read\"] }",
    );
    let (role_id, secret_id) = bao.approle("demo", &json!({"token_policies": "demo"}));
    let project = project(
        &bao,
        &format!(
            "kv_version = 2\nrevoke_on_exit = true\n\
             auth = {{ method = \"approle\", role_id = \"{role_id}\", secret_id = {{ credential = \"sid\" }} }}\n\
             [credentials.sid]\nchain = [\"env\"]\ninject = false\n[credentials.api_key]\n"
        ),
    );
    project
        .resolve([
            "exec",
            "--no-mask",
            "--",
            "sh",
            "-c",
            "test -n \"$API_KEY\"",
        ])
        .trusted()
        .env("SID", &secret_id)
        .run()
        .success();
    let paths: Vec<Value> = bao
        .requests()
        .into_iter()
        .map(|mut r| r["path"].take())
        .collect();
    assert_eq!(paths.last().unwrap(), "auth/token/revoke-self");
}

#[test]
fn only_what_a_link_misses_goes_on_to_the_next() {
    let (bao, keyring) = (OpenBao::dev(), SecretService::start());
    let document = json!({"data": {"c": "s3cret-c", "d": "s3cret-d", "a": "wrong", "b": "wrong"}});
    bao.root("POST", "secret/data/demo/default", &document);
    let project = Project::new();
    project.write(
        "credchain.toml",
        format!(
            "[project]\nname = \"demo\"\n[chain]\ndefault = [\"env\", \"keyring\", \"vault\"]\n\
             [providers.vault]\naddress = \"{}\"\nkv_version = 2\n\
             [credentials.a]\n[credentials.b]\n[credentials.c]\n[credentials.d]\n",
            bao.url()
        ),
    );
    let run = |args: &[&str]| {
        let mut run = run(&bao, &project, args).env("A", "s3cret-a");
        for (name, value) in keyring.variables() {
            run = run.plain_env(name, value);
        }
        run.secret("s3cret-b").secret("s3cret-c").secret("s3cret-d")
    };
    run(&["set", "b", "--to", "keyring"])
        .stdin("s3cret-b")
        .run()
        .success();
    let before = bao.requests().len();
    let json = run(&["export", "--format", "json"]).run().success().json();
    for name in ["A", "B", "C", "D"] {
        let expected = format!("s3cret-{}", name.to_lowercase());
        assert_eq!(json[name], expected, "{json}");
    }
    let asked: Vec<Value> = bao.requests().split_off(before);
    let paths: Vec<&Value> = asked.iter().map(|request| &request["path"]).collect();
    assert_eq!(paths, ["secret/data/demo/default"], "one read for both");
    let json = run(&["check", "--json"]).run().json();
    let links: Vec<&Value> = (0..4).map(|n| &json["credentials"][n]["link"]).collect();
    assert_eq!(links, ["env", "keyring", "vault", "vault"]);
}

#[test]
fn a_credential_moves_from_one_far_store_to_another() {
    let (bao, moto) = (OpenBao::dev(), Moto::start());
    let document = json!({"data": {"api_key": "s3cret-value"}});
    bao.root("POST", "secret/data/demo/default", &document);
    let aws = format!(
        "[providers.aws]\nendpoint = \"{}\"\nregion = \"eu-central-1\"\n{DECLARED}",
        moto.endpoint()
    );
    let project = project(&bao, &aws);
    let run = |args: &[&str]| {
        run(&bao, &project, args)
            .plain_env("AWS_ACCESS_KEY_ID", "test")
            .plain_env("AWS_SECRET_ACCESS_KEY", "test")
            .secret("s3cret-value")
    };
    run(&["copy", "api_key", "--from", "vault", "--to", "aws"])
        .run()
        .success()
        .stderr_contains("aws://demo/default/api_key");
    run(&["get", "aws://demo/default/api_key"])
        .run()
        .success()
        .stdout_is("s3cret-value");
    run(&["list", "--link", "aws"])
        .run()
        .success()
        .stdout_contains("api_key");
    run(&["copy", "api_key", "--from", "vault", "--to", "aws"])
        .run()
        .success();
}
