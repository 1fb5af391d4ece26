//! `resolve inject`

use credchain_tests::Project;

const CONFIG: &str = "[chain]\ndefault = [\"env\", \"dotenv\", \"age\"]\nwrite = \"age\"\n\
                      [credentials.db_password]\n[credentials.api_key]\n\
                      [credentials.host]\nsecret = false\ndefault = \"localhost\"\n";

fn project() -> Project {
    let project = Project::new();
    project.resolve(["init"]).run().success();
    project.write("credchain.toml", CONFIG);
    project
        .resolve(["set", "db_password"])
        .stdin("p@ss/w\"ord")
        .run()
        .success();
    project
        .resolve(["set", "api_key"])
        .stdin(b"\xffbinary\0")
        .run()
        .success();
    project
}

#[test]
fn places_are_filled_and_everything_else_stays() {
    let project = project();
    project.write(
        "t",
        "${HOME} $x { y } {{ \"{{\" }} url=postgres://app:{{ db_password | url }}@{{host}}/\n\
         json={{ db_password | json }} sh={{ db_password | sh }}\n",
    );
    project
        .resolve(["inject", "t"])
        .secret("p@ss/w\"ord")
        .run()
        .success()
        .stdout_is(
            "${HOME} $x { y } {{ url=postgres://app:p%40ss%2Fw%22ord@localhost/\n\
             json=\"p@ss/w\\\"ord\" sh='p@ss/w\"ord'\n",
        )
        .stderr_is_empty();
    project
        .resolve(["inject", "-"])
        .stdin("[{{ api_key }}]")
        .run()
        .success()
        .stdout_is(b"[\xffbinary\0]");
    project
        .resolve(["inject", "-"])
        .stdin("{{ api_key | base64 }}")
        .run()
        .success()
        .stdout_is("/2JpbmFyeQA=");
}

#[cfg(unix)]
#[test]
fn a_file_is_private_and_replaced_whole() {
    use std::os::unix::fs::PermissionsExt as _;

    let project = project();
    let out = project.write("app.conf", "old");
    project.write("t", "p={{ db_password }}");
    project
        .resolve(["inject", "t", "-o", "app.conf"])
        .secret("p@ss/w\"ord")
        .run()
        .success()
        .stdout_is("")
        .stderr_contains("wrote `app.conf`");
    assert_eq!(project.read("app.conf"), b"p=p@ss/w\"ord");
    assert_eq!(
        std::fs::metadata(&out).unwrap().permissions().mode() & 0o777,
        0o600
    );
    // Whatever fails leaves the old content.
    project.write("broken", "{{ nope }}");
    project
        .resolve(["inject", "broken", "-o", "app.conf"])
        .run()
        .code(6);
    assert_eq!(project.read("app.conf"), b"p=p@ss/w\"ord");
    let left = std::fs::read_dir(project.dir()).unwrap().flatten();
    let left: Vec<_> = left
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert!(
        !left.iter().any(|name| name.starts_with(".credchain")),
        "{left:?}"
    );
}

#[cfg(unix)]
#[test]
fn nothing_is_written_through_a_symlink_or_into_a_missing_directory() {
    let project = project();
    project.write("target", "mine");
    std::os::unix::fs::symlink("target", project.dir().join("link")).unwrap();
    project.write("t", "{{ host }}");
    project
        .resolve(["inject", "t", "-o", "link"])
        .run()
        .code(2)
        .stderr_contains("symbolic link");
    assert_eq!(project.read("target"), b"mine");
    project
        .resolve(["inject", "t", "-o", "missing/app.conf"])
        .run()
        .code(1);
    project
        .resolve(["inject", "t", "-o", "."])
        .run()
        .code(2)
        .stderr_contains("directory");
}

#[test]
fn every_credential_that_cannot_be_filled_in_is_told() {
    let project = project();
    project
        .resolve(["delete", "api_key", "--yes"])
        .run()
        .success();
    project
        .resolve(["inject", "-"])
        .stdin("{{ api_key }} {{ db_pasword }} {{ nothing_like_it }}")
        .run()
        .code(6)
        .stdout_is("")
        .stderr_contains("`api_key`")
        .stderr_contains("did you mean `db_password`?")
        .stderr_contains("`nothing_like_it`");
}

#[test]
fn a_mistake_in_the_template_is_told_by_line_and_column() {
    let project = project();
    for (template, place) in [
        ("a\nbc {{ host | shout }}", "t:2:"),
        ("{{ host", "t:1:"),
        ("x\n\n{{ }}", "t:3:"),
    ] {
        project.write("t", template);
        project
            .resolve(["inject", "t"])
            .run()
            .code(6)
            .stdout_is("")
            .stderr_contains(place);
    }
    project
        .resolve(["inject", "-"])
        .stdin(b"ok\n\xff")
        .run()
        .code(6)
        .stderr_contains("standard input:2:1: not UTF-8");
    project
        .resolve(["inject", "no-such-file"])
        .run()
        .code(1)
        .stderr_contains("no-such-file");
}

#[test]
fn a_value_that_a_filter_cannot_carry_is_told() {
    project()
        .resolve(["inject", "-"])
        .stdin("{{ api_key | json }}")
        .run()
        .code(6)
        .stdout_is("")
        .stderr_contains("`api_key`");
}
