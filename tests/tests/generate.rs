//! `resolve generate`

use credchain_tests::Project;

#[test]
fn a_token_is_43_url_safe_characters_and_never_the_same() {
    let project = Project::new();
    let make = || {
        let output = project
            .resolve(["generate"])
            .run()
            .success()
            .stderr_is_empty();
        output.stdout()
    };
    let (first, second) = (make(), make());
    assert_eq!(first.len(), 43);
    assert!(
        first
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    );
    assert_ne!(first, second);
}

#[test]
fn length_and_alphabet_are_the_users() {
    let project = Project::new();
    let make = |args: &[&str]| {
        let output = project
            .resolve(std::iter::once(&"generate").chain(args))
            .run()
            .success();
        output.stdout()
    };
    assert_eq!(make(&["--bytes", "16"]).len(), 22);
    let digits = make(&["--length", "20", "--alphabet", "digits"]);
    assert!(digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit()));
    let hex = make(&["--length", "40", "--alphabet", "hex"]);
    assert!(
        hex.bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    );
    let own = make(&["--length", "50", "--alphabet", "xyz"]);
    assert!(own.len() == 50 && own.bytes().all(|b| b"xyz".contains(&b)));
    let symbols = make(&["--length", "200", "--alphabet", "symbols"]);
    assert!(symbols.bytes().any(|b| b.is_ascii_punctuation()));
    assert!(
        !symbols.contains(['\'', '"', '\\', '`', '$', ' ']),
        "{symbols}"
    );
    let json = project
        .resolve(["generate", "--json"])
        .run()
        .success()
        .json();
    assert_eq!(json["version"], 1);
    assert_eq!(json["value"].as_str().unwrap().len(), 43);
}

#[test]
fn impossible_wishes_are_usage_errors() {
    let project = Project::new();
    for args in [
        &["--bytes", "0"][..],
        &["--bytes", "99999999999"],
        &["--length", "8", "--bytes", "8"],
        &["--length", "8", "--alphabet", "a"],
        &["--length", "8", "--alphabet", "aa"],
        &["--alphabet", "digits"],
        &["--to", "age"],
    ] {
        project
            .resolve(std::iter::once(&"generate").chain(args))
            .run()
            .code(2);
    }
}

#[test]
fn it_is_stored_without_being_shown_and_replaces_nothing_by_accident() {
    let project = Project::new();
    project.resolve(["init"]).run().success();
    project
        .resolve(["generate", "--set", "session_key"])
        .run()
        .success()
        .stdout_is("")
        .stderr_contains("stored `session_key` at `age://default/session_key`");
    let value = project
        .resolve(["get", "session_key"])
        .run()
        .success()
        .stdout();
    assert_eq!(value.len(), 43);
    project
        .resolve(["generate", "--set", "session_key"])
        .secret(&value)
        .run()
        .code(1)
        .stderr_contains("`--overwrite`");
    project
        .resolve(["get", "session_key"])
        .run()
        .success()
        .stdout_is(&value);
    project
        .resolve(["generate", "--set", "session_key", "--overwrite"])
        .run()
        .success();
    let other = project
        .resolve(["get", "session_key"])
        .run()
        .success()
        .stdout();
    assert_ne!(value, other);
    project
        .resolve(["generate", "--set", "in_clear", "--to", "dotenv"])
        .run()
        .success();
    project
        .resolve(["generate", "--set", "in_clear", "--to", "dotenv"])
        .run()
        .code(1);
}
