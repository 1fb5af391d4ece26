//! `resolve trust`

use credchain_tests::Project;

const CONFIG: &str = "[chain]\ndefault = [\"env\", \"tool\"]\n\
                      [providers.tool]\ntype = \"command\"\nprogram = \"/bin/false\"\n\
                      [credentials.api_key]\n";

fn project() -> Project {
    let project = Project::new();
    project.write("credchain.toml", CONFIG);
    project
}

#[test]
fn what_a_project_wants_to_do_is_shown_with_its_place() {
    project()
        .resolve(["trust", "--show"])
        .run()
        .success()
        .stdout_contains("use the provider `tool`")
        .stdout_contains("credchain.toml:");
    let json = project()
        .resolve(["trust", "--show", "--json"])
        .run()
        .success()
        .json();
    assert_eq!(json["version"], 1);
    assert_eq!(json["trusted"], false);
    assert_eq!(json["status"], "unknown");
    assert_eq!(json["needs"].as_array().unwrap().len(), 1);
}

#[test]
fn trust_is_given_by_a_person_or_by_an_option_alone() {
    let project = project();
    project
        .resolve(["get", "api_key"])
        .run()
        .code(7)
        .stderr_contains("`resolve trust`");
    project
        .resolve(["trust"])
        .run()
        .code(2)
        .stderr_contains("`--yes`");
    project.resolve(["get", "api_key"]).run().code(7);
    project
        .resolve(["trust", "--yes"])
        .run()
        .success()
        .stderr_contains("is trusted until");
    // The program is run now: `/bin/false` answers nothing.
    let code = project.resolve(["get", "api_key"]).run().status().code();
    assert!(code != Some(7), "{code:?}");
    project
        .resolve(["trust", "--list"])
        .run()
        .success()
        .stdout_contains("project");
}

#[test]
fn an_edit_that_wants_more_needs_a_new_look_and_one_that_does_not_keeps_trust() {
    let project = project();
    project.resolve(["trust", "--yes"]).run().success();
    project.write("credchain.toml", format!("# a comment\n{CONFIG}"));
    project
        .resolve(["trust", "--show"])
        .run()
        .success()
        .stdout_contains("is trusted");
    project.write("credchain.toml", CONFIG.replace("/bin/false", "/bin/true"));
    project
        .resolve(["trust", "--show"])
        .run()
        .success()
        .stdout_contains("wants more now");
    project.resolve(["get", "api_key"]).run().code(7);
}

#[test]
fn trust_is_taken_back() {
    let project = project();
    project.resolve(["trust", "--yes"]).run().success();
    project
        .resolve(["trust", "--revoke"])
        .run()
        .success()
        .stderr_contains("not trusted any more");
    project.resolve(["get", "api_key"]).run().code(7);
    project
        .resolve(["trust", "--revoke"])
        .run()
        .success()
        .stderr_contains("was not trusted");
    project
        .resolve(["trust", "--list"])
        .run()
        .success()
        .stdout_is("");
}

#[test]
fn what_the_user_named_needs_no_trust() {
    project()
        .resolve(["-c", "credchain.toml", "trust", "--show"])
        .run()
        .success()
        .stdout_contains("your own word");
}

#[test]
fn a_configuration_that_does_nothing_special_needs_none() {
    let project = Project::new();
    project.resolve(["init"]).run().success();
    project
        .resolve(["trust"])
        .run()
        .success()
        .stdout_contains("nothing that needs trust");
}

#[test]
fn without_a_configuration_there_is_nothing_to_trust() {
    Project::new()
        .resolve(["trust"])
        .run()
        .code(2)
        .stderr_contains("`resolve init`");
}

#[test]
fn an_import_of_ones_own_does_not_undo_trust() {
    let project = Project::new();
    project.resolve(["init"]).run().success();
    project.write(".env", "OddlyNamed=some-value-of-mine\n");
    project.resolve(["import", ".env"]).run().success();
    std::fs::remove_file(project.dir().join(".env")).unwrap();
    project.resolve(["check"]).run().success();
}

#[test]
fn a_store_of_an_untrusted_link_is_not_opened_for_its_recipients() {
    let project = Project::new();
    project.write(
        "credchain.toml",
        "[chain]\ndefault = [\"age\"]\n[providers.age]\npath = \"../elsewhere.age\"\n",
    );
    project.resolve(["recipients", "list"]).run().code(7);
    project.resolve(["list"]).run().code(7);
}

#[test]
fn trust_names_the_program_that_it_is_asked_for() {
    let project = Project::new();
    project.write(
        "credchain.toml",
        "[chain]\ndefault = [\"tool\"]\n[providers.tool]\ntype = \"command\"\n\
         program = \"sh\"\nget = [\"-c\", \"true\"]\n",
    );
    project
        .resolve(["trust", "--show"])
        .run()
        .stdout_contains("it runs `sh`");
    project
        .resolve(["get", "x"])
        .run()
        .code(7)
        .stderr_contains("it runs `sh`");
}
