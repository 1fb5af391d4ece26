//! `examples/pipeline.py` through `resolve exec`.

use credchain_tests::servers::{Orders, python};
use credchain_tests::{Project, Resolve};

/// A project with the example in it, and the places of its servers in the environment.
fn project() -> Project {
    let project = Project::new();
    project.copy("examples/pipeline.py", "pipeline.py");
    project.copy("examples/pipeline/credchain.toml", "credchain.toml");
    project
}

fn run(project: &Project, orders: &Orders) -> Resolve {
    let mut run = project
        .resolve(["exec", "--"])
        .arg(python())
        .arg("pipeline.py")
        .trusted();
    for (name, value) in orders.places() {
        run = run.plain_env(name, value);
    }
    for (_, secret) in orders.secrets() {
        run = run.secret(secret);
    }
    run
}

#[test]
fn the_pipeline_runs_with_credentials_from_three_links() {
    let (orders, project) = (Orders::start(), project());
    let [(_, api_key), (_, db_password), (_, mail_password)] = orders.secrets();
    project.write(".env", format!("DB_PASSWORD='{db_password}'\n"));
    project.resolve(["init", "--no-input"]).run().success();
    let set = project.resolve(["set", "mail_password"]).trusted();
    set.stdin(mail_password)
        .secret(mail_password)
        .run()
        .success();

    run(&project, &orders)
        .env("API_KEY", api_key)
        .run()
        .success()
        .stdout_is("3 orders fetched, stored and reported\n");
    assert_eq!(orders.rows(), Orders::ROWS);
    assert_eq!(orders.reports().len(), 1);
    assert!(orders.reports()[0].contains("3 orders, 154.25 in all"));
    assert_eq!((orders.api().answered(), orders.api().refused()), (1, 0));
}

#[test]
fn a_wrong_key_ends_the_pipeline_before_it_stores_anything() {
    let (orders, project) = (Orders::start(), project());
    let [_, (_, db_password), (_, mail_password)] = orders.secrets();
    let output = run(&project, &orders)
        .env("API_KEY", "wrong-key")
        .env("DB_PASSWORD", db_password)
        .env("MAIL_PASSWORD", mail_password)
        .run();
    output.code(1).stderr_contains("401");
    assert_eq!(orders.rows(), "");
    assert_eq!(orders.reports().len(), 0);
    assert_eq!(orders.api().refused(), 1);
}

#[test]
fn nothing_starts_while_credentials_are_missing_and_all_of_them_are_named() {
    let (orders, project) = (Orders::start(), project());
    let [(_, api_key), ..] = orders.secrets();
    let output = run(&project, &orders).env("API_KEY", api_key).run();
    output
        .code(125)
        .stderr_contains("db_password")
        .stderr_contains("mail_password");
    assert_eq!((orders.api().answered(), orders.api().refused()), (0, 0));
}
