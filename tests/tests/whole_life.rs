//! One credential's whole life in one script: generate, store, inject, use, rotate, audit.
#![cfg(unix)]

use credchain_tests::Project;

const LIFE: &str = r#"
set -eu
# A service that accepts one password, which is in a file of its own.
cat > service <<'END'
#!/bin/sh
case $1 in
  login) [ "$(cat)" = "$(cat password)" ];;
  passwd) cat > password;;
esac
END
chmod +x service

resolve -q init
cat >> credchain.toml <<'END'

[credentials.service_password]
rotate = "90d"

[rotation.targets.service_password]
type = "command"
verify = ["./service", "login"]
apply = ["./service", "passwd"]
must_contain = ["lower", "upper", "digits", "symbols"]
END
resolve -q trust --yes > /dev/null

# generate and store
resolve -q generate --length 24 --set service_password
resolve get service_password > password

# inject
printf 'password={{ service_password }}\n' > template
resolve inject template -o service.conf
grep -q "^password=$(cat password)$" service.conf

# use, with the value masked in what the program prints
resolve exec -- sh -c 'printf %s "$SERVICE_PASSWORD" | ./service login && echo "in with $SERVICE_PASSWORD"'
first=$(cat password)

# rotate
resolve rotation status --fail-on urgent
resolve -q rotation run service_password
[ "$first" != "$(cat password)" ]
resolve exec -- sh -c 'printf %s "$SERVICE_PASSWORD" | ./service login && echo "in with the next one"'
resolve rotation history

# audit
resolve audit show --action rotate
resolve audit verify
"#;

#[test]
fn generate_store_inject_use_rotate_audit() {
    let project = Project::new();
    let output = project.sh(LIFE).run().success();
    let output = output
        .stdout_contains("in with ***\n")
        .stdout_contains("in with the next one\n")
        .stdout_contains("service_password")
        .stdout_contains("swap  rotated")
        .stdout_contains("rotate.apply")
        .stdout_contains("rotate.promote");
    // What it was and what it is are in no output.
    let value = String::from_utf8(project.read("password")).unwrap();
    output
        .stdout_lacks(&value)
        .stderr_lacks(&value)
        .stderr_contains("intact");
}

#[test]
fn an_edited_log_is_found_out() {
    let project = Project::new();
    project.resolve(["init"]).run().success();
    project
        .resolve(["generate", "--set", "api_key"])
        .run()
        .success();
    project.resolve(["get", "api_key"]).run().success();
    project.resolve(["audit", "verify"]).run().success();
    let home = project.state_home().join("credchain/audit");
    let directory = std::fs::read_dir(home)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let log = directory.join("audit.jsonl");
    let whole = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, whole.replacen("\"set\"", "\"get\"", 1)).unwrap();
    project
        .resolve(["audit", "verify"])
        .run()
        .code(8)
        .stdout_contains("audit.jsonl:2");
    // The last record is cut off.
    let end = whole.trim_end().rfind('\n').unwrap() + 1;
    std::fs::write(&log, &whole[..end]).unwrap();
    project.resolve(["audit", "verify"]).run().code(8);
    std::fs::write(&log, &whole).unwrap();
    project.resolve(["audit", "verify"]).run().success();
    std::fs::remove_file(directory.join("key")).unwrap();
    project.resolve(["audit", "verify"]).run().code(6);
}

#[test]
fn without_a_table_there_is_no_log() {
    let project = Project::new();
    project.write("credchain.toml", "[chain]\ndefault = [\"env\"]\n");
    project.resolve(["get", "home"]).run().success();
    assert!(!project.state_home().join("credchain").exists());
    project
        .resolve(["audit", "show"])
        .run()
        .code(6)
        .stderr_contains("[audit]");
    project.resolve(["audit", "verify"]).run().code(6);
}

#[test]
fn what_cannot_be_recorded_is_not_written_and_reads_go_on_unless_told_otherwise() {
    for (policy, code) in [("continue", 0), ("stop", 6)] {
        let project = Project::new();
        // A file stands where the log's directory should be.
        project.write("log", "");
        let config = format!(
            "[project]\nname = \"demo\"\n[chain]\ndefault = [\"env\", \"dotenv\"]\n\
             [audit]\non_failure = \"{policy}\"\npath = \"log\"\n[credentials.api_key]\n"
        );
        project.write("credchain.toml", config);
        project.write(".env", "API_KEY=abc\n");
        project
            .resolve(["get", "api_key"])
            .trusted()
            .run()
            .code(code);
        project
            .resolve(["set", "api_key", "--to", "dotenv"])
            .trusted()
            .stdin("new")
            .run()
            .code(6);
        project.resolve(["export"]).trusted().run().code(6);
        assert_eq!(project.read(".env"), b"API_KEY=abc\n");
    }
}

#[test]
fn a_clone_of_a_project_is_logged_but_may_not_say_where() {
    let project = Project::new();
    let text = |audit: &str| {
        format!(
            "[chain]\ndefault = [\"env\", \"dotenv\"]\n[audit]\n{audit}\n[credentials.api_key]\n"
        )
    };
    project.write(".env", "API_KEY=abc\n");
    project.write("credchain.toml", text(""));
    project.resolve(["get", "api_key"]).run().success();
    project
        .resolve(["audit", "show"])
        .run()
        .success()
        .stdout_contains("resolve");
    project.write("credchain.toml", text("path = \"/tmp/elsewhere\""));
    project.resolve(["get", "api_key"]).run().success();
    project
        .resolve(["set", "api_key", "--to", "dotenv"])
        .stdin("x")
        .run()
        .code(7);
    project.resolve(["audit", "verify"]).run().code(7);
}
