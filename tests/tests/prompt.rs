//! A person at a terminal: what is asked, what is shown, and what Ctrl-C leaves behind.

#![cfg(unix)]

use credchain_tests::{Project, Terminal};

fn project() -> Project {
    let project = Project::new();
    project.resolve(["init"]).run().success();
    project
}

#[test]
fn a_value_that_is_typed_is_not_shown() {
    let project = project();
    Terminal::new(project.resolve(["set", "api_key"]))
        .expect("Value of `api_key`")
        .types("s3cret-typed-valuX\x7fe\n")
        .expect("once more")
        .types("s3cret-typed-value\r")
        .expect("stored `api_key`")
        .run()
        .code(0)
        .hides("s3cret");
    project
        .resolve(["get", "api_key"])
        .run()
        .success()
        .stdout_is("s3cret-typed-value");
}

#[test]
fn two_values_that_differ_are_not_stored() {
    let project = project();
    Terminal::new(project.resolve(["set", "api_key"]))
        .expect("Value of `api_key`")
        .types("s3cret-one\n")
        .expect("once more")
        .types("s3cret-two\n")
        .expect("differ")
        .run()
        .code(2)
        .hides("s3cret");
    project.resolve(["get", "api_key"]).run().code(3);
}

#[test]
fn an_empty_answer_is_no_value() {
    let project = project();
    Terminal::new(project.resolve(["set", "api_key"]))
        .expect("Value of `api_key`")
        .types("\n")
        .expect("nothing was stored")
        .run()
        .code(2);
}

#[test]
fn ctrl_c_at_a_hidden_prompt_ends_it_and_leaves_the_echo_on() {
    let project = project();
    Terminal::new(project.resolve(["set", "api_key"]))
        .expect("Value of `api_key`")
        .types("s3cret-half\x03")
        .run()
        .code(130)
        .hides("s3cret");
    Terminal::new(project.resolve(["set", "api_key"]))
        .expect("Value of `api_key`")
        .types("s3cret-whole\n")
        .expect("once more")
        .types("\x03")
        .run()
        .code(130)
        .hides("s3cret");
    project.resolve(["get", "api_key"]).run().code(3);
}

#[test]
fn deleting_asks_and_only_yes_is_yes() {
    let project = project();
    project
        .resolve(["set", "api_key"])
        .stdin("some-value")
        .run()
        .success();
    for (typed, code) in [
        ("n\n", 0),
        ("\n", 0),
        ("yesss\n", 0),
        ("\x03", 130),
        ("\x04", 0),
    ] {
        Terminal::new(project.resolve(["delete", "api_key"]))
            .expect("Delete `api_key` at `age://default/api_key`? [y/N]")
            .types(typed)
            .run()
            .code(code);
        project.resolve(["get", "api_key"]).run().success();
    }
    Terminal::new(project.resolve(["delete", "api_key"]))
        .expect("[y/N]")
        .types("y\n")
        .expect("deleted `api_key`")
        .run()
        .code(0);
    project.resolve(["get", "api_key"]).run().code(3);
}

#[test]
fn nothing_is_asked_when_told_not_to() {
    let project = project();
    Terminal::new(project.resolve(["--no-input", "set", "api_key"]))
        .expect("nobody to ask")
        .run()
        .code(2);
    Terminal::new(project.resolve(["--no-input", "delete", "api_key"]))
        .expect("--yes")
        .run()
        .code(2);
}

#[test]
fn trust_is_asked_for_after_showing_what_it_is_about() {
    let project = Project::new();
    project.write(
        "credchain.toml",
        "[chain]\ndefault = [\"tool\"]\n[providers.tool]\ntype = \"command\"\nprogram = \"/bin/false\"\n",
    );
    Terminal::new(project.resolve(["trust"]))
        .expect("use the provider `tool`")
        .expect("Allow all of this? [y/N]")
        .types("n\n")
        .expect("nothing was changed")
        .run()
        .code(7);
    Terminal::new(project.resolve(["trust"]))
        .expect("[y/N]")
        .types("yes\n")
        .expect("is trusted until")
        .run()
        .code(0);
}

#[test]
fn a_value_on_a_terminal_is_followed_by_a_line_ending() {
    let project = project();
    project
        .resolve(["set", "api_key"])
        .stdin("some-value")
        .run()
        .success();
    Terminal::new(project.resolve(["get", "api_key"]))
        .run()
        .code(0)
        .shows("some-value\r\n");
    let token = Terminal::new(project.resolve(["generate", "--length", "8", "--alphabet", "ab"]));
    token.run().code(0).shows("\r\n");
}

#[test]
fn a_broken_edit_can_be_corrected() {
    let project = project();
    project.write(
        "credchain.toml",
        [
            project.read("credchain.toml").as_slice(),
            b"\n[credentials.api_key]\n",
        ]
        .concat(),
    );
    let script = "if [ -e second ]; then echo \"api_key='s3cret-good'\" > \"$1\"; \
                  else touch second; echo '= s3cret-bad' > \"$1\"; fi";
    let editor = project.write("editor.sh", script);
    let resolve = project
        .resolve(["edit"])
        .plain_env("VISUAL", format!("sh {}", editor.display()));
    Terminal::new(resolve)
        .expect("is not understood")
        .expect("Edit again? [y/N]")
        .types("y\n")
        .expect("added `api_key`")
        .run()
        .code(0)
        .hides("s3cret");
    project
        .resolve(["get", "api_key"])
        .run()
        .success()
        .stdout_is("s3cret-good");
}

#[test]
fn ctrl_c_after_the_editor_leaves_no_file_behind() {
    let project = project();
    project.write(
        "credchain.toml",
        [
            project.read("credchain.toml").as_slice(),
            b"\n[credentials.api_key]\n",
        ]
        .concat(),
    );
    let editor = project.write(
        "editor.sh",
        "echo \"$1\" > seen; echo '= s3cret-bad' > \"$1\"",
    );
    let resolve = project
        .resolve(["edit"])
        .plain_env("VISUAL", format!("sh {}", editor.display()));
    Terminal::new(resolve)
        .expect("Edit again? [y/N]")
        .types("\x03")
        .run()
        .code(130)
        .hides("s3cret");
    let seen = String::from_utf8(project.read("seen")).unwrap();
    assert!(!std::path::Path::new(seen.trim()).exists());
}

#[test]
fn ctrl_c_at_a_providers_question_is_an_interruption_like_any_other() {
    let project = Project::new();
    project
        .resolve(["init", "--passphrase"])
        .env("CREDCHAIN_PASSPHRASE", "correct horse battery")
        .run()
        .success();
    Terminal::new(project.resolve(["get", "api_key"]))
        .expect("Passphrase of")
        .types("\x03")
        .run()
        .code(130)
        .shows("interrupted");
}

#[test]
fn ctrl_c_at_the_question_of_a_second_init_is_one_too() {
    let project = Project::new();
    project
        .resolve(["init", "--passphrase"])
        .env("CREDCHAIN_PASSPHRASE", "correct horse battery")
        .run()
        .success();
    Terminal::new(project.resolve(["init"]))
        .expect("Passphrase of")
        .types("\x03")
        .run()
        .code(130)
        .shows("interrupted");
}

#[test]
fn a_person_who_waits_is_told_so_and_a_pipe_is_not() {
    let project = Project::new();
    project.write(
        "credchain.toml",
        "[chain]\ndefault = [\"slow\"]\n[providers.slow]\ntype = \"command\"\n\
         program = \"/bin/sh\"\nargs = [\"-c\", \"sleep 1; exit 3\"]\n[credentials.api_key]\n",
    );
    project.resolve(["trust", "--yes"]).run().success();
    Terminal::new(project.resolve(["get", "api_key"]))
        .expect("waiting for an answer")
        .run()
        .code(6);
    project
        .resolve(["get", "api_key"])
        .run()
        .stderr_lacks("waiting for an answer");
}
