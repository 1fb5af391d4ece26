//! `resolve redact`: what goes through it comes out without secrets, and otherwise as it was.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use credchain_tests::servers::fresh_secret;
use credchain_tests::{Project, Resolve};

const CONFIG: &str = "[chain]\ndefault = [\"env\"]\n[credentials.api_key]\n[credentials.absent]\n\
                      [credentials.pin]\ndefault = \"77\"\n[credentials.host]\nsecret = false\n";

fn redact(value: &str, args: &[&str]) -> Resolve {
    Resolve::new()
        .config(CONFIG)
        .trusted()
        .plain_env("API_KEY", value)
        .plain_env("HOST", "db.example.com")
        .args(["redact"])
        .args(args)
}

fn base64(text: &str) -> String {
    use std::process::Command;
    let mut child = Command::new("base64")
        .arg("-w0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("base64 starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(text.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    String::from_utf8(output.stdout).expect("base64 is text")
}

#[test]
fn a_credential_is_hidden_in_every_form_and_the_rest_is_as_it_was() {
    let value = fresh_secret("key");
    let encoded = base64(&format!("user:{value}"));
    let mut input = format!("a {value} b {encoded}\nhost db.example.com pin 77 \n").into_bytes();
    input.extend(b"\xff\x00\xfe\r\n");
    let output = redact(&value, &[]).stdin(&input).run().success();
    let text = String::from_utf8_lossy(output.stdout_bytes()).into_owned();
    assert!(text.starts_with("a *** b "), "{text}");
    assert!(!text.contains(&value) && !text.contains(&encoded), "{text}");
    assert!(text.contains("\nhost db.example.com pin 77 \n"), "{text}");
    assert!(output.stdout_bytes().ends_with(b"\xff\x00\xfe\r\n"));
    output.stderr_contains("`pin` is not masked");
}

#[test]
fn what_looks_like_a_credential_is_hidden_without_reading_one() {
    let token = format!("ghp_{}", "0a".repeat(18));
    let password = "hunter2".repeat(2);
    let input = format!("password={password} Authorization: Bearer {token}x\nplain\n");
    Resolve::new()
        .args(["redact", "--patterns-only"])
        .stdin(input)
        .secret(&password)
        .run()
        .success()
        .stdout_contains("password=***")
        .stdout_contains("Bearer ***")
        .stdout_contains("plain")
        .stdout_lacks("hunter2")
        .stdout_lacks(&token);
}

#[test]
fn the_end_tells_what_was_hidden_how_often() {
    let value = fresh_secret("key");
    let input = format!("{value} {value}\n");
    redact(&value, &["--stats"])
        .stdin(&input)
        .run()
        .success()
        .stdout_is("*** ***\n")
        .stderr_contains("masked 2 (api_key: 2)");
    let output = redact(&value, &["--stats", "--json"]).stdin(&input).run();
    let told: serde_json::Value = serde_json::from_str(&output.stderr()).unwrap();
    assert_eq!(told["by_name"]["api_key"], 2);
}

#[test]
fn a_log_can_be_followed_and_a_beginning_is_held_back() {
    let value = fresh_secret("key");
    let run = redact(&value, &[]);
    let mut child = run
        .command()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut input = child.stdin.take().expect("it is piped");
    let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    input.write_all(b"first\n").unwrap();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "first\n", "it comes while the input is open");
    let (start, end) = value.split_at(value.len() / 2);
    input
        .write_all(format!("second {start}").as_bytes())
        .unwrap();
    input.write_all(format!("{end}\n").as_bytes()).unwrap();
    line.clear();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "second ***\n");
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_value_that_cannot_be_read_is_not_left_in_the_text() {
    let project = Project::new();
    project.write(".env", "API_KEY=s3cret-value\n");
    project.write(
        "credchain.toml",
        "[chain]\ndefault = [\"vault\"]\n[providers.vault]\naddress = \"http://127.0.0.1:9\"\n\
         retry = { attempts = 1 }\n[credentials.api_key]\n",
    );
    project
        .resolve(["redact"])
        .trusted()
        .plain_env("VAULT_TOKEN", "none")
        .stdin("text")
        .run()
        .code(5)
        .stdout_is("");
}

#[test]
fn rules_of_a_project_that_is_not_trusted_do_not_decide_what_is_hidden() {
    Resolve::new()
        .config(
            "[chain]\ndefault = [\"env\"]\n[credentials.api_key]\n[redaction]\npatterns = false\n",
        )
        .args(["redact"])
        .stdin("text")
        .run()
        .code(7)
        .stdout_is("");
}

#[test]
fn rules_and_names_follow_the_configuration() {
    let config = "[chain]\ndefault = [\"env\"]\n[credentials.api_key]\n[credentials.pin]\nmask = true\n\
                  [redaction]\nreplace = \"name\"\npatterns = false\n\
                  [[redaction.rules]]\nname = \"acme\"\npattern = \"acme_([0-9]{6})\"\n";
    Resolve::new()
        .config(config)
        .trusted()
        .env("API_KEY", "s3cret-value")
        .env("PIN", "77")
        .args(["redact"])
        .stdin("s3cret-value 77 acme_123456 password=hunter2hunter2\n")
        .run()
        .success()
        .stdout_is("[api_key] [pin] acme_[acme] password=hunter2hunter2\n");
}
