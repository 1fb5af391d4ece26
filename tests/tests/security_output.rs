//! What the author of a repository tries with names that a terminal or a log would obey.

#![cfg(unix)]

use credchain_tests::{Output, Project};

/// A directory's name that looks like the end of one message and another one after it.
const HOSTILE: &str = "x\u{1b}[31m\nerror: fake\u{202e}\u{200b}y";

fn shows_nothing_active(output: &Output) {
    for text in [output.stdout(), output.stderr()] {
        assert!(
            !text.contains(['\u{1b}', '\u{202e}', '\u{200b}']),
            "{text:?}"
        );
        assert!(!text.contains("\nerror: fake"), "{text:?}");
    }
}

#[test]
fn a_directorys_name_is_shown_and_not_obeyed() {
    let project = Project::new();
    let within = |file: &str| format!("{HOSTILE}/{file}");
    project.write(
        within("credchain.toml"),
        "[chain]\ndefault = [\"dotenv\", \"tool\"]\n[credentials.a]\n\
         [providers.tool]\ntype = \"command\"\nprogram = \"/bin/false\"\n",
    );
    project.write(within(".env"), "not a line\nA=1\n");
    for arguments in [
        &["get", "a"][..],
        &["-vv", "check"],
        &["explain", "a"],
        &["config", "show"],
        &["trust", "--show"],
        &["trust", "--yes"],
        &["trust", "--list"],
        &["trust", "--revoke"],
        &["get", "file:///x"],
        &["init"],
        &["import", "nowhere.env"],
    ] {
        shows_nothing_active(&project.resolve(arguments).in_dir(HOSTILE).run());
    }
    std::fs::remove_file(project.dir().join(within(".env"))).unwrap();
    std::fs::create_dir(project.dir().join(within(".env"))).unwrap();
    shows_nothing_active(&project.resolve(["get", "a"]).in_dir(HOSTILE).run());
    shows_nothing_active(&project.resolve(["inject", HOSTILE]).run());
}

#[test]
fn a_description_stays_one_line_without_directions() {
    let project = Project::new();
    project.write(
        "credchain.toml",
        "[credentials.a]\ndescription = \"d\\u001b[2J\\nerror: fake \\u202e\\u200b\"\n",
    );
    for arguments in [
        &["check"][..],
        &["explain", "a"],
        &["list"],
        &["config", "show"],
    ] {
        shows_nothing_active(&project.resolve(arguments).run());
    }
}
