//! `[oauth2.NAME]` against the certified provider: how clients say who they are, how people log
//! in, and where tokens are kept.
#![cfg(unix)]

use std::io::BufReader;
use std::process::{Child, Stdio};

use credchain_tests::faults::{FakeHttp, Reply};
use credchain_tests::servers::{OidcProvider, OpenBao, SecretService, fresh_secret};
use credchain_tests::{Project, Resolve};
use serde_json::json;

/// A project that has this table, with the provider as the issuer.
fn project(server: &OidcProvider, table: &str) -> Project {
    let project = Project::new();
    project.write(
        "credchain.toml",
        format!(
            "[chain]\ndefault = [\"env\"]\n[credentials.secret]\n[credentials.key]\n\
             [oauth2.crm]\nissuer = \"{}\"\n{table}",
            server.url()
        ),
    );
    project
}

fn run(project: &Project, server: &OidcProvider, args: &[&str]) -> Resolve {
    with_credentials(project.resolve(args), server)
}

fn with_credentials(run: Resolve, server: &OidcProvider) -> Resolve {
    let key = String::from_utf8(server.client_key()).expect("PEM is text");
    run.trusted()
        .env("SECRET", OidcProvider::client_secret())
        .env("KEY", key)
}

/// The API's answer to what a command prints.
fn call_api(project: &Project, server: &OidcProvider) {
    let script = format!(
        "resolve token crm --header | curl --silent --fail --header @- {}",
        server.api()
    );
    with_credentials(project.sh(&script), server)
        .run()
        .success()
        .stdout_contains("items");
}

#[test]
fn a_client_says_who_it_is_in_each_way_there_is() {
    let server = OidcProvider::start(3600);
    let secret = "client_secret = { credential = \"secret\" }\n";
    for table in [
        format!("client_id = \"svc-basic\"\n{secret}"),
        format!("client_id = \"svc-post\"\nauthentication = \"post\"\n{secret}"),
        "client_id = \"svc-jwt\"\nprivate_key = { credential = \"key\" }\nkey_id = \"c1\"\n".into(),
    ] {
        let project = project(&server, &format!("{table}scopes = [\"api:read\"]\n"));
        let shown = run(&project, &server, &["token", "crm", "--json"])
            .run()
            .success();
        assert_eq!(shown.json()["scopes"], json!(["api:read"]), "{table}");
        call_api(&project, &server);
    }
    let (tokens, calls) = server.log();
    assert_eq!((tokens.len(), calls), (3, vec![200, 200, 200]));
}

#[test]
fn a_key_that_is_none_is_told_without_a_request() {
    let server = OidcProvider::start(3600);
    let table = "client_id = \"svc-jwt\"\nprivate_key = { credential = \"secret\" }\n";
    run(&project(&server, table), &server, &["token", "crm"])
        .run()
        .code(6)
        .stderr_contains("no private key in PEM")
        .stderr_lacks(&OidcProvider::client_secret());
}

/// A login that runs, until its first line says what to do.
fn begun(login: &Resolve) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut command = login.command();
    let mut child = command.stdin(Stdio::null()).spawn().expect("it starts");
    let errors = BufReader::new(child.stderr.take().expect("it is piped"));
    (child, errors)
}

fn line(from: &mut impl std::io::BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).expect("it is text");
    line.trim_end().to_owned()
}

const PERSON: &str = "client_id = \"cli\"\nscopes = [\"openid\", \"offline_access\", \"api:read\"]\n\
                      parameters = { prompt = \"consent\" }\n";

/// A login on another device that runs, and the code to enter there.
fn begun_on_a_device(
    project: &Project,
    server: &OidcProvider,
) -> (Child, BufReader<std::process::ChildStderr>, String) {
    let (child, mut errors) = begun(&run(project, server, &["login", "crm"]));
    let told = line(&mut errors);
    assert!(
        told.starts_with(&format!("Open {}/device", server.url())),
        "{told}"
    );
    let code = told.split("the code ").nth(1).expect(&told);
    let code = code.split(' ').next().expect("a code").to_owned();
    (child, errors, code)
}

#[test]
fn a_person_logs_in_with_a_code_on_another_device() {
    let server = OidcProvider::start(3600);
    let project = project(&server, &format!("grant = \"device_code\"\n{PERSON}"));
    let (mut child, mut errors, code) = begun_on_a_device(&project, &server);
    server.enter_code(&code, false);
    assert!(child.wait().expect("it ends").success());
    assert!(line(&mut errors).contains("logged in for `crm`"));
    call_api(&project, &server);
}

#[test]
fn a_person_who_refuses_is_denied() {
    let server = OidcProvider::start(3600);
    let project = project(&server, &format!("grant = \"device_code\"\n{PERSON}"));
    let (mut child, _errors, code) = begun_on_a_device(&project, &server);
    server.enter_code(&code, true);
    assert_eq!(child.wait().expect("it ends").code(), Some(4));
    run(&project, &server, &["token", "crm"])
        .run()
        .code(4)
        .stderr_contains("resolve login crm");
}

#[test]
fn a_person_logs_in_with_a_browser_and_stays_logged_in_until_the_logout() {
    // Tokens of three seconds, of which the last quarter is not used: each call below needs
    // another one, with another refresh token.
    let server = OidcProvider::start(3);
    let project = project(
        &server,
        &format!("grant = \"authorization_code\"\n{PERSON}"),
    );
    let (mut child, mut errors) = begun(&run(&project, &server, &["login", "crm"]));
    assert!(line(&mut errors).starts_with("Log in here"));
    let page = server.log_in(&line(&mut errors));
    assert!(
        page.contains("window can be closed") || page.contains("logged in"),
        "{page}"
    );
    assert!(child.wait().expect("it ends").success());
    for _ in 0..3 {
        std::thread::sleep(std::time::Duration::from_millis(2300));
        call_api(&project, &server);
    }
    let (tokens, _) = server.log();
    let grants: Vec<_> = tokens.iter().map(|token| &*token.grant).collect();
    assert_eq!(
        grants,
        [
            "authorization_code",
            "refresh_token",
            "refresh_token",
            "refresh_token"
        ]
    );
    run(&project, &server, &["logout", "crm"])
        .run()
        .success()
        .stderr_contains("revoked");
    run(&project, &server, &["token", "crm"]).run().code(4);
}

#[test]
fn the_keyring_keeps_a_token_for_all_programs_of_the_user() {
    let server = OidcProvider::start(3600);
    let keyring = SecretService::start();
    let project = project(
        &server,
        "client_id = \"svc-basic\"\nclient_secret = { credential = \"secret\" }\n\
         store = { provider = \"keyring\" }\n[providers.keyring]\n",
    );
    let token = || {
        let run = run(&project, &server, &["token", "crm"]);
        let run = keyring
            .variables()
            .into_iter()
            .fold(run, |run, (name, value)| run.plain_env(name, value));
        run.run().success().stdout()
    };
    let first = token();
    assert_eq!(token(), first);
    assert_eq!(server.log().0.len(), 1);
    let kept = project.state_home().join("credchain/oauth2");
    let files = std::fs::read_dir(kept).expect("the locks are there");
    for file in files {
        let name = file.expect("it can be listed").file_name();
        assert!(
            name.to_string_lossy().ends_with(".lock"),
            "{}",
            name.display()
        );
    }
}

#[test]
fn machines_share_one_token_by_a_vault() {
    let (bao, key, secret) = (OpenBao::dev(), fresh_secret("key"), fresh_secret("client"));
    let server = FakeHttp::start(|_| {
        let token = json!({"access_token": "access-1", "token_type": "Bearer", "expires_in": 3600});
        Reply::json(200, &token)
    });
    let machine = || {
        let project = Project::new();
        project.write(
            "credchain.toml",
            format!(
                "[chain]\ndefault = [\"env\"]\n[credentials.secret]\n[credentials.key]\n\
                 [providers.vault]\naddress = \"{}\"\n[oauth2.crm]\ntoken_url = \"{}/token\"\n\
                 client_id = \"etl\"\nclient_secret = {{ credential = \"secret\" }}\n\
                 store = {{ provider = \"vault\", key = {{ credential = \"key\" }} }}\n",
                bao.url(),
                server.url()
            ),
        );
        project
    };
    let root = bao.root_token();
    let token = |machine: &Project| {
        let run = machine.resolve(["token", "crm"]).trusted();
        run.env("SECRET", &secret)
            .env("KEY", &key)
            .env("VAULT_TOKEN", root)
            .run()
            .success()
            .stdout_is("access-1");
    };
    let machines = [machine(), machine()];
    std::thread::scope(|threads| {
        for machine in machines.iter().chain(&machines) {
            threads.spawn(|| token(machine));
        }
    });
    assert_eq!(server.count(), 1);
    // Nothing of it is on the machines.
    for machine in &machines {
        assert!(!machine.state_home().join("credchain/oauth2").exists());
    }
}
