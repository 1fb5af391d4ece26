//! A plugin behind the command: one process, one batch, gone with the command.
#![cfg(unix)]

use credchain_tests::{Project, repository};

/// A project with `count` credentials, all of them with the reference plugin.
fn project(count: usize) -> Project {
    let project = Project::new();
    let plugin = repository().join("examples/plugin/reference_plugin.py");
    let mut config = format!(
        "[chain]\ndefault = [\"plugin\"]\n[providers.plugin]\ntype = \"command\"\n\
         program = \"{}\"\nargs = [\"--store\", \"store.json\", \"--log\", \"plugin.log\"]\n\
         capabilities = [\"set\"]\n",
        plugin.display()
    );
    for number in 0..count {
        config += &format!("[credentials.key_{number}]\n");
    }
    project.write("credchain.toml", config);
    project
}

/// What the plugin wrote about itself: its process's number, and the words of each line.
fn log(project: &Project) -> Vec<(String, String)> {
    let text = String::from_utf8(project.read("plugin.log")).expect("a log");
    let line = |line: &str| {
        line.split_once(' ')
            .map(|(pid, words)| (pid.into(), words.into()))
    };
    text.lines().filter_map(line).collect()
}

#[test]
fn two_hundred_credentials_are_one_process_and_one_request() {
    let project = project(200);
    let dotenv: String = (0..200).map(|n| format!("KEY_{n}=value-{n}\n")).collect();
    project.write("values.env", dotenv);
    let import = ["import", "values.env", "--to", "plugin"];
    project.resolve(import).trusted().run().success();
    std::fs::remove_file(project.dir().join("plugin.log")).expect("the import's log");

    project
        .resolve([
            "exec",
            "--no-mask",
            "--",
            "sh",
            "-c",
            "echo $KEY_0 $KEY_199",
        ])
        .trusted()
        .run()
        .success()
        .stdout_is("value-0 value-199\n");
    let log = log(&project);
    let words: Vec<&str> = log.iter().map(|(_, words)| words.as_str()).collect();
    assert_eq!(words, ["start", "get 200", "end"]);
    assert!(
        log.iter().all(|(pid, _)| *pid == log[0].0),
        "one process: {log:?}"
    );
}

#[test]
fn the_plugin_has_ended_before_the_program_starts() {
    let project = project(1);
    project
        .resolve(["set", "key_0", "--to", "plugin"])
        .trusted()
        .stdin("value")
        .run()
        .success();
    project
        .resolve([
            "exec",
            "--no-mask",
            "--",
            "sh",
            "-c",
            "tail -n1 plugin.log | cut -d' ' -f2; ps -o stat= --ppid $$ | grep -c Z",
        ])
        .trusted()
        .run()
        .stdout_is("end\n0\n");
}

#[test]
fn without_trust_the_plugin_is_never_started() {
    let project = project(1);
    project
        .resolve(["get", "key_0"])
        .run()
        .code(7)
        .stderr_contains("resolve trust");
    assert!(!project.dir().join("plugin.log").exists());
}

#[test]
fn a_program_sees_nothing_of_what_other_links_log_in_with() {
    let project = Project::new();
    project.write(
        "credchain.toml",
        r#"
[chain]
default = ["spy"]
[providers.ci]
type = "env"
prefix = "PIPELINE_"
[providers.spy]
type = "command"
program = "/usr/bin/env"
get = ["--"]
output = "exact"
[providers.vault]
address = "https://vault.example.com"
auth = { method = "userpass", username = "ada", password = { credential = "login" } }
[credentials.login]
template = "{{ first_half }}{{ other_half }}"
[credentials.first_half]
chain = ["ci"]
[credentials.other_half]
chain = ["ci"]
at.ci = "/ELSEWHERE"
[credentials.seen]
"#,
    );
    let output = project
        .resolve(["get", "seen"])
        .trusted()
        .env("PIPELINE_FIRST_HALF", "the-first-half")
        .env("PIPELINE_FIRST_HALF_FILE", "/run/secrets/first")
        .env("ELSEWHERE", "the-other-half")
        .plain_env("CREDCHAIN_PASSPHRASE_FILE", "/run/secrets/passphrase")
        .plain_env("MINE", "kept")
        .run()
        .success();
    output
        .stdout_contains("MINE=kept")
        .stdout_lacks("the-first-half")
        .stdout_lacks("/run/secrets")
        .stdout_lacks("the-other-half");
}

#[test]
fn a_slow_tool_has_the_time_that_its_settings_give_it() {
    let project = Project::new();
    project.write(
        "credchain.toml",
        "[chain]\ndefault = [\"slow\"]\n[providers.slow]\ntype = \"command\"\nprogram = \"/bin/sh\"\n\
         get = [\"-c\", \"sleep 11; echo value\"]\noutput = \"trimmed\"\n[credentials.seen]\n",
    );
    project
        .resolve(["get", "seen"])
        .trusted()
        .run()
        .success()
        .stdout_is("value");
}
