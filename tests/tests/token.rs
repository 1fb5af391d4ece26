//! `[oauth2.NAME]`: a token like any credential, requested once, from a scripted server that gives
//! out what it is told to. The grants themselves are tested against a certified server.
#![cfg(unix)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use credchain_tests::faults::{FakeHttp, Reply, Request};
use credchain_tests::servers::fresh_secret;
use credchain_tests::{Project, Resolve};
use serde_json::json;

/// A server that issues a token for each request of the client `etl` with its secret, and logs
/// people in on another device after they were asked for once.
struct Server {
    http: FakeHttp,
    secret: String,
    issued: Arc<AtomicUsize>,
}

impl Server {
    fn start() -> Self {
        Self::with_life(3600)
    }

    fn with_life(seconds: u64) -> Self {
        let secret = fresh_secret("client");
        let issued = Arc::new(AtomicUsize::new(0));
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("etl:{secret}"));
        let count = issued.clone();
        let polled = AtomicUsize::new(0);
        let http = FakeHttp::start(move |request: &Request| {
            let form = String::from_utf8_lossy(&request.body).into_owned();
            match &*request.path {
                "/device" => {
                    return Reply::json(
                        200,
                        &json!({"device_code": "d", "user_code": "WDJB-MJHT", "interval": 1,
                                "expires_in": 60, "verification_uri": "https://as.example/activate"}),
                    );
                }
                "/revoke" => return Reply::json(200, "{}"),
                _ => {}
            }
            let by_device = form.contains("device_code");
            if by_device && polled.fetch_add(1, Ordering::SeqCst) == 0 {
                return Reply::json(400, &json!({"error": "authorization_pending"}));
            }
            let known = request.header("authorization") == Some(&format!("Basic {basic}"));
            if !by_device && !known {
                return Reply::json(401, &json!({"error": "invalid_client"}));
            }
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            let mut token = json!({"access_token": token(number), "token_type": "Bearer",
                                   "expires_in": seconds});
            if by_device {
                token["refresh_token"] = json!(format!("{}-refresh", token_base()));
            }
            Reply::json(200, &token)
        });
        Self {
            http,
            secret,
            issued,
        }
    }

    fn issued(&self) -> usize {
        self.issued.load(Ordering::SeqCst)
    }

    fn project(&self, more: &str) -> Project {
        let project = Project::new();
        let url = self.http.url();
        project.write(
            "credchain.toml",
            format!(
                "[chain]\ndefault = [\"env\"]\n[credentials.crm_secret]\ninject = false\n\
                 [oauth2.crm]\ntoken_url = \"{url}/token\"\nclient_id = \"etl\"\n\
                 client_secret = {{ credential = \"crm_secret\" }}\n{more}"
            ),
        );
        project
    }

    fn run(&self, project: &Project, args: &[&str]) -> Resolve {
        let run = project.resolve(args).trusted();
        run.env("CRM_SECRET", &self.secret)
    }
}

fn token_base() -> String {
    // Put together here, so that no scanner takes it for one.
    ["issued", "by", "a", "test"].join("-")
}

fn token(number: usize) -> String {
    format!("{}-{number}", token_base())
}

#[test]
fn every_program_has_the_same_token_from_one_request() {
    let server = Server::start();
    let project = server.project("inject = true\n");
    for _ in 0..2 {
        server
            .run(&project, &["token", "crm"])
            .run()
            .success()
            .stdout_is(token(1));
        server
            .run(&project, &["get", "crm"])
            .run()
            .success()
            .stdout_is(token(1));
    }
    server
        .run(&project, &["token", "crm", "--header"])
        .run()
        .stdout_is(format!("Authorization: Bearer {}\n", token(1)));
    let json = server
        .run(&project, &["token", "crm", "--json"])
        .run()
        .success()
        .json();
    assert_eq!(
        (&json["token"], &json["version"]),
        (&json!(token(1)), &json!(1))
    );
    assert!(json["expires_in"].as_u64().unwrap() > 3500, "{json}");
    server
        .run(
            &project,
            &[
                "exec",
                "--",
                "sh",
                "-c",
                "echo ${#CRM_TOKEN} $CRM_TOKEN $CRM_SECRET",
            ],
        )
        .run()
        .success()
        .stdout_is(format!("{} *** ***\n", token(1).len()));
    assert_eq!(server.issued(), 1);
}

#[test]
fn the_store_holds_neither_the_clients_secret_nor_a_token_in_clear() {
    let server = Server::start();
    let project = server.project("");
    server.run(&project, &["token", "crm"]).run().success();
    let mut files = 0;
    for entry in walk(&project.state_home()) {
        let bytes = std::fs::read(&entry).unwrap();
        let holds = |text: &str| {
            bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        };
        assert!(
            !holds(&server.secret) && !holds(&token(1)),
            "{}",
            entry.display()
        );
        files += 1;
    }
    assert!(files >= 2, "a key and a record");
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder)
        .expect("it is there")
        .map(|entry| entry.expect("it can be read").path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn a_token_that_is_about_to_end_is_replaced() {
    // A quarter of its life before its end, if that is less than a minute.
    let server = Server::with_life(1);
    let project = server.project("");
    server
        .run(&project, &["token", "crm"])
        .run()
        .stdout_is(token(1));
    std::thread::sleep(std::time::Duration::from_millis(1100));
    server
        .run(&project, &["token", "crm"])
        .run()
        .stdout_is(token(2));
}

#[test]
fn programs_that_start_together_make_one_request() {
    let server = Server::start();
    let project = server.project("");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                server
                    .run(&project, &["token", "crm"])
                    .run()
                    .success()
                    .stdout_is(token(1))
            });
        }
    });
    assert_eq!(server.issued(), 1);
}

#[test]
fn check_tells_of_tokens_without_requesting_any() {
    let server = Server::start();
    let project = server.project("");
    server
        .run(&project, &["check"])
        .run()
        .success()
        .stdout_contains("no token yet");
    assert_eq!(server.issued(), 0);
    server.run(&project, &["check", "--online"]).run().success();
    assert_eq!(server.issued(), 1);
    server
        .run(&project, &["check"])
        .run()
        .success()
        .stdout_contains("a token for another 59m");
}

#[test]
fn what_goes_wrong_is_told_with_its_kind_and_the_next_step() {
    let server = Server::start();
    let project = server.project("");
    let wrong = project.resolve(["token", "crm"]).trusted();
    wrong
        .env("CRM_SECRET", fresh_secret("wrong"))
        .run()
        .code(4)
        .stderr_contains("`crm`")
        .stderr_contains("client's secret");
    project
        .resolve(["token", "crm"])
        .trusted()
        .run()
        .code(4)
        .stderr_contains("crm_secret");
    server
        .run(&project, &["token", "cmr"])
        .run()
        .code(6)
        .stderr_contains("did you mean `crm`?");
    project
        .resolve(["token", "crm"])
        .env("CRM_SECRET", &server.secret)
        .run()
        .code(7)
        .stderr_contains("resolve trust");
    let gone = Project::new();
    gone.write(
        "credchain.toml",
        "[chain]\ndefault = [\"env\"]\n[credentials.crm_secret]\n[oauth2.crm]\n\
         token_url = \"http://127.0.0.1:1/token\"\nclient_id = \"etl\"\n\
         client_secret = { credential = \"crm_secret\" }\n",
    );
    server.run(&gone, &["token", "crm"]).run().code(5);
}

#[test]
fn a_person_logs_in_once_and_programs_have_tokens_until_the_logout() {
    let server = Server::start();
    let url = server.http.url();
    let project = server.project(&format!(
        "[oauth2.me]\ngrant = \"device_code\"\nclient_id = \"cli\"\ntoken_url = \"{url}/token\"\n\
         device_url = \"{url}/device\"\nrevocation_url = \"{url}/revoke\"\n"
    ));
    server
        .run(&project, &["token", "me"])
        .run()
        .code(4)
        .stderr_contains("resolve login me");
    server
        .run(&project, &["check"])
        .run()
        .code(4)
        .stdout_contains("resolve login me");
    server
        .run(&project, &["login", "me"])
        .run()
        .success()
        .stderr_contains("https://as.example/activate")
        .stderr_contains("WDJB-MJHT")
        .stderr_contains("logged in for `me`");
    server
        .run(&project, &["token", "me"])
        .run()
        .success()
        .stdout_is(token(1));
    server
        .run(&project, &["logout", "me"])
        .run()
        .success()
        .stderr_contains("revoked");
    assert!(
        server
            .http
            .requests()
            .iter()
            .any(|request| request.path == "/revoke")
    );
    server.run(&project, &["token", "me"]).run().code(4);
    server.run(&project, &["logout", "me"]).run().code(3);
    server
        .run(&project, &["login", "crm"])
        .run()
        .code(1)
        .stderr_contains("device_code");
}

#[test]
fn on_a_full_disk_a_token_is_good_for_this_program() {
    let server = Server::start();
    let project = server.project("");
    let run = |script: &str| {
        let run = project.sh(script).trusted();
        run.env("CRM_SECRET", &server.secret)
    };
    // Writing fails as it does on a full disk; pipes are not concerned.
    let full = "trap '' XFSZ; ulimit -f 0; resolve token crm";
    run(full)
        .run()
        .success()
        .stdout_is(token(1))
        .stderr_contains("cannot be kept");
    run("resolve token crm").run().success().stdout_is(token(2));
    // What was kept before is still there.
    run(full).run().success().stdout_is(token(2));
    assert_eq!(server.issued(), 2);
}

#[test]
fn a_token_that_a_script_left_behind_is_taken_over_once() {
    let server = Server::start();
    let project = server.project("");
    let in_an_hour = std::process::Command::new("date")
        .args(["+%s", "-d", "1 hour"])
        .output();
    let in_an_hour =
        String::from_utf8(in_an_hour.expect("there is `date`").stdout).expect("digits");
    let left = ["left", "behind"].join("-");
    let file = json!({"access_token": left, "expires_at": in_an_hour.trim().parse::<u64>().expect("seconds")});
    project.write(".oauth_token.json", file.to_string());
    let first = server.run(&project, &["token", "crm"]).run().success();
    first.stdout_is(&left).stderr_contains("delete it");
    let again = server.run(&project, &["token", "crm"]).run().success();
    again.stdout_is(&left).stderr_is_empty();
    assert_eq!(server.issued(), 0);
    assert_eq!(
        project.read(".oauth_token.json"),
        file.to_string().as_bytes()
    );
    // What has ended, or is no token, is no hindrance.
    for content in ["{\"access_token\": \"x\", \"expires_at\": 1}", "{", ""] {
        let project = server.project("");
        project.write(".oauth_token.json", content);
        let run = server.run(&project, &["token", "crm"]).run().success();
        run.stderr_is_empty().stdout_contains(&token_base());
    }
}
