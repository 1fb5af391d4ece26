//! `resolve get`: exact bytes, clear misses, the published exit codes.

use credchain_tests::{Project, Resolve};

const DECLARED: &str = "[chain]\ndefault = [\"env\", \"dotenv\"]\n[credentials.api_key]\n";

#[test]
fn a_value_is_printed_byte_for_byte() {
    for value in ["plain", "line\nbreak\n", " $HOME `id` \"'\\ ", "é🔑"] {
        Resolve::new()
            .config(DECLARED)
            .env("API_KEY", value)
            .args(["get", "api_key"])
            .run()
            .success()
            .stdout_is(value)
            .stderr_is_empty();
    }
}

#[cfg(unix)]
#[test]
fn bytes_that_are_not_text_survive_and_are_base64_in_json() {
    use std::os::unix::ffi::OsStrExt as _;
    let value = std::ffi::OsStr::from_bytes(b"\xff\xfe\x01");
    let run = |args: &[&str]| {
        Resolve::new()
            .config(DECLARED)
            .env("API_KEY", value)
            .args(args)
            .run()
            .success()
    };
    run(&["get", "api_key"]).stdout_is(b"\xff\xfe\x01");
    let json = run(&["get", "api_key", "--json"]).json();
    assert_eq!(json["value_base64"], "//4B");
    assert!(json.get("value").is_none());
}

#[test]
fn json_has_the_published_shape() {
    let json = Resolve::new()
        .config(DECLARED)
        .env("API_KEY", "s3cret-value")
        .args(["--json", "get", "api_key"])
        .run()
        .success()
        .json();
    let expected = serde_json::json!({
        "version": 1, "name": "api_key", "value": "s3cret-value", "link": "env",
        "reference": "API_KEY", "secret_version": null, "stale": false,
    });
    assert_eq!(json, expected);
}

#[test]
fn without_a_configuration_the_environment_and_dotenv_answer() {
    let project = Project::new();
    project.write(".env", "A=$2a$10$abc\nB=${A}x\n");
    project
        .resolve(["get", "A"])
        .run()
        .success()
        .stdout_is("$2a$10$abc");
    project
        .resolve(["get", "B"])
        .run()
        .success()
        .stdout_is("$2a$10$abcx");
    project
        .resolve(["get", "A"])
        .env("A", "from-environment")
        .run()
        .stdout_is("from-environment");
    project.resolve(["get", "HOME"]).run().success();
    project
        .resolve(["get", "missing"])
        .run()
        .code(3)
        .stdout_is("")
        .stderr_contains("`missing`");
}

#[test]
fn a_declared_secret_that_is_set_but_empty_is_missing_and_says_so() {
    Resolve::new()
        .config(DECLARED)
        .plain_env("API_KEY", "")
        .args(["get", "api_key"])
        .run()
        .code(3)
        .stderr_contains("set but empty");
    Resolve::new()
        .config(&DECLARED.replace("api_key]", "api_key]\nallow_empty = true"))
        .plain_env("API_KEY", "")
        .args(["get", "api_key"])
        .run()
        .success()
        .stdout_is("");
}

#[test]
fn a_typo_in_a_name_is_answered_with_the_name_that_was_meant() {
    Resolve::new()
        .config(DECLARED)
        .args(["get", "api_kye"])
        .run()
        .code(3)
        .stderr_contains("did you mean `api_key`?");
}

#[test]
fn hostile_names_are_usage_errors_and_are_not_repeated() {
    let long = "a".repeat(10_000);
    for name in [
        "../etc/passwd",
        "a/b",
        "a\nb",
        "",
        "a b",
        "\u{1b}[31m",
        &long,
    ] {
        Resolve::new()
            .config(DECLARED)
            .args(["get", "--", name])
            .run()
            .code(2)
            .stdout_is("");
    }
}

#[test]
fn an_error_in_json_goes_to_standard_error_in_the_published_shape() {
    let error = Resolve::new()
        .config(DECLARED)
        .args(["get", "api_key", "--json"])
        .run()
        .code(3)
        .stdout_is("")
        .error_json();
    assert_eq!(error["version"], 1);
    assert_eq!(error["error"]["kind"], "not_found");
    assert_eq!(error["error"]["code"], 3);
    assert_eq!(error["error"]["credential"], "api_key");
    assert!(error["error"]["hint"].as_str().unwrap().contains("API_KEY"));
}

#[test]
fn an_address_reads_one_place_at_one_provider() {
    let project = Project::new();
    project.write(".env", "OTHER=value-of-other\n");
    project.write("credchain.toml", DECLARED);
    project
        .resolve(["get", "dotenv://OTHER"])
        .run()
        .success()
        .stdout_is("value-of-other");
    project
        .resolve(["get", "nowhere://X"])
        .run()
        .code(6)
        .stderr_contains("`nowhere`");
    project.resolve(["get", "dotenv://../X"]).run().code(2);
}

#[test]
fn name_file_is_read_for_declared_names_and_both_set_is_a_mistake() {
    let project = Project::new();
    project.write("credchain.toml", DECLARED);
    let file = project.write("key.txt", "from-file\n");
    let from_file = project
        .resolve(["get", "api_key"])
        .plain_env("API_KEY_FILE", &file);
    from_file.run().success().stdout_is("from-file\n");
    project
        .resolve(["get", "api_key"])
        .plain_env("API_KEY_FILE", &file)
        .env("API_KEY", "from-variable")
        .run()
        .code(6)
        .stderr_contains("API_KEY_FILE");
}

#[test]
fn an_unknown_profile_is_a_configuration_error() {
    Resolve::new()
        .config(DECLARED)
        .args(["-p", "prodution", "get", "api_key"])
        .run()
        .code(6)
        .stderr_contains("prodution");
}

#[cfg(unix)]
#[test]
fn a_reader_that_went_away_is_no_failure() {
    let project = Project::new();
    project.write(".env", format!("BIG={}\n", "x".repeat(3_000_000)));
    project
        .sh("{ resolve get BIG; echo $? >code; } | head -c1 >first; cat first code")
        .run()
        .success()
        .stdout_is("x0\n")
        .stderr_is_empty();
}

#[test]
fn a_ten_mebibyte_dotenv_is_read() {
    let project = Project::new();
    let mut text = String::with_capacity(11 << 20);
    for line in 0..150_000 {
        text += &format!("KEY_{line}={}\n", "v".repeat(60));
    }
    project.write(".env", &text);
    project
        .resolve(["get", "KEY_149999"])
        .run()
        .success()
        .stdout_is("v".repeat(60));
}

#[test]
fn a_typo_is_recognized_without_a_configuration_too() {
    let project = Project::new();
    project.write(".env", "API_KEY=from-dotenv\n");
    for typo in ["API_KYE", "api_kye"] {
        project
            .resolve(["get", typo])
            .run()
            .code(3)
            .stderr_contains("did you mean `API_KEY`?");
    }
}

#[test]
fn a_key_that_no_credential_can_have_is_named_not_swallowed() {
    let project = Project::new();
    project.write(".env", "API_KEY=from-dotenv\n2FA=three\n");
    for args in [vec!["check"], vec!["export"], vec!["exec", "--", "true"]] {
        project
            .resolve(args)
            .run()
            .success()
            .stderr_contains("key=2FA")
            .stderr_contains("resolve init");
    }
}

#[test]
fn in_json_standard_error_is_one_document_or_nothing() {
    let project = Project::new();
    project.write(".env", "API_KEY=from-dotenv\nthis is no line\n");
    project
        .resolve(["--json", "get", "API_KEY"])
        .run()
        .success()
        .stderr_is_empty();
    let missing = project
        .resolve(["--json", "get", "nope"])
        .run()
        .code(3)
        .error_json();
    assert_eq!(missing["error"]["kind"], "not_found");
    for args in [vec!["--json", "get"], vec!["get", "--json", "--nope", "x"]] {
        let usage = project.resolve(args).run().code(2).error_json();
        assert_eq!(usage["version"], 1);
        assert_eq!(usage["error"]["kind"], "usage");
        assert_eq!(usage["error"]["code"], 2);
    }
}

#[test]
fn no_arguments_are_a_question_for_help() {
    Project::new()
        .resolve([""; 0])
        .run()
        .code(2)
        .stderr_contains("Start here")
        .stderr_contains("resolve init");
}

#[test]
fn colour_is_for_terminals_unless_asked_for() {
    let project = Project::new();
    let miss = |args: &[&str]| project.resolve(args).run().code(6).stderr();
    assert!(!miss(&["check"]).contains('\u{1b}'));
    assert!(miss(&["--color", "always", "check"]).contains('\u{1b}'));
    #[cfg(unix)]
    {
        use credchain_tests::Terminal;
        Terminal::new(project.resolve(["check"]))
            .run()
            .code(6)
            .shows("\u{1b}[1;31m");
        let plain = project.resolve(["check"]).plain_env("NO_COLOR", "1");
        Terminal::new(plain).run().code(6).hides("\u{1b}[1;31m");
    }
}
