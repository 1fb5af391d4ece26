//! `examples/github-actions`: the scripts of the workflow, as a runner executes them.

use credchain_tests::servers::{Orders, python};
use credchain_tests::workflow::{Job, Runner, Workflow};
use credchain_tests::{Project, repository};

/// The repository that the workflow would be in, and its one job.
fn checkout() -> (Project, Job) {
    let project = Project::new();
    project.copy("examples/pipeline.py", "pipeline.py");
    project.copy("examples/requirements.txt", "requirements.txt");
    project.copy("examples/pipeline/credchain.toml", "credchain.toml");
    let file = repository().join("examples/github-actions/nightly.yml");
    let job = Workflow::read(&file).jobs().remove(0);
    (project, job)
}

fn runner(project: &Project) -> Runner {
    // On this machine `python3` is the one that has the requirements already.
    let python = python();
    Runner::new(project).programs(python.parent().expect("a program lies in a folder"))
}

#[test]
fn the_scheduled_pipeline_runs_with_the_secrets_of_the_platform() {
    let (orders, (project, job)) = (Orders::start(), checkout());
    let mut runner = runner(&project);
    for (name, value) in orders.secrets() {
        runner = runner.secret(name, value);
    }
    for (name, value) in orders.places() {
        runner = runner.variable(name, &value);
    }
    let outputs = runner.run(&job);
    assert_eq!(outputs.len(), 5, "{outputs:#?}");
    for output in outputs {
        drop(output.success());
    }
    assert_eq!(orders.rows(), Orders::ROWS);
    assert_eq!(orders.reports().len(), 1);
    assert_eq!(
        runner.summary(),
        "### Nightly pipeline\n3 orders fetched, stored and reported\n"
    );
    for (name, secret) in orders.secrets() {
        assert!(
            runner.masked.iter().any(|masked| masked == secret),
            "{name} is not masked"
        );
    }
}

#[test]
fn every_secret_that_is_not_set_is_named_and_the_job_ends() {
    let (project, job) = checkout();
    let mut runner = runner(&project).secret("API_KEY", "some-api-key");
    let mut outputs = runner.run(&job);
    assert_eq!(outputs.len(), 2, "{outputs:#?}");
    let check = outputs.remove(1).code(3);
    for missing in ["db_password", "mail_password"] {
        assert!(
            check.stdout().contains(missing) || check.stderr().contains(missing),
            "{check:#?}"
        );
    }
}
