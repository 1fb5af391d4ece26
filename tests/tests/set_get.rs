//! `resolve set` and `resolve delete`: where a value goes, and what is refused.

use credchain_tests::{Output, Project};

const DECLARED: &str = "[chain]\ndefault = [\"env\", \"dotenv\", \"age\"]\nwrite = \"age\"\n\
                        [credentials.api_key]\n[credentials.maybe]\nallow_empty = true\n\
                        [credentials.url]\ntemplate = \"x{{ api_key }}\"\n";

fn project() -> Project {
    let project = Project::new();
    project.resolve(["init"]).run().success();
    project.write("credchain.toml", DECLARED);
    project
}

fn set(project: &Project, args: &[&str], value: &str) -> Output {
    project
        .resolve(std::iter::once(&"set").chain(args))
        .stdin(value)
        .secret(value)
        .run()
}

#[test]
fn it_says_where_the_value_went() {
    let project = project();
    set(&project, &["api_key"], "s3cret-value")
        .success()
        .stdout_is("")
        .stderr_contains("stored `api_key` at `age://default/api_key`, version 1");
    let json = set(&project, &["api_key", "--json"], "s3cret-other")
        .success()
        .json();
    assert_eq!(json["version"], 1);
    assert_eq!(json["name"], "api_key");
    assert_eq!(json["link"], "age");
    assert_eq!(json["reference"], "default/api_key");
    assert_eq!(json["secret_version"], "2");
    assert!(json["shadowed_by"].is_null());
}

#[test]
fn a_value_among_the_arguments_is_refused_and_never_repeated() {
    let project = project();
    let value = format!("sk-{}-{}", "live", "x".repeat(24));
    for args in [
        vec!["set", "api_key", &value],
        vec!["set", "api_key", "--to", "age", &value],
        vec!["set", "api_key", &value, "--to", "age"],
    ] {
        project
            .resolve(&args)
            .secret(&value)
            .run()
            .code(2)
            .stderr_contains("`ps`")
            .stderr_contains("history");
    }
    let dashed = format!("-{value}");
    project
        .resolve(["set", "api_key", &dashed])
        .secret(&value)
        .run()
        .code(2);
    let equals = format!("api_key={value}");
    project
        .resolve(["set", &equals])
        .secret(&value)
        .run()
        .code(2);
}

#[test]
fn a_line_ending_is_kept_with_a_warning_unless_trimmed() {
    let project = project();
    set(&project, &["api_key"], "value-1\n")
        .success()
        .stderr_contains("`--trim` drops it");
    project
        .resolve(["get", "api_key"])
        .run()
        .success()
        .stdout_is("value-1\n");
    for (typed, stored) in [
        ("value-2\n", "value-2"),
        ("value-3\r\n", "value-3"),
        ("value-4\n\n", "value-4\n"),
        ("value-5", "value-5"),
    ] {
        set(&project, &["api_key", "--trim"], typed)
            .success()
            .stderr_lacks("line ending");
        project
            .resolve(["get", "api_key"])
            .run()
            .success()
            .stdout_is(stored);
    }
}

#[test]
fn a_value_comes_from_a_file() {
    let project = project();
    project.write("key.pem", "-----BEGIN\nx\n-----END\n");
    project
        .resolve(["set", "api_key", "--file", "key.pem"])
        .run()
        .success();
    project
        .resolve(["get", "api_key"])
        .run()
        .success()
        .stdout_is("-----BEGIN\nx\n-----END\n");
    project
        .resolve(["set", "api_key", "--file", "nothing-here"])
        .run()
        .code(1)
        .stderr_contains("nothing-here");
}

#[test]
fn an_earlier_link_with_a_value_of_its_own_is_told() {
    let project = project();
    project
        .resolve(["set", "api_key"])
        .env("API_KEY", "from-the-environment")
        .stdin("from-standard-input")
        .secret("from-standard-input")
        .run()
        .success()
        .stderr_contains("`env` comes earlier in the chain of `api_key`");
}

#[test]
fn an_undeclared_name_is_stored_and_how_to_declare_it_is_told() {
    let project = project();
    set(&project, &["other_key"], "some-value")
        .success()
        .stderr_contains("`other_key` is not declared")
        .stderr_contains("[credentials.other_key]");
    set(&project, &["other-Key.2"], "some-value")
        .success()
        .stderr_contains("[credentials.other_key_2]\nat = { age = \"default/other-Key.2\" }\n");
    let declared =
        format!("{DECLARED}[credentials.other_key_2]\nat = {{ age = \"default/other-Key.2\" }}\n");
    project.write("credchain.toml", declared);
    project
        .resolve(["get", "other_key_2"])
        .run()
        .success()
        .stdout_is("some-value");
    project
        .resolve(["get", "other_key"])
        .run()
        .success()
        .stdout_is("some-value");
}

#[test]
fn only_what_is_expected_is_overwritten() {
    let project = project();
    set(&project, &["api_key", "--expect", "absent"], "first-value").success();
    set(&project, &["api_key", "--expect", "absent"], "second-value").code(1);
    set(&project, &["api_key", "--expect", "7"], "second-value").code(1);
    project
        .resolve(["get", "api_key"])
        .run()
        .success()
        .stdout_is("first-value");
    set(&project, &["api_key", "--expect", "1"], "second-value").success();
    project
        .resolve(["get", "api_key"])
        .run()
        .success()
        .stdout_is("second-value");
}

#[test]
fn what_cannot_be_written_is_refused_before_anything_is_read() {
    let project = project();
    set(&project, &["api_key", "--to", "env"], "some-value")
        .code(1)
        .stderr_contains("cannot be written");
    set(&project, &["api_key", "--to", "nope"], "some-value")
        .code(6)
        .stderr_contains("no provider is named `nope`");
    set(&project, &["url"], "some-value")
        .code(2)
        .stderr_contains("made from a template")
        .stderr_contains("`api_key`");
}

#[test]
fn an_empty_value_is_refused_unless_the_configuration_allows_it() {
    let project = project();
    set(&project, &["api_key"], "")
        .code(6)
        .stderr_contains("allow_empty");
    project.resolve(["get", "api_key"]).run().code(3);
    set(&project, &["maybe"], "").success();
    project
        .resolve(["get", "maybe"])
        .run()
        .success()
        .stdout_is("");
}

#[test]
fn a_dotenv_file_is_written_only_when_asked_for() {
    let project = project();
    set(&project, &["api_key", "--to", "dotenv"], "it's $5").success();
    assert_eq!(project.read(".env"), b"API_KEY=\"it's $5\"\n");
    set(
        &project,
        &["api_key", "--to", "dotenv", "--expect", "absent"],
        "other-value",
    )
    .code(1);
    project
        .resolve(["set", "api_key", "--to", "dotenv"])
        .stdin(b"a\0b")
        .run()
        .code(6);
    assert_eq!(project.read(".env"), b"API_KEY=\"it's $5\"\n");
}

#[test]
fn one_place_is_written_and_deleted_by_its_address() {
    let project = project();
    set(
        &project,
        &["age://shared/db"],
        &format!("{{\"password\":\"{}\"}}", "hunter22"),
    )
    .success();
    project
        .resolve(["get", "age://shared/db#password"])
        .run()
        .success()
        .stdout_is("hunter22");
    set(&project, &["age://shared/db", "--to", "age"], "some-value").code(2);
    set(&project, &["age://shared/../db"], "some-value").code(2);
    set(&project, &["nope://shared/db"], "some-value").code(6);
    project
        .resolve(["delete", "age://shared/db", "--yes"])
        .run()
        .success();
    project.resolve(["get", "age://shared/db"]).run().code(3);
}

#[test]
fn a_name_that_is_none_is_a_usage_error() {
    let project = project();
    let long = "a".repeat(10_000);
    for name in ["", "a/b", "..", "a..b", "a\nb", "1a", long.as_str()] {
        set(&project, &[name], "some-value").code(2);
        project.resolve(["delete", name, "--yes"]).run().code(2);
    }
}

#[test]
fn deleting_needs_a_yes_from_somebody() {
    let project = project();
    set(&project, &["api_key"], "some-value").success();
    project
        .resolve(["delete", "api_key"])
        .run()
        .code(2)
        .stderr_contains("`--yes`");
    project
        .resolve(["delete", "api_key", "--yes"])
        .run()
        .success()
        .stderr_contains("deleted `api_key` at `age://default/api_key`");
    project.resolve(["get", "api_key"]).run().code(3);
    project
        .resolve(["delete", "api_key", "--yes"])
        .run()
        .code(3);
}

#[test]
fn deleting_tells_in_json_what_was_deleted() {
    let project = project();
    set(&project, &["api_key"], "some-value").success();
    let json = project
        .resolve(["delete", "api_key", "--yes", "--json"])
        .run()
        .success()
        .json();
    assert_eq!(json["version"], 1);
    assert_eq!(json["link"], "age");
    assert_eq!(json["reference"], "default/api_key");
    assert_eq!(json["deleted"], true);
}

#[test]
fn without_a_project_the_way_to_one_is_shown() {
    Project::new()
        .resolve(["set", "api_key"])
        .stdin("some-value")
        .secret("some-value")
        .run()
        .code(6)
        .stderr_contains("`resolve init`");
}

#[test]
fn two_writers_at_once_lose_nothing() {
    let project = project();
    let names: Vec<String> = (0..8).map(|number| format!("key_{number}")).collect();
    std::thread::scope(|scope| {
        for name in &names {
            let project = &project;
            scope.spawn(move || set(project, &[name], &format!("value-of-{name}")).success());
        }
    });
    for name in &names {
        project
            .resolve(["get", name])
            .run()
            .success()
            .stdout_is(format!("value-of-{name}"));
    }
}

#[test]
fn in_json_a_warning_does_not_get_in_the_way() {
    let project = project();
    set(&project, &["api_key"], "s3cret-value\n")
        .success()
        .stderr_contains("line ending");
    set(&project, &["api_key", "--json"], "s3cret-value\n")
        .success()
        .stderr_is_empty();
}

#[test]
fn earlier_versions_are_read_by_number_and_by_name() {
    let project = project();
    for value in ["first-value", "second-value"] {
        set(&project, &["api_key"], value).success();
    }
    for (name, value) in [
        ("api_key@previous", "first-value"),
        ("api_key@1", "first-value"),
        ("api_key@2", "second-value"),
    ] {
        project
            .resolve(["get", name])
            .run()
            .success()
            .stdout_is(value);
    }
    project.resolve(["get", "api_key@9"]).run().code(3);
}
