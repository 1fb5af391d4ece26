//! `examples/shell`: every script, and the direnv snippet.

use credchain_tests::servers::HttpApi;
use credchain_tests::{Project, Resolve};

fn project(api: &HttpApi) -> Project {
    let project = Project::new();
    for file in ["one.sh", "all.sh", "exec.sh", "envrc", "credchain.toml"] {
        project.copy(&format!("examples/shell/{file}"), file);
    }
    let key = api.key();
    project.write(
        ".env",
        format!(
            "API_KEY='{key}'\nDB_PASSWORD=d4tabase\nAPI_URL={}\n",
            api.url()
        ),
    );
    project
}

fn script(project: &Project, name: &str, api: &HttpApi) -> Resolve {
    project.command(format!("./{name}")).secret(api.key())
}

#[test]
fn a_script_takes_one_credential() {
    let api = HttpApi::start();
    let project = project(&api);
    script(&project, "one.sh", &api)
        .run()
        .success()
        .stdout_contains("Grace");
    assert_eq!((api.answered(), api.refused()), (1, 0));
}

#[test]
fn a_script_takes_all_credentials_into_its_environment() {
    let api = HttpApi::start();
    let project = project(&api);
    script(&project, "all.sh", &api)
        .run()
        .success()
        .stdout_contains("Grace");
    assert_eq!((api.answered(), api.refused()), (1, 0));
}

#[test]
fn a_script_that_evaluates_a_failed_export_stops() {
    let api = HttpApi::start();
    let project = project(&api);
    project.write(
        ".env",
        format!("API_KEY='{}'\nAPI_URL={}\n", api.key(), api.url()),
    );
    let output = script(&project, "all.sh", &api).run();
    assert!(!output.status().success());
    output.stderr_contains("db_password");
    assert_eq!((api.answered(), api.refused()), (0, 0));
}

#[test]
fn a_script_gives_all_credentials_to_one_program() {
    let api = HttpApi::start();
    let project = project(&api);
    let output = script(&project, "exec.sh", &api).run().success();
    output.stdout_is("API_KEY and DB_PASSWORD are set\n");
}

#[test]
fn the_direnv_snippet_loads_the_credentials() {
    let api = HttpApi::start();
    let project = project(&api);
    // What direnv does: `watch_file` is its own, the rest is a bash script.
    let direnv = "watch_file() { test -e \"$2\"; }; . ./envrc; printf %s \"$API_KEY\"";
    let output = project
        .command("bash")
        .args(["-ec", direnv])
        .run()
        .success();
    output.stdout_is(api.key());
}
