//! `resolve scan`: finds what should not be there, says where, and never what.

#![cfg(unix)]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Stdio};

use credchain_tests::servers::fresh_secret;
use credchain_tests::{Output, Project, Resolve, resolve_binary};
use serde_json::Value;

const CONFIG: &str = "[chain]\ndefault = [\"env\"]\n[credentials.api_key]\n[credentials.host]\n\
                      secret = false\n";

/// A token of a provider, made of pieces so that this file has none.
fn token() -> String {
    format!("dop_v1_{}", &fresh_hex()[..64])
}

fn fresh_hex() -> String {
    let secret = fresh_secret("x") + &fresh_secret("x");
    secret.replace("x-", "")
}

/// A password as somebody would choose it: no format, found by the name beside it.
fn password() -> String {
    let secret = fresh_secret("k");
    format!("Tr{}x9", &secret[2..16])
}

/// A project in a repository of git's, with one credential.
struct Site {
    project: Project,
    value: String,
}

impl Site {
    fn new() -> Self {
        let site = Self {
            project: Project::new(),
            value: fresh_secret("value"),
        };
        site.git(&["init", "-q", "-b", "main"]);
        site.project.write("credchain.toml", CONFIG);
        site
    }

    fn scan(&self, args: &[&str]) -> Resolve {
        self.project
            .resolve(["scan"])
            .args(args)
            .plain_env("API_KEY", &self.value)
            .plain_env("HOST", "db.example.com")
            .secret(&self.value)
    }

    /// The findings as `rule path line`.
    fn found(&self, args: &[&str]) -> Vec<String> {
        let output = self.scan(args).arg("--json").run();
        let document = output.json();
        assert_eq!(document["version"], 1);
        rows(&document)
    }

    fn git(&self, arguments: &[&str]) -> Output {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
        let dates = [
            ("GIT_AUTHOR_DATE", "2024-03-05T06:07:08Z"),
            ("GIT_COMMITTER_DATE", "2024-03-05T06:07:08Z"),
        ];
        let mut git = self.project.command("git");
        for (name, date) in dates {
            git = git.plain_env(name, date);
        }
        git.args(identity).args(arguments).run()
    }

    fn commit(&self, path: &str, content: &str) {
        self.project.write(path, content);
        let _ = self.git(&["add", "-f", path]).success();
        let _ = self.git(&["commit", "-qm", path]).success();
    }
}

fn rows(document: &Value) -> Vec<String> {
    let findings = document["findings"].as_array().expect("it is a list");
    let text = |value: &Value| value.as_str().expect("it is text").to_owned();
    let row = |finding: &Value| {
        let place = format!("{} {}", text(&finding["path"]), finding["line"]);
        format!("{} {place}", text(&finding["rule"]))
    };
    findings.iter().map(row).collect()
}

fn base64(text: &str) -> String {
    piped(Command::new("base64").arg("-w0"), text)
}

fn piped(command: &mut Command, text: &str) -> String {
    use std::io::Write as _;
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(text.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    String::from_utf8(output.stdout).expect("it is text")
}

#[test]
fn a_known_value_is_found_in_a_file_in_every_form_with_the_next_step() {
    let site = Site::new();
    let encoded = base64(&format!("user:{}", site.value));
    let content = format!(
        "# ü\nurl = {} host db.example.com\n\n  blob: {encoded}\n",
        site.value
    );
    site.project.write("deploy/app.conf", &content);
    site.scan(&[])
        .run()
        .code(8)
        .stdout_contains("deploy/app.conf:2:7  known-value (api_key)")
        .stdout_contains("    url = *** host db.example.com\n")
        .stdout_contains("deploy/app.conf:4:")
        .stdout_contains("rotate `api_key`: it must be seen as known to everybody")
        .stdout_contains("credchain:allow")
        .stdout_lacks(&site.value)
        .stdout_lacks(&encoded);
    assert_eq!(
        site.found(&["deploy"]),
        [
            "known-value deploy/app.conf 2",
            "known-value deploy/app.conf 4"
        ]
    );
    assert!(site.found(&["--patterns-only"]).is_empty());
}

#[test]
fn what_looks_like_a_credential_is_found_without_a_project() {
    let (token, password) = (token(), password());
    let project = Project::new();
    project.write("a.py", format!("x = 1\nTOKEN = '{token}'\n"));
    project.write(".env", format!("DB_PASSWORD={password}\n"));
    let output = project.resolve(["scan", "--json"]).run().code(8);
    let document = output.json();
    assert_eq!(
        rows(&document),
        ["generic-password-bare .env 1", "digitalocean-token a.py 2"]
    );
    let text = output.stdout();
    assert!(
        !text.contains(&token) && !text.contains(&password),
        "{text}"
    );
    project.write("a.py", "x = 1\n");
    project.write(".gitignore", ".env\n");
    project
        .resolve(["scan"])
        .run()
        .success()
        .stdout_contains("nothing was found; 2 files");
}

#[test]
fn what_git_ignores_is_where_secrets_belong_unless_it_is_named_or_tracked() {
    let site = Site::new();
    site.project.write(".gitignore", ".env*\n");
    let line = format!("API_KEY={}\n", site.value);
    site.project.write(".env", &line);
    site.commit(".env.production", &line);
    assert_eq!(site.found(&[]), ["known-value .env.production 1"]);
    assert_eq!(site.found(&[".env"]), ["known-value .env 1"]);
}

#[test]
fn what_is_staged_is_scanned_and_what_is_not_is_not() {
    let site = Site::new();
    site.project.write("a.txt", format!("{}\n", site.value));
    let _ = site.git(&["add", "a.txt"]).success();
    // The index counts, not the file.
    site.project.write("a.txt", "nothing\n");
    site.project.write("b.txt", format!("{}\n", site.value));
    assert_eq!(site.found(&["--staged"]), ["known-value a.txt 1"]);
    let _ = site.git(&["commit", "-qm", "a"]).success();
    site.scan(&["--staged"]).run().success();
}

#[test]
fn an_old_commit_is_found_with_its_date_and_removing_it_is_not_enough() {
    let site = Site::new();
    site.commit("a.txt", "one\n");
    site.commit("dir/b.txt", &format!("x\nk={}\n", site.value));
    let id = site.git(&["rev-parse", "--short=12", "HEAD"]).stdout();
    site.commit("dir/b.txt", &format!("x\ny\nk={}\n", site.value));
    site.commit("dir/b.txt", "clean\n");
    assert!(site.found(&[]).is_empty());
    let output = site.scan(&["--history"]).run().code(8);
    output
        .stdout_contains("dir/b.txt:2:3  known-value (api_key)")
        .stdout_contains(&format!("since {} of 2024-03-05T06:07:08", id.trim()))
        .stdout_contains("removing the commit is not enough")
        .stdout_contains("1 finding;");
}

#[test]
fn history_is_that_of_every_branch_and_of_merges() {
    let site = Site::new();
    site.commit("a.txt", "one\n");
    let _ = site.git(&["checkout", "-qb", "side"]).success();
    site.commit("side.txt", &format!("{}\n", site.value));
    let _ = site.git(&["checkout", "-q", "main"]).success();
    site.commit("main.txt", "two\n");
    let _ = site.git(&["merge", "-q", "--no-commit", "side"]).success();
    let token = token();
    site.project.write("main.txt", format!("t = {token}\n"));
    let _ = site.git(&["add", "main.txt"]).success();
    let _ = site.git(&["commit", "-qm", "merged"]).success();
    let output = site.scan(&["--history", "--json"]).run().code(8);
    let document = output.json();
    assert_eq!(
        rows(&document),
        ["digitalocean-token main.txt 1", "known-value side.txt 1"]
    );
    for finding in document["findings"].as_array().expect("it is a list") {
        assert!(finding["commit"]["id"].is_string(), "{finding}");
    }
}

#[test]
fn a_notebooks_sources_and_outputs_are_scanned_as_a_person_sees_them() {
    let site = Site::new();
    let notebook = format!(
        "{{\n \"cells\": [\n  {{\"cell_type\": \"code\",\n   \"source\": [\n    \"import os\\n\",\n    \
         \"password = '{}'\\n\"\n   ],\n   \"outputs\": [{{\"text\": [\n    \"line\\n\",\n    \
         \"{}\\n\"\n   ]}}]}}\n ],\n \"metadata\": {{}}, \"nbformat\": 4\n}}\n",
        password(),
        site.value
    );
    site.project.write("n.ipynb", notebook);
    let output = site.scan(&["--json"]).run().code(8);
    let document = output.json();
    assert_eq!(
        rows(&document),
        ["generic-password n.ipynb 6", "known-value n.ipynb 10"]
    );
    let cell = |at: usize| document["findings"][at]["cell"].clone();
    let expected =
        |part: &str, line: u64| serde_json::json!({"number": 1, "part": part, "line": line});
    assert_eq!(
        (cell(0), cell(1)),
        (expected("source", 2), expected("output", 2))
    );
    site.scan(&[])
        .run()
        .stdout_contains("known-value (api_key)  cell 1, output, line 2");
}

#[test]
fn a_comment_a_path_and_a_baseline_allow_what_they_name() {
    let site = Site::new();
    let token = token();
    let mut content = String::new();
    for comment in [
        "",
        " # credchain:allow",
        " # credchain:allow digitalocean-token -- old",
        " # credchain:allow sk-live",
    ] {
        writeln!(content, "t = '{token}'{comment}").expect("it is text");
    }
    site.project.write("src/a.py", &content);
    assert_eq!(
        site.found(&[]),
        [
            "digitalocean-token src/a.py 1",
            "digitalocean-token src/a.py 4"
        ]
    );
    for pattern in ["src/**", "*.py", "/src/", "a.py"] {
        assert!(site.found(&["--allow", pattern]).is_empty(), "{pattern}");
    }
    site.scan(&["--write-baseline", "known.json"])
        .run()
        .success()
        .stderr_contains("accepted 1 finding");
    let baseline = String::from_utf8(site.project.read("known.json")).expect("it is text");
    assert!(!baseline.contains(&token), "{baseline}");
    let with = ["--baseline", "known.json"];
    site.scan(&with)
        .run()
        .success()
        .stdout_contains("2 in the baseline");
    // The same value elsewhere, and another one in the same place, are new.
    site.project.write("src/b.py", format!("t = '{token}'\n"));
    let other = self::token();
    site.project.write("src/a.py", format!("t = '{other}'\n"));
    assert_eq!(
        site.found(&with),
        [
            "digitalocean-token src/a.py 1",
            "digitalocean-token src/b.py 1"
        ]
    );
    // Written again, what has not changed stays as it was.
    site.project.write("src/b.py", "");
    site.project.write("src/a.py", &content);
    site.scan(&["--write-baseline", "known.json"])
        .run()
        .success();
    assert_eq!(site.project.read("known.json"), baseline.as_bytes());
    site.project.write("known.json", "{\"version\": 2}");
    site.scan(&with).run().code(2).stderr_contains("baseline");
}

#[test]
fn the_hook_stops_a_commit_and_no_other_hook_is_written_over() {
    let site = Site::new();
    let bin = resolve_binary()
        .parent()
        .expect("it is in a folder")
        .to_owned();
    let install = || site.scan(&["--install-hook"]).run();
    install().success().stderr_contains("pre-commit");
    let hook = site.project.dir().join(".git/hooks/pre-commit");
    let mode = fs::metadata(&hook)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o111, 0o111);
    install().success().stderr_contains("scans already");
    let commit = |content: &str| {
        site.project.write("a.txt", content);
        let _ = site.git(&["add", "a.txt"]).success();
        site.project
            .command("git")
            .path_before(std::slice::from_ref(&bin))
            .plain_env("API_KEY", &site.value)
            .args(["-c", "user.name=a", "-c", "user.email=a@example.com"])
            .args(["commit", "-qm", "a"])
            .run()
    };
    let refused = commit(&format!("{}\n", site.value));
    assert!(!refused.status().success());
    let told = refused.stdout() + &refused.stderr();
    assert!(told.contains("known-value (api_key)"), "{told}");
    assert!(!told.contains(&site.value), "{told}");
    let _ = commit("clean\n").success();
    fs::write(&hook, "#!/bin/sh\nexit 0\n").expect("it is ours");
    install()
        .code(2)
        .stderr_contains("another hook")
        .stderr_contains("resolve scan --staged || exit $?");
    assert_eq!(
        fs::read(&hook).expect("it is there"),
        b"#!/bin/sh\nexit 0\n"
    );
    let _ = site
        .git(&["config", "core.hooksPath", "my-hooks"])
        .success();
    install().success();
    assert!(site.project.dir().join("my-hooks/pre-commit").is_file());
}

#[test]
fn damaged_objects_are_told_and_the_rest_is_scanned() {
    let site = Site::new();
    site.commit("a.txt", &format!("{}\n", site.value));
    site.commit("b.txt", "some text that is going to be damaged\n");
    site.commit("c.txt", &format!("t = '{}'\n", token()));
    let damage = |rev: &str, how: fn(&std::path::Path)| {
        let oid = site.git(&["rev-parse", rev]).stdout();
        let (folder, name) = oid.trim().split_at(2);
        let path = site
            .project
            .dir()
            .join(".git/objects")
            .join(folder)
            .join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it is ours");
        how(&path);
    };
    let both = ["digitalocean-token c.txt 1", "known-value a.txt 1"];
    let mut expected = both;
    expected.sort_by_key(|row| row.split(' ').nth(1));
    // A blob whose end is cut off.
    damage("HEAD:b.txt", |path| {
        let bytes = fs::read(path).expect("it is there");
        fs::write(path, &bytes[..bytes.len() - 8]).expect("it is ours");
    });
    let output = site.scan(&["--history", "--json"]).run().code(8);
    assert_eq!(rows(&output.json()), expected);
    assert_eq!(output.json()["skipped"][0]["path"], "b.txt");
    // A blob that is gone.
    damage("HEAD:b.txt", |path| {
        fs::remove_file(path).expect("it is ours");
    });
    let output = site.scan(&["--history", "--json"]).run().code(8);
    assert_eq!(rows(&output.json()), expected);
    assert!(
        !output.json()["skipped"]
            .as_array()
            .expect("it is a list")
            .is_empty()
    );
    // A tree, behind which git walks no further.
    damage("HEAD~1^{tree}", |path| {
        fs::write(path, "garbage").expect("it is ours");
    });
    let output = site.scan(&["--history", "--json"]).run().code(8);
    let found = rows(&output.json());
    assert_eq!(found.len(), 2, "{found:?}");
    site.scan(&["--history"])
        .run()
        .code(8)
        .stderr_contains("was not scanned");
}

#[test]
fn links_loops_pipes_and_unreadable_files_stop_nothing() {
    let site = Site::new();
    let dir = site.project.dir();
    site.project
        .write("deep/a.txt", format!("{}\n", site.value));
    symlink("..", dir.join("deep/loop")).expect("it is ours");
    symlink("nowhere", dir.join("dangling")).expect("it is ours");
    symlink("a.txt", dir.join("deep/again")).expect("it is ours");
    let made = Command::new("mkfifo").arg(dir.join("pipe")).status();
    assert!(made.expect("it starts").success());
    let output = site.scan(&["--json"]).run().code(8);
    assert_eq!(rows(&output.json()), ["known-value deep/a.txt 1"]);
    assert_eq!(output.json()["skipped"].as_array().map(Vec::len), Some(1));
    site.scan(&[])
        .run()
        .stderr_contains("`pipe` was not scanned: it is a pipe");
    site.scan(&["dangling"])
        .run()
        .stderr_contains("`dangling` was not scanned");
    site.scan(&["missing"])
        .run()
        .code(2)
        .stderr_contains("there is no `missing`");
}

#[test]
fn standard_input_is_scanned() {
    let site = Site::new();
    for args in [&["-"][..], &["--stdin"]] {
        site.scan(args)
            .stdin(format!("one\n  {}\n", site.value))
            .run()
            .code(8)
            .stdout_contains("-:2:3  known-value (api_key)");
        site.scan(args).stdin("nothing\n").run().success();
    }
}

#[test]
fn a_binary_file_is_searched_for_known_values_only() {
    let site = Site::new();
    let mut content = b"\x7fELF\0\0".to_vec();
    content.extend(format!("{}\n{}\n", token(), site.value).bytes());
    site.project.write("program", content);
    assert_eq!(site.found(&[]), ["known-value program 2"]);
}

#[test]
fn a_long_line_is_scanned_and_not_shown() {
    let site = Site::new();
    let mut content = "var a=[0,1,2,3];".repeat(1 << 18);
    write!(content, "k='{}';", site.value).expect("it is text");
    content += &"f(x);".repeat(1 << 16);
    site.project.write("app.min.js", content);
    let output = site.scan(&[]).run().code(8);
    let text = output.stdout_contains("k='***';").stdout();
    assert!(text.len() < 1000, "{} bytes", text.len());
}

#[test]
fn sarif_has_places_rules_and_what_was_not_scanned() {
    let site = Site::new();
    site.project
        .write("a dir/ü.txt", format!("ü {} and {}\n", site.value, token()));
    let made = Command::new("mkfifo")
        .arg(site.project.dir().join("pipe"))
        .status();
    assert!(made.expect("it starts").success());
    let output = site.scan(&["--sarif"]).run().code(8);
    let document = output.json();
    assert_eq!(document["version"], "2.1.0");
    let run = &document["runs"][0];
    let rules = run["tool"]["driver"]["rules"]
        .as_array()
        .expect("it is a list");
    let results = run["results"].as_array().expect("it is a list");
    assert_eq!((rules.len(), results.len()), (2, 2));
    for result in results {
        let index = result["ruleIndex"].as_u64().expect("it is a number");
        let rule = &rules[usize::try_from(index).expect("it is small")];
        assert_eq!(result["ruleId"], rule["id"]);
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a%20dir/%C3%BC.txt");
        assert_eq!(place["region"]["startLine"], 1);
    }
    let column = |at: usize| {
        results[at]["locations"][0]["physicalLocation"]["region"]["startColumn"].clone()
    };
    assert_eq!(column(0), 3);
    let skipped = &run["invocations"][0]["toolExecutionNotifications"];
    assert_eq!(skipped.as_array().map(Vec::len), Some(1));
    site.scan(&["--sarif", "--json"]).run().code(2);
}

#[test]
fn values_that_cannot_be_read_are_told_and_the_rest_is_scanned() {
    let site = Site::new();
    let config = format!(
        "{CONFIG}[providers.far]\ntype = \"vault\"\naddress = \"http://127.0.0.1:1\"\ntimeout = \"1s\"\n\
         auth = {{ method = \"token\", token = {{ credential = \"host\" }} }}\n\
         [credentials.far]\nchain = [\"far\"]\n"
    );
    site.project.write("a.txt", format!("{}\n", site.value));
    let scan = site.scan(&[]).config(&config);
    let untrusted = scan.run().code(8);
    untrusted
        .stderr_contains("`far`")
        .stdout_contains("known-value (api_key)");
    let output = site.scan(&["--json"]).run().code(8);
    assert_eq!(output.json()["unread"][0], "far");
}

#[test]
fn a_subdirectory_is_scanned_with_paths_from_where_one_is() {
    let site = Site::new();
    site.project.write("sub/a.txt", format!("{}\n", site.value));
    let output = site.scan(&["--json"]).in_dir("sub").run().code(8);
    assert_eq!(rows(&output.json()), ["known-value a.txt 1"]);
    let allowed = site.scan(&["--allow", "/sub/"]).in_dir("sub").run();
    allowed.success();
}

#[test]
fn this_repository_has_no_credential_in_it() {
    let checkout = credchain_tests::repository();
    let output = Command::new(resolve_binary())
        .args(["scan", "--patterns-only", "--json", "."])
        .current_dir(checkout)
        .output()
        .expect("it starts");
    let document: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!(rows(&document), [""; 0], "{document:#}");
    assert_eq!(output.status.code(), Some(0));
}
