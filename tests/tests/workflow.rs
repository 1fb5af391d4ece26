//! The project's own workflow file: it parses, and each of its scripts is a script.

use std::process::Command;

use credchain_tests::repository;
use credchain_tests::workflow::Workflow;

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
