//! The pipeline against a real API, database and mail server.
#![cfg(unix)]

use credchain_tests::servers::{HttpApi, Orders};
use credchain_tests::{Project, Resolve};

fn project() -> Project {
    let project = Project::new();
    project.copy("examples/pipeline/credchain.toml", "credchain.toml");
    project
}

fn pipeline(project: &Project) -> Resolve {
    project.command(env!("CARGO_BIN_EXE_pipeline")).trusted()
}

fn against(orders: &Orders, project: &Project) -> Resolve {
    let run = orders
        .places()
        .into_iter()
        .fold(pipeline(project), |run, (name, value)| {
            run.plain_env(name, value)
        });
    orders
        .secrets()
        .into_iter()
        .fold(run, |run, (_, secret)| run.secret(secret))
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

    let output = against(&orders, &project)
        .env("API_KEY", api_key)
        .run()
        .success();
    output
        .stdout_is("3 orders fetched, stored and reported\n")
        .stderr_is_empty();
    assert_eq!(orders.rows(), Orders::ROWS);
    assert_eq!(orders.reports().len(), 1);
    assert!(orders.reports()[0].contains("3 orders, 154.25 in all"));
}

#[test]
fn a_wrong_credential_ends_the_pipeline_where_it_is_used() {
    let (orders, project) = (Orders::start(), project());
    for (number, (wrong, _)) in orders.secrets().into_iter().enumerate() {
        let run =
            orders
                .secrets()
                .into_iter()
                .fold(against(&orders, &project), |run, (name, value)| {
                    run.env(
                        name,
                        if name == wrong {
                            "wrong-credential"
                        } else {
                            value
                        },
                    )
                });
        let output = run.run().code(1).stderr_contains("error: ");
        output.stdout_lacks("orders fetched");
        // The job goes on exactly as far as its credentials are right.
        assert_eq!(orders.rows().is_empty(), number < 2);
        assert_eq!(orders.reports().len(), 0);
    }
    assert_eq!(orders.api().refused(), 1);
}

#[test]
fn everything_that_is_missing_is_named_before_the_first_request() {
    let api = HttpApi::start();
    let project = project();
    let run = pipeline(&project)
        .env("API_KEY", api.key())
        .plain_env("API_URL", api.url());
    run.run()
        .code(1)
        .stderr_contains("db_password")
        .stderr_contains("mail_password");
    assert_eq!((api.answered(), api.refused()), (0, 0));
}

#[test]
fn without_servers_the_rows_and_the_report_are_files() {
    let api = HttpApi::start();
    let project = project();
    let run = pipeline(&project)
        .env("API_KEY", api.key())
        .env("DB_PASSWORD", "unused-here")
        .env("MAIL_PASSWORD", "unused-here-too")
        .plain_env("API_URL", api.url())
        .plain_env("DB_URL", "file:orders.csv")
        .plain_env("MAIL_URL", "file:report.eml");
    run.run()
        .success()
        .stdout_is("3 orders fetched, stored and reported\n");
    assert!(project.read("orders.csv").ends_with(b"3,\"Edsger\",4275\n"));
    assert!(String::from_utf8_lossy(&project.read("report.eml")).contains("154.25"));
}
