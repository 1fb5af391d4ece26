//! A credential's whole way: `init`, `set`, `get`, byte for byte.

use credchain_tests::Project;

fn round_trip(value: &[u8]) {
    let project = Project::new();
    project.resolve(["init"]).run().success();
    project
        .resolve(["set", "api_key"])
        .stdin(value)
        .secret(value)
        .run()
        .success();
    project
        .resolve(["get", "api_key"])
        .run()
        .success()
        .stdout_is(value)
        .stderr_is_empty();
}

#[test]
fn text_with_newlines_and_quotes_and_dollars_comes_back_byte_for_byte() {
    round_trip(
        b"one\ntwo\r\n\n'single' \"double\" `back` $HOME ${X} $2a$10$abc \\n # no comment\n",
    );
}

#[test]
fn bytes_that_are_no_text_come_back_byte_for_byte() {
    round_trip(b"\xff\xfe\x80 not utf-8 \xc3\x28");
    round_trip(b"a\0b\0\0");
    round_trip(&(0..=255).collect::<Vec<u8>>());
}

#[test]
fn a_mebibyte_comes_back_byte_for_byte() {
    let value: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    round_trip(&value);
}

#[test]
fn one_line_of_shell_sets_up_stores_and_reads() {
    let value = "it's \"$HOME\" $(id)\n\\end";
    Project::new()
        .sh("resolve -q init && printf %s \"$V\" | resolve -q set api_key && resolve get api_key")
        .env("V", value)
        .run()
        .success()
        .stdout_is(value)
        .stderr_is_empty();
}

#[test]
fn from_nothing_to_a_program_that_has_the_credential() {
    let project = Project::new();
    project.resolve(["init"]).run().success();
    project.write(
        "credchain.toml",
        [
            project.read("credchain.toml").as_slice(),
            b"\n[credentials.api_key]\n",
        ]
        .concat(),
    );
    project
        .resolve([
            "exec",
            "--no-mask",
            "--",
            "sh",
            "-c",
            "printf %s \"$API_KEY\"",
        ])
        .run()
        .code(125);
    project
        .resolve(["generate", "--set", "api_key"])
        .run()
        .success()
        .stdout_is("");
    let value = project.resolve(["get", "api_key"]).run().success().stdout();
    assert_eq!(value.len(), 43);
    project
        .resolve([
            "exec",
            "--no-mask",
            "--",
            "sh",
            "-c",
            "printf %s \"$API_KEY\"",
        ])
        .secret(&value)
        .run()
        .success()
        .stdout_is(&value);
}
