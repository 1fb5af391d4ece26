//! The harness keeps its own promises: a test that it passes means something.

use std::time::Duration;

use credchain_tests::Project;

#[test]
fn a_command_sees_only_the_scratch_home_and_what_the_test_sets() {
    let project = Project::new();
    let output = project
        .command("env")
        .plain_env("ONLY", "this")
        .run()
        .success();
    let mut names: Vec<_> = output
        .stdout()
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.to_owned())
        .collect();
    names.sort_unstable();
    let expected = [
        "HOME",
        "ONLY",
        "PATH",
        "TMPDIR",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_RUNTIME_DIR",
        "XDG_STATE_HOME",
    ];
    assert_eq!(names, expected);
    output.stdout_contains(&format!("HOME={}", project.home().display()));
}

#[test]
fn bytes_pass_through_standard_input_and_output_unchanged() {
    let bytes: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    Project::new()
        .command("cat")
        .stdin(&bytes)
        .run()
        .success()
        .stdout_is(&bytes);
}

#[test]
fn resolve_is_on_the_path_of_a_script() {
    Project::new()
        .sh("command -v resolve")
        .run()
        .success()
        .stdout_contains("/bin/resolve");
}

#[test]
#[should_panic(expected = "a secret on standard error")]
fn a_secret_on_standard_error_fails_the_test() {
    let output = Project::new()
        .sh("echo \"$TOKEN\" >&2")
        .env("TOKEN", "s3cret-value")
        .run();
    drop(output);
}

#[test]
#[should_panic(expected = "expected exit code 0")]
fn a_wrong_exit_code_fails_the_test() {
    drop(Project::new().sh("exit 3").run().success());
}

#[test]
#[should_panic(expected = "was ended after")]
fn a_command_that_hangs_is_ended_and_fails_the_test() {
    drop(
        Project::new()
            .sh("tail -f /dev/null")
            .timeout(Duration::from_millis(200))
            .run(),
    );
}
