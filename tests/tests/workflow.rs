//! The project's own workflow file: it parses, and each of its scripts runs to its end.

use std::process::Command;

use credchain_tests::workflow::{Runner, Workflow};
use credchain_tests::{Project, repository, resolve_binary};

#[test]
fn every_script_of_the_workflow_is_understood_by_its_shell() {
    let jobs = Workflow::read(&repository().join(".github/workflows/ci.yml")).jobs();
    let scripts: Vec<_> = jobs
        .iter()
        .flat_map(|job| &job.steps)
        .filter(|s| s.run.is_some())
        .collect();
    assert!(scripts.len() >= 6, "the workflow has lost its scripts");
    for step in scripts {
        let shell = step.shell();
        let script = step.run.as_deref().unwrap();
        assert!(
            !script.contains("${{"),
            "`{}`: pass values by `env`",
            step.name
        );
        let output = Command::new(shell[0])
            .args(["-n", "-c", script])
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`{}`: {stderr}", step.name);
    }
}

#[test]
fn the_workflow_runs_what_every_change_has_to_pass() {
    let jobs = Workflow::read(&repository().join(".github/workflows/ci.yml")).jobs();
    let names: Vec<_> = jobs.iter().map(|job| job.name.as_str()).collect();
    assert_eq!(
        names,
        ["advisories", "linux", "oldest-rust", "other-systems"]
    );
    let runs = |step: &credchain_tests::workflow::Step| step.run.as_deref() == Some(".ci/run");
    assert!(jobs.iter().flat_map(|job| &job.steps).any(runs));
}

/// What builds, installs or needs a network is replaced by a program that writes down how it was
/// called; everything else of the scripts is real.
#[cfg(unix)]
#[test]
fn every_script_of_the_workflow_runs_to_its_end_with_the_right_arguments() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    const STAND_IN: &str = "#!/bin/sh\necho \"${0##*/} $*\" >>\"$GITHUB_WORKSPACE/calls\"\n";

    let project = Project::new();
    for place in ["xtask", "providers", "Cargo.toml"] {
        symlink(repository().join(place), project.dir().join(place)).unwrap();
    }
    for program in [
        "bin/cargo",
        "bin/rustc",
        "bin/rustup",
        "bin/sudo",
        ".ci/run",
    ] {
        let file = project.write(program, STAND_IN);
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o755)).unwrap();
    }
    std::fs::create_dir_all(project.dir().join("target/debug")).unwrap();
    let resolve = project.dir().join("target/debug/resolve");
    symlink(resolve_binary(), resolve).unwrap();

    for job in Workflow::read(&repository().join(".github/workflows/ci.yml")).jobs() {
        let mut runner = Runner::new(&project).programs(&project.dir().join("bin"));
        for output in runner.run(&job) {
            output.success();
        }
    }
    let calls = String::from_utf8(project.read("calls")).unwrap();
    for wanted in [
        "sudo apt-get install --yes --no-install-recommends ",
        "sudo sysctl kernel.keys.maxbytes=",
        "run \n",
        "cargo build --package credchain-cli --no-default-features --features local\n",
        "cargo test --package credchain-core ",
        "cargo +1.",
    ] {
        assert!(calls.contains(wanted), "{wanted:?} is not in\n{calls}");
    }
}
