//! What the author of a repository tries to keep a command busy, or to end it.

use std::time::Duration;

use credchain_tests::Project;

/// Longer than any of these takes, and much shorter than the attacks would.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn templates_that_repeat_each_other_end_with_an_error() {
    let project = Project::new();
    let mut config = "[credentials.t0]\nsecret = false\ndefault = \"aaaaaaaa\"\n".to_owned();
    for number in 1..=50 {
        let part = number - 1;
        config += &format!(
            "[credentials.t{number}]\ntemplate = \"{{{{ t{part} }}}}{{{{ t{part} }}}}\"\n"
        );
    }
    project.write("credchain.toml", config);
    for arguments in [&["get", "t50"][..], &["check"]] {
        project.resolve(arguments).timeout(PATIENCE).run().code(6);
    }
    project
        .resolve(["get", "t3"])
        .run()
        .success()
        .stdout_is("a".repeat(64));
}

#[test]
fn a_long_chain_of_templates_ends_no_process() {
    let project = Project::new();
    let mut config = String::new();
    for number in 0..30_000 {
        let part = number + 1;
        config += &format!("[credentials.t{number}]\ntemplate = \"{{{{ t{part} }}}}\"\n");
    }
    config += "[credentials.t30000]\nsecret = false\ndefault = \"v\"\n";
    project.write("credchain.toml", config);
    project
        .resolve(["get", "t0"])
        .timeout(PATIENCE)
        .run()
        .success()
        .stdout_is("v");
}

#[test]
fn a_chain_that_names_one_link_thousands_of_times_is_one_warning() {
    let project = Project::new();
    let links = vec!["\"env\""; 20_000].join(",");
    project.write(
        "credchain.toml",
        format!("[chain]\ndefault = [{links}]\n[credentials.a]\n"),
    );
    let output = project.resolve(["check"]).timeout(PATIENCE).run().code(3);
    assert_eq!(output.stderr().matches("config::repeated-link").count(), 1);
}

#[cfg(unix)]
#[test]
fn what_init_writes_can_be_used_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = Project::new();
    project.sh("umask 000 && resolve init").run().success();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(project.dir().join("credchain.toml")) & 0o002, 0);
    assert_eq!(
        mode(project.config_home().join("credchain/identity")),
        0o600
    );
    project.resolve(["check"]).run().success();
}
