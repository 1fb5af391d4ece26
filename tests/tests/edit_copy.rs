//! `resolve edit` and `resolve copy`

use credchain_tests::{Project, Resolve};

const CONFIG: &str = "[chain]\ndefault = [\"age\", \"dotenv\"]\nwrite = \"age\"\n\
                      [credentials.api_key]\n[credentials.binary]\n[credentials.db_password]\n\
                      [credentials.missing]\n";

fn project() -> Project {
    let project = Project::new();
    project.resolve(["init"]).run().success();
    project.write("credchain.toml", CONFIG);
    let values: [(&str, &[u8]); 3] = [
        ("api_key", b"s3cret-api 'quoted' $x ${Y}\nsecond line"),
        ("binary", b"\xff\0binary"),
        ("db_password", b"s3cret-db"),
    ];
    for (name, value) in values {
        project.resolve(["set", name]).stdin(value).run().success();
    }
    project
}

/// A run of `edit` whose editor is this shell script; the file's path is `$1`.
fn edit(project: &Project, script: &str) -> Resolve {
    let editor = project.write("editor.sh", format!("set -e\n{script}\n"));
    project
        .resolve(["edit"])
        .plain_env("VISUAL", format!("sh {}", editor.display()))
        .secret("s3cret-api")
        .secret("s3cret-db")
}

fn get(project: &Project, name: &str) -> Vec<u8> {
    project
        .resolve(["get", name])
        .run()
        .success()
        .stdout_bytes()
        .to_vec()
}

#[test]
fn leaving_the_editor_without_a_change_changes_nothing() {
    let project = project();
    let before = project.read("credchain.age");
    edit(&project, "true")
        .run()
        .success()
        .stderr_contains("nothing was changed");
    assert!(
        project.read("credchain.age") == before,
        "the store was written again"
    );
}

#[test]
fn only_what_was_changed_is_written_and_only_names_are_told() {
    let project = project();
    edit(&project, "sed -i \"s/^db_password=.*/db_password='s3cret-new'/\" \"$1\"; echo \"missing='s3cret-first'\" >> \"$1\"")
        .secret("s3cret-new")
        .secret("s3cret-first")
        .run()
        .success()
        .stdout_is("")
        .stderr_contains("changed `db_password` at `age://default/db_password`")
        .stderr_contains("added `missing`")
        .stderr_lacks("api_key");
    assert_eq!(get(&project, "db_password"), b"s3cret-new");
    assert_eq!(get(&project, "missing"), b"s3cret-first");
    assert_eq!(
        get(&project, "api_key"),
        b"s3cret-api 'quoted' $x ${Y}\nsecond line"
    );
    assert_eq!(get(&project, "binary"), b"\xff\0binary");
}

#[test]
fn a_removed_line_is_deleted_and_a_binary_value_is_left_alone() {
    let project = project();
    edit(&project, "sed -i /^db_password=/d \"$1\"")
        .run()
        .success()
        .stderr_contains("removed `db_password`");
    project.resolve(["get", "db_password"]).run().code(3);
    assert_eq!(get(&project, "binary"), b"\xff\0binary");
}

#[cfg(target_os = "linux")]
#[test]
fn the_file_is_private_in_memory_and_gone_afterwards() {
    let project = project();
    let seen = project.dir().join("seen");
    let look = format!(
        "stat -c '%a %n' \"$1\" \"$(dirname \"$1\")\" > {0}; stat -f -c %T \"$1\" >> {0}; \
         grep -c s3cret \"$1\" >> {0}",
        seen.display()
    );
    edit(&project, &look).run().success();
    let seen = String::from_utf8(project.read("seen")).unwrap();
    let lines: Vec<&str> = seen.lines().collect();
    let (file, directory) = (lines[0], lines[1]);
    assert!(
        file.starts_with("600 ") && directory.starts_with("700 "),
        "{seen}"
    );
    assert_eq!(lines[2..], ["tmpfs", "2"], "{seen}");
    let path = directory.split_once(' ').unwrap().1;
    assert!(!std::path::Path::new(path).exists());
}

#[test]
fn an_editor_that_fails_or_does_not_exist_changes_nothing_and_leaves_nothing() {
    let project = project();
    let script = format!(
        "echo \"$1\" > {}/seen; echo broken= > \"$1\"; exit 3",
        project.dir().display()
    );
    edit(&project, &script)
        .run()
        .code(2)
        .stderr_contains("nothing was changed");
    let seen = String::from_utf8(project.read("seen")).unwrap();
    assert!(!std::path::Path::new(seen.trim()).exists());
    project
        .resolve(["edit"])
        .plain_env("VISUAL", "no-such-editor-anywhere")
        .run()
        .code(2)
        .stderr_contains("there is no editor `no-such-editor-anywhere`");
    assert_eq!(get(&project, "db_password"), b"s3cret-db");
}

#[test]
fn an_editor_that_is_ended_leaves_nothing() {
    let project = project();
    let script = format!(
        "echo \"$1\" > {}/seen; kill -INT $PPID; kill -INT $$",
        project.dir().display()
    );
    edit(&project, &script).run().code(130);
    let seen = String::from_utf8(project.read("seen")).unwrap();
    assert!(!std::path::Path::new(seen.trim()).exists());
}

#[test]
fn without_a_terminal_and_an_editor_it_says_what_to_set() {
    project()
        .resolve(["edit"])
        .run()
        .code(2)
        .stderr_contains("VISUAL");
}

#[test]
fn a_file_that_cannot_be_read_back_changes_nothing() {
    for (line, message) in [
        ("= broken", "line"),
        ("api_key", "no `=`"),
        ("1bad=x", "starts with a letter"),
        ("missing=\"${HOME}\"", "`${HOME}` would be replaced"),
        ("binary=text", "`binary` is no text"),
        ("missing=", "is empty"),
    ] {
        let project = project();
        let before = project.read("credchain.age");
        edit(&project, &format!("cat >> \"$1\" <<'END'\n{line}\nEND"))
            .run()
            .code(2)
            .stderr_contains(message)
            .stderr_contains("nothing was changed");
        assert!(project.read("credchain.age") == before, "{line}");
    }
}

#[test]
fn a_value_that_is_shadowed_by_an_earlier_link_is_told() {
    let project = project();
    project.write(".env", "MISSING=s3cret-earlier\n");
    project.write(
        "credchain.toml",
        CONFIG.replace("\"age\", \"dotenv\"", "\"dotenv\", \"age\""),
    );
    edit(&project, "echo \"missing='s3cret-first'\" >> \"$1\"")
        .run()
        .success()
        .stderr_contains("`dotenv` comes earlier in the chain of `missing`");
}

#[test]
fn values_are_copied_between_providers_and_read_back() {
    let project = project();
    project
        .resolve(["copy", "db_password", "--from", "age", "--to", "dotenv"])
        .secret("s3cret-db")
        .run()
        .success()
        .stderr_contains("`db_password` copied to `dotenv://DB_PASSWORD`");
    assert_eq!(project.read(".env"), b"DB_PASSWORD='s3cret-db'\n");
    let json = project
        .resolve([
            "copy",
            "db_password",
            "--from",
            "age",
            "--to",
            "dotenv",
            "--json",
        ])
        .run()
        .success()
        .json();
    assert_eq!(json["version"], 1);
    assert_eq!(json["copied"][0]["status"], "same");
    assert_eq!(json["copied"][0]["to"], "dotenv://DB_PASSWORD");
}

#[test]
fn a_different_value_is_not_overwritten_unless_asked_for() {
    let project = project();
    project.write(".env", "API_KEY=s3cret-mine\nDB_PASSWORD=s3cret-mine\n");
    let copy = ["copy", "db_password", "--from", "age", "--to", "dotenv"];
    project
        .resolve(copy)
        .secret("s3cret-mine")
        .run()
        .code(1)
        .stderr_contains("`--overwrite`");
    assert_eq!(
        project.read(".env"),
        b"API_KEY=s3cret-mine\nDB_PASSWORD=s3cret-mine\n"
    );
    project.resolve(copy).arg("--overwrite").run().success();
    assert_eq!(
        project.read(".env"),
        b"API_KEY=s3cret-mine\nDB_PASSWORD='s3cret-db'\n"
    );
}

#[test]
fn all_declared_values_are_copied_and_what_is_not_there_is_no_failure() {
    let project = project();
    project
        .resolve(["delete", "binary", "--yes"])
        .run()
        .success();
    project
        .resolve(["copy", "--all", "--from", "age", "--to", "dotenv"])
        .run()
        .success();
    let env = String::from_utf8(project.read(".env")).unwrap();
    assert!(
        env.contains("API_KEY=") && env.contains("DB_PASSWORD="),
        "{env}"
    );
    assert!(!env.contains("MISSING"), "{env}");
    project
        .resolve(["copy", "missing", "--from", "age", "--to", "dotenv"])
        .run()
        .code(3)
        .stderr_contains("`missing`");
}

#[test]
fn what_cannot_be_written_there_is_told_with_what_was_written_before() {
    let project = project();
    project
        .resolve(["copy", "--all", "--from", "age", "--to", "dotenv"])
        .secret("s3cret-db")
        .run()
        .code(6)
        .stderr_contains("`binary`")
        .stderr_contains("written before it failed: `api_key`");
}

#[test]
fn copying_to_the_same_or_to_an_unknown_place_is_a_mistake() {
    let project = project();
    project
        .resolve(["copy", "api_key", "--from", "age", "--to", "age"])
        .run()
        .code(2);
    project
        .resolve(["copy", "api_key", "--from", "age", "--to", "nope"])
        .run()
        .code(6);
    project
        .resolve(["copy", "--from", "age", "--to", "dotenv"])
        .run()
        .code(2);
}
