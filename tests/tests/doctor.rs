//! `resolve doctor`: the security checklist, with evidence and the way out.

#![cfg(unix)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use credchain_tests::servers::{OpenBao, fresh_secret};
use credchain_tests::{Output, Project};
use serde_json::Value;

const CHECKS: [&str; 16] = [
    "secrets-in-source",
    "ignored-files",
    "tracked-files",
    "dotenv-mode",
    "private-modes",
    "token-files",
    "literals",
    "secrets-in-logs",
    "ci-literals",
    "oauth2-refresh",
    "short-values",
    "rotation-due",
    "tls",
    "leases",
    "world-writable-config",
    "configuration",
];

const CLEAN_CONFIG: &str = "[chain]\ndefault = [\"env\"]\n[credentials.api_key]\n";

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it is there").mode() & 0o777
}

/// A project in a repository of git's.
fn repository() -> Project {
    let project = Project::new();
    git(&project, &["init", "-q"]);
    project
}

fn git(project: &Project, arguments: &[&str]) {
    let identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
    let arguments = identity.iter().chain(arguments);
    let _ = project.command("git").args(arguments).run().success();
}

fn write_private(project: &Project, path: &str, content: &str) {
    chmod(&project.write(path, content), 0o600);
}

/// What `--json` says of one check.
#[track_caller]
fn row(output: &Output, check: &str) -> Value {
    let document = output.json();
    let rows = document["checks"].as_array().expect("rows").clone();
    let mut rows = rows.into_iter();
    let found = rows.find(|row| row["check"] == check);
    found.unwrap_or_else(|| panic!("no row {check}: {document}"))
}

#[track_caller]
fn status(output: &Output, check: &str) -> String {
    row(output, check)["status"]
        .as_str()
        .expect("a status")
        .to_owned()
}

#[track_caller]
fn evidence(output: &Output, check: &str) -> String {
    row(output, check)["evidence"].to_string()
}

fn base64(text: &str) -> String {
    use std::fmt::Write as _;
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in text.as_bytes().chunks(3) {
        let byte = |at: usize| usize::from(three.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..=three.len() {
            let digit = ALPHABET[bits >> (18 - 6 * at) & 63];
            write!(out, "{}", char::from(digit)).expect("a string takes it");
        }
        out.push_str(&"=".repeat(3 - three.len()));
    }
    out
}

/// Everything that a project should not have; none of it is committed in the clear anywhere here.
struct Bad {
    project: Project,
    secret: String,
}

impl Bad {
    fn new() -> Self {
        let project = repository();
        let secret = fresh_secret("doctor");
        chmod(&project.dir(), 0o755);
        project.write(".env", format!("API_KEY={secret}\n"));
        project.write("deploy/.env.staging", format!("API_KEY={secret}\n"));
        chmod(&project.dir().join(".env"), 0o644);
        chmod(&project.dir().join("deploy/.env.staging"), 0o640);
        project.write("tls/server.key", "-----BEGIN PRIVATE KEY-----\nAA==\n");
        git(&project, &["add", ".env"]);
        project.write(
            "credchain.toml",
            format!(
                "[chain]\ndefault = [\"env\"]\n[credentials.api_key]\n[credentials.pin]\nrotate = \"90d\"\n[credentials.session]\n\
                 [credentials.written]\ndefault = \"{secret}\"\n\
                 [providers.far]\ntype = \"vault\"\naddress = \"http://vault.example.com\"\n\
                 allow_http = true\nskip_verify = true\n"
            ),
        );
        project.write(
            ".github/workflows/ci.yml",
            format!("on: push\nenv:\n  DEPLOY_TOKEN: {secret}\n  GOOD: ${{{{ secrets.GOOD }}}}\n"),
        );
        project.write(
            ".gitlab-ci.yml",
            format!("variables:\n  DB_PASSWORD:\n    value: \"{secret}\"\n"),
        );
        project.write(
            "docker-compose.yml",
            format!("services:\n  db:\n    environment:\n      - DB_PASSWORD={secret}\n"),
        );
        project.write(
            "Dockerfile",
            format!("FROM scratch\nENV API_TOKEN={secret}\n"),
        );
        project.write("src/app.py", format!("key = '{secret}'\n"));
        project.write("src/auth.txt", format!("\n{}\n", base64(&secret)));
        project.write(".git/info/exclude", "*.log\n");
        project.write("app.log", format!("POST /login\nsent {secret}\n"));
        Self { project, secret }.with_home()
    }

    fn with_home(self) -> Self {
        let (home, secret) = (self.project.home(), &self.secret);
        for (path, content) in [
            (".vault-token", secret.clone()),
            (".netrc", format!("machine a login b password {secret}\n")),
            (".npmrc", format!("//r.example.com/:_authToken={secret}\n")),
        ] {
            fs::write(home.join(path), content).expect("home is writable");
            chmod(&home.join(path), 0o644);
        }
        let config = self.project.config_home().join("credchain");
        fs::create_dir_all(&config).expect("it is writable");
        fs::write(config.join("identity"), "AGE-SECRET-KEY\n").expect("it is writable");
        let state = self.project.state_home().join("credchain/tokens");
        fs::create_dir_all(&state).expect("it is writable");
        fs::write(state.join("crm"), secret).expect("it is writable");
        for loose in [&config, &state, state.parent().expect("a folder")] {
            chmod(loose, 0o755);
        }
        for loose in [config.join("identity"), state.join("crm")] {
            chmod(&loose, 0o644);
        }
        self
    }

    fn doctor(&self, arguments: &[&str]) -> Output {
        let run = self.project.resolve(["doctor"]).args(arguments);
        let run = run.plain_env("PIN", "77").env("API_KEY", &self.secret);
        // Of an hour after 1970.
        let session = format!("e30.{}.c2ln", base64(r#"{"exp":3600}"#).replace('=', ""));
        let run = run.env("SESSION", session);
        let output = run.run().stdout_lacks(&self.secret);
        output.stdout_lacks(&base64(&self.secret))
    }
}

#[test]
fn a_bad_project_has_a_finding_in_every_row_and_never_a_value() {
    let bad = Bad::new();
    let output = bad.doctor(&["--json"]).code(8);
    for check in CHECKS.iter().filter(|check| {
        !matches!(
            **check,
            "leases" | "world-writable-config" | "configuration"
        )
    }) {
        assert_eq!(
            status(&output, check),
            "finding",
            "{check}: {}",
            row(&output, check)
        );
    }
    for (check, words) in [
        (
            "secrets-in-source",
            "`src/app.py`:1:8: the value of `api_key`",
        ),
        (
            "secrets-in-source",
            "`src/auth.txt`:2:1: the value of `api_key`",
        ),
        ("secrets-in-logs", "`app.log`:2:6: the value of `api_key`"),
        ("ignored-files", "`*.pem` is not ignored"),
        ("ignored-files", "`deploy/.env.staging`"),
        ("ignored-files", "`tls/server.key`"),
        ("tracked-files", "`.env` is tracked"),
        ("dotenv-mode", "`.env` is a file that everybody can read"),
        (
            "dotenv-mode",
            "`deploy/.env.staging` is a file that its group can read",
        ),
        ("private-modes", "credchain/identity"),
        ("private-modes", "credchain/tokens/crm"),
        ("private-modes", "credchain/tokens` is a directory"),
        (
            "token-files",
            "`~/.vault-token` is a file that everybody can read",
        ),
        ("token-files", "`~/.netrc`"),
        ("token-files", "`~/.npmrc`"),
        ("literals", "`written` has a literal `default`"),
        ("literals", "`docker-compose.yml`:4: `DB_PASSWORD`"),
        ("literals", "`Dockerfile`:2: `API_TOKEN`"),
        (
            "ci-literals",
            "`.github/workflows/ci.yml`:3: `DEPLOY_TOKEN`",
        ),
        ("ci-literals", "`.gitlab-ci.yml`:3: `DB_PASSWORD`"),
        (
            "oauth2-refresh",
            "`session` is an access token that has ended",
        ),
        ("short-values", "`pin` is not masked"),
        ("rotation-due", "nobody knows how old `pin` is"),
        ("tls", "`skip_verify` of `[providers.far]`"),
        ("tls", "`address` of `[providers.far]` is plain HTTP"),
    ] {
        let found = evidence(&output, check);
        assert!(found.contains(words), "{check}: no {words} in {found}");
    }
    assert!(!evidence(&output, "ci-literals").contains("GOOD"));
    assert!(!evidence(&output, "secrets-in-source").contains("app.log"));
    let text = bad.doctor(&[]).code(8);
    let text = text.stdout_contains("fix: chmod 600 .env");
    let text = text.stdout_contains("fix: git rm --cached .env");
    let _ = text.stdout_contains("hint: `resolve doctor --fix`");
}

#[test]
fn fix_mends_what_is_safe_and_the_second_run_is_clean_of_it() {
    let bad = Bad::new();
    let dir = bad.project.dir();
    let first = bad.doctor(&["--fix", "--json"]).code(8);
    let mended = [
        "ignored-files",
        "dotenv-mode",
        "private-modes",
        "token-files",
    ];
    for check in mended {
        let row = row(&first, check);
        assert_eq!(row["status"], "ok", "{row}");
        assert!(
            !row["fixed"].as_array().expect("a list").is_empty(),
            "{row}"
        );
    }
    let second = bad.doctor(&["--json"]).code(8);
    for check in mended {
        assert_eq!(status(&second, check), "ok", "{}", row(&second, check));
        assert_eq!(row(&second, check)["fixed"], serde_json::json!([]));
    }
    // What a file says, what git tracks, and values are somebody's decision.
    for check in [
        "secrets-in-source",
        "secrets-in-logs",
        "tracked-files",
        "literals",
        "ci-literals",
        "short-values",
        "rotation-due",
        "tls",
    ] {
        assert_eq!(status(&second, check), "finding", "{check}");
    }
    assert_eq!(mode(&dir.join(".env")), 0o600);
    assert_eq!(mode(&dir.join("deploy/.env.staging")), 0o600);
    assert_eq!(mode(&bad.project.home().join(".netrc")), 0o600);
    assert_eq!(
        mode(&bad.project.state_home().join("credchain/tokens")),
        0o700
    );
    assert_eq!(
        mode(&bad.project.config_home().join("credchain/identity")),
        0o600
    );
    let ignored = String::from_utf8(bad.project.read(".gitignore")).unwrap();
    assert!(
        ignored.contains("\n*.pem\n") && ignored.contains("\n.env.staging\n"),
        "{ignored}"
    );
}

#[test]
fn a_project_that_was_set_up_is_clean() {
    let project = repository();
    project.write(".gitignore", "target\n");
    project.resolve(["init"]).run().success();
    let value = fresh_secret("key");
    let stored = project.resolve(["set", "api_key"]).stdin(&value);
    let _ = stored.secret(&value).run().success();
    write_private(&project, ".env", "LEVEL=debug\n");
    let output = project.resolve(["doctor", "--json"]).run().success();
    for check in CHECKS {
        let wanted = match check {
            "ci-literals" | "leases" => "skipped",
            _ => "ok",
        };
        assert_eq!(status(&output, check), wanted, "{}", row(&output, check));
    }
    let text = project.resolve(["doctor"]).run().success();
    let _ = text
        .stdout_contains("nothing was found")
        .stdout_lacks("fix:");
}

#[test]
fn the_document_has_its_shape() {
    let project = repository();
    let output = project.resolve(["doctor", "--json"]).run().code(8);
    let document = output.json();
    assert_eq!(document["version"], 1);
    let rows = document["checks"].as_array().expect("rows");
    let names: Vec<&str> = rows
        .iter()
        .filter_map(|row| row["check"].as_str())
        .collect();
    assert_eq!(names, CHECKS);
    for row in rows {
        let keys: Vec<&String> = row.as_object().expect("a row").keys().collect();
        assert_eq!(
            keys,
            ["check", "evidence", "fix", "fixed", "status"],
            "{row}"
        );
        assert!(
            row["evidence"].is_array() && row["fixed"].is_array(),
            "{row}"
        );
        assert_eq!(row["fix"].is_string(), row["status"] == "finding", "{row}");
    }
    output.stderr_is_empty();
}

#[test]
fn without_repository_and_configuration_the_rest_is_looked_at() {
    let project = Project::new();
    chmod(&project.write(".env", "LEVEL=debug\n"), 0o644);
    fs::remove_dir(project.dir().join(".git")).expect("it is empty");
    let output = project.resolve(["doctor", "--json"]).run().code(8);
    for (check, wanted) in [
        ("ignored-files", "skipped"),
        ("tracked-files", "skipped"),
        ("dotenv-mode", "finding"),
        ("short-values", "skipped"),
        ("configuration", "skipped"),
    ] {
        assert_eq!(status(&output, check), wanted, "{}", row(&output, check));
    }
    chmod(&project.dir().join(".env"), 0o600);
    let _ = project.resolve(["doctor"]).run().success();
}

#[test]
fn git_is_asked_and_not_the_text_of_the_file() {
    let project = repository();
    // Ignored by a file that git alone knows, and taken back by a later line.
    let usual = ".env*\n*.pem\n*.key\ncredentials.json\n";
    project.write(".git/info/exclude", usual);
    let output = project.resolve(["doctor", "--json"]).run().success();
    assert_eq!(status(&output, "ignored-files"), "ok");
    project.write(".gitignore", ".env\n!.env\n");
    let output = project.resolve(["doctor", "--json", "--fix"]).run().code(8);
    let row = row(&output, "ignored-files");
    assert_eq!(
        row["evidence"],
        serde_json::json!(["`.env` is not ignored by git"])
    );
    // Somebody took it back on purpose: another line would only hide that.
    assert_eq!(project.read(".gitignore"), b".env\n!.env\n");
}

#[test]
fn templates_certificates_and_other_repositories_are_left_alone() {
    let project = repository();
    let usual =
        ".env\n.env.local\n.env.production\n/x.pem\n*.key\n*.pem\n!ca.pem\ncredentials.json\n";
    project.write(".gitignore", usual);
    project.write(".env.example", "API_KEY=\n");
    project.write(
        "ca.pem",
        "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
    );
    chmod(&project.write("other/.env", "A=1\n"), 0o644);
    project.write("other/.git/HEAD", "ref: refs/heads/main\n");
    git(&project, &["add", ".env.example", "ca.pem"]);
    let output = project.resolve(["doctor", "--json"]).run().success();
    for check in ["ignored-files", "tracked-files", "dotenv-mode"] {
        assert_eq!(status(&output, check), "ok", "{}", row(&output, check));
    }
}

#[test]
fn a_link_is_told_and_never_closed_through() {
    let project = repository();
    let elsewhere = project.tmp().join("shared");
    fs::write(&elsewhere, "A=1\n").expect("it is writable");
    chmod(&elsewhere, 0o644);
    symlink(&elsewhere, project.dir().join(".env")).expect("links can be made");
    symlink("/nowhere", project.dir().join(".env.local")).expect("links can be made");
    let output = project.resolve(["doctor", "--fix", "--json"]).run().code(8);
    let row = row(&output, "dotenv-mode");
    assert_eq!(row["status"], "finding");
    assert!(
        row["evidence"]
            .to_string()
            .contains("`.env` is a link to a file"),
        "{row}"
    );
    assert_eq!(mode(&elsewhere), 0o644);
}

#[test]
fn odd_names_are_shown_harmless_and_quoted_and_mended() {
    let project = repository();
    let odd = ".env.it's $(reboot)\u{1b}[2J";
    for name in [odd, ".env.a\nb", ".env.-rf"] {
        chmod(&project.write(name, "A=1\n"), 0o644);
    }
    let output = project.resolve(["doctor"]).run().code(8);
    let text = output.stdout();
    assert!(!text.contains('\u{1b}'), "{text}");
    assert!(
        text.contains(r"chmod 600 '.env.it'\''s $(reboot)\u{1b}[2J'"),
        "{text}"
    );
    assert!(text.contains(r"`.env.a\nb`"), "{text}");
    let _ = project.resolve(["doctor", "--fix"]).run().code(8);
    assert_eq!(mode(&project.dir().join(odd)), 0o600);
    assert_eq!(mode(&project.dir().join(".env.a\nb")), 0o600);
    // No line of `.gitignore` can name a line break; every other name is ignored now.
    let output = project.resolve(["doctor", "--json"]).run().code(8);
    let left = row(&output, "ignored-files")["evidence"].clone();
    assert_eq!(left.as_array().map(Vec::len), Some(1), "{left}");
    assert!(
        left[0]
            .as_str()
            .is_some_and(|text| text.contains(r".env.a\nb")),
        "{left}"
    );
}

#[test]
fn a_configuration_that_everybody_can_change_or_that_is_wrong_is_a_finding() {
    let project = repository();
    chmod(&project.write("credchain.toml", CLEAN_CONFIG), 0o666);
    let output = project.resolve(["doctor", "--fix", "--json"]).run().code(8);
    let row_of_mode = row(&output, "world-writable-config");
    assert_eq!(row_of_mode["status"], "finding");
    assert!(
        row_of_mode["fix"]
            .to_string()
            .contains("chmod o-w credchain.toml")
    );
    assert_eq!(status(&output, "configuration"), "finding");
    // What others may have written there is to be read by the user first.
    assert_eq!(mode(&project.dir().join("credchain.toml")), 0o666);
    chmod(&project.dir().join("credchain.toml"), 0o644);
    chmod(&project.dir(), 0o777);
    let output = project.resolve(["doctor", "--json"]).run().code(8);
    assert!(evidence(&output, "world-writable-config").contains("`.` can be changed"));
    chmod(&project.dir(), 0o755);
    project.write("credchain.toml", "[credentails.api_key]\n");
    let output = project.resolve(["doctor", "--json"]).run().code(8);
    assert!(evidence(&output, "configuration").contains("credentails"));
    assert_eq!(status(&output, "world-writable-config"), "ok");
}

#[test]
fn a_folder_below_and_a_key_in_the_project_are_seen() {
    let project = repository();
    project.write(
        "credchain.toml",
        "[chain]\ndefault = [\"age\"]\n[providers.age]\nidentity = \"keys/me.txt\"\n",
    );
    chmod(&project.write("keys/me.txt", "AGE-SECRET-KEY\n"), 0o644);
    git(&project, &["add", "keys/me.txt"]);
    let doctor = |arguments: &[&str]| {
        let run = project.resolve(["doctor", "--json"]).args(arguments);
        run.in_dir("src").run().code(8)
    };
    let output = doctor(&["--fix"]);
    assert!(evidence(&output, "tracked-files").contains("keys/me.txt"));
    assert_eq!(status(&output, "private-modes"), "ok");
    assert_eq!(mode(&project.dir().join("keys/me.txt")), 0o600);
    let ignored = String::from_utf8(project.read(".gitignore")).unwrap();
    assert!(ignored.contains("/keys/me.txt\n"), "{ignored}");
    assert_eq!(status(&doctor(&[]), "ignored-files"), "ok");
}

/// A certificate in PEM that ends so many days from now.
#[expect(
    clippy::disallowed_methods,
    reason = "the command compares it with the time of day"
)]
fn certificate(days: u64) -> String {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(Vec::new()).expect("no names");
    let end = SystemTime::now() + Duration::from_hours(days * 24);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = match days {
        0 => rcgen::date_time_ymd(2020, 2, 1),
        _ => end.into(),
    };
    params.self_signed(&key).expect("a certificate").pem()
}

#[test]
fn an_authority_that_has_ended_or_soon_will_is_a_finding() {
    let project = repository();
    project.resolve(["init"]).run().success();
    let config = String::from_utf8(project.read("credchain.toml")).unwrap();
    let table = "[providers.far]\ntype = \"vault\"\naddress = \"https://v.example.com\"\n\
                 ca = \"ca.pem\"\n";
    project.write("credchain.toml", config + table);
    let tls = |pem: String| {
        project.write("ca.pem", pem);
        let output = project.resolve(["doctor", "--json"]).run();
        row(&output, "tls")
    };
    for (pem, words) in [
        (certificate(0), "has ended"),
        (certificate(10), "ends in 9d"),
    ] {
        let row = tls(pem);
        assert_eq!(row["status"], "finding", "{row}");
        assert!(row["evidence"][0].to_string().contains(words), "{row}");
    }
    // One of two is enough: while an authority changes, both are there.
    for pem in [certificate(400), certificate(0) + &certificate(400)] {
        let row = tls(pem);
        assert_eq!(row["status"], "ok", "{row}");
    }
}

#[test]
fn a_token_that_was_handed_in_and_is_about_to_end_is_a_finding_when_servers_are_asked() {
    let bao = OpenBao::dev();
    let project = Project::new();
    project.write(
        "credchain.toml",
        format!(
            "[chain]\ndefault = [\"vault\"]\n[credentials.pin]\n\
             [providers.vault]\naddress = \"{}\"\n",
            bao.url()
        ),
    );
    let doctor = |token: &str, arguments: &[&str]| {
        let run = project.resolve(["doctor", "--json"]).args(arguments);
        let run = run.trusted().env("VAULT_TOKEN", token);
        run.run()
    };
    let set = project.resolve(["set", "pin", "--to", "vault"]).stdin("77");
    let set = set.trusted().plain_env("VAULT_TOKEN", bao.root_token());
    let _ = set.run().success();
    let short = bao.token(&["root"], "1h", true);
    for (token, arguments, status_of_leases) in [
        (&*short, &[][..], "skipped"),
        (&*short, &["--online"], "finding"),
        (bao.root_token(), &["--online"], "ok"),
        ("wrong", &["--online"], "skipped"),
    ] {
        let output = doctor(token, arguments);
        let row = row(&output, "leases");
        assert_eq!(row["status"], status_of_leases, "{arguments:?} {row}");
    }
    // Values that servers keep are read on request, too.
    assert_eq!(status(&doctor(&short, &[]), "short-values"), "ok");
    assert_eq!(
        status(&doctor(&short, &["--online"]), "short-values"),
        "finding"
    );
}

#[test]
fn what_a_cloned_project_names_outside_of_itself_is_not_touched() {
    let project = repository();
    let victim = project.home().join("page.html");
    fs::write(&victim, "x").expect("home is writable");
    chmod(&victim, 0o644);
    let config = format!(
        "[chain]\ndefault = [\"age\"]\n[providers.age]\nidentity = \"{}\"\n",
        victim.display()
    );
    project.write("credchain.toml", config);
    let output = project.resolve(["doctor", "--fix", "--json"]).run();
    assert_eq!(status(&output, "private-modes"), "ok");
    assert_eq!(mode(&victim), 0o644);
    // Nor does a repository from an archive decide where its top is.
    git(&project, &["config", "core.worktree", "/"]);
    let output = project.resolve(["doctor", "--json"]).run();
    assert!(!evidence(&output, "dotenv-mode").contains("not everything"));
    assert_eq!(status(&output, "dotenv-mode"), "ok");
}

#[test]
fn what_is_too_old_or_of_unknown_age_is_found_with_what_to_do() {
    let project = repository();
    let config = "[chain]\ndefault = [\"env\"]\n[credentials.api_key]\nrotate = \"90d\"\n\
                  [credentials.session_key]\nchain = [\"age\"]\n\
                  [rotation.targets.session_key]\ntype = \"key\"\n";
    project.write("credchain.toml", config);
    let register = |name: &str, created: &str| {
        let args = ["rotation", "register", name, "--created", created];
        project.resolve(args).run().success();
    };
    let look = || project.resolve(["doctor", "--json"]).run().code(8);
    let found = look();
    let unknown = row(&found, "rotation-due").to_string();
    assert!(
        unknown.contains("nobody knows how old `api_key` is"),
        "{unknown}"
    );
    register("api_key", "2020-01-01");
    register("session_key", "2020-01-01");
    register("The deploy user's token", "2020-01-01");
    let old = row(&look(), "rotation-due").to_string();
    for part in [
        "resolve rotation register api_key",
        "resolve rotation run session_key",
        "should have been replaced",
        "The deploy user's token",
    ] {
        assert!(old.contains(part), "{part}: {old}");
    }
}
