//! What the author of a repository tries so that trust is given to more than its user saw.

use credchain_tests::Project;

#[test]
fn a_program_in_another_profile_is_shown_before_it_is_trusted() {
    for default in ["[\"env\"]", "[\"env\", \"tool\"]"] {
        let project = Project::new();
        project.write(
            "credchain.toml",
            format!(
                "[chain]\ndefault = {default}\n[credentials.api_key]\n\
                 [providers.tool]\ntype = \"command\"\nprogram = \"/bin/false\"\n\
                 [profiles.hidden.chain]\ndefault = [\"evil\"]\n\
                 [profiles.hidden.providers.evil]\ntype = \"command\"\nprogram = \"/bin/true\"\n"
            ),
        );
        project
            .resolve(["trust", "--show"])
            .run()
            .success()
            .stdout_contains("use the provider `evil`");
        project.resolve(["trust", "--yes"]).run().success();
        project
            .resolve(["trust", "--show", "--profile", "hidden"])
            .run()
            .success()
            .stdout_contains("is trusted");
    }
}

#[test]
fn a_profile_with_a_mistake_is_not_trusted_unseen() {
    let project = Project::new();
    project.write(
        "credchain.toml",
        "[chain]\ndefault = [\"tool\"]\n[credentials.api_key]\n\
         [providers.tool]\ntype = \"command\"\nprogram = \"/bin/false\"\n\
         [profiles.hidden.chain]\ndefault = [\"evil\", \"nowhere\"]\n",
    );
    project
        .resolve(["trust", "--yes"])
        .run()
        .code(6)
        .stderr_contains("nowhere");
    project.resolve(["get", "api_key"]).run().code(7);
}

#[test]
fn an_import_does_not_trust_what_another_profile_wants() {
    let project = Project::new();
    project.resolve(["init"]).run().success();
    let mut config = String::from_utf8(project.read("credchain.toml")).unwrap();
    config += "\n[profiles.hidden.chain]\ndefault = [\"evil\"]\n\
               [profiles.hidden.providers.evil]\ntype = \"command\"\nprogram = \"/bin/true\"\n";
    project.write("credchain.toml", config);
    project.write(
        "fnox.toml",
        "[secrets]\nStripeKey = { description = \"x\" }\nAPI_KEY = {}\n",
    );
    project.resolve(["import", "fnox.toml"]).run().success();
    project
        .resolve(["get", "api_key", "--profile", "hidden"])
        .run()
        .code(7);
}

#[test]
fn what_runs_under_exec_asks_for_trust_like_its_caller() {
    let project = Project::new();
    project.write(
        "credchain.toml",
        "[credentials.a]\nsecret = false\ndefault = \"v\"\n\
         [profiles.hidden.chain]\ndefault = [\"evil\"]\n\
         [profiles.hidden.providers.evil]\ntype = \"command\"\nprogram = \"/bin/true\"\n",
    );
    // Another profile, and another configuration in the same place while the program runs.
    project
        .sh("resolve exec --no-mask -- resolve get b --profile hidden")
        .run()
        .code(7);
    let changed = "[chain]\ndefault = [\"evil\"]\n[credentials.b]\n\
                   [providers.evil]\ntype = \"command\"\nprogram = \"/bin/true\"\n";
    project.write("changed.toml", changed);
    project
        .sh("resolve exec --no-mask -- sh -c 'mv changed.toml credchain.toml && resolve get b'")
        .run()
        .code(7);
}

#[test]
fn what_runs_under_exec_elsewhere_finds_the_same_configuration() {
    let project = Project::new();
    project.write(
        "credchain.toml",
        "[credentials.a]\nsecret = false\ndefault = \"v\"\n",
    );
    project
        .sh("resolve exec --no-mask -- sh -c 'cd / && resolve get a'")
        .run()
        .success()
        .stdout_is("v");
}

#[test]
fn a_configuration_that_has_values_stored_in_clear_is_told() {
    let project = Project::new();
    project.write(
        "credchain.toml",
        "[chain]\nwrite = \"dotenv\"\n[credentials.a]\n",
    );
    project
        .resolve(["set", "a"])
        .stdin("s3cret")
        .run()
        .success()
        .stderr_contains("`dotenv` keeps values in clear");
    project
        .resolve(["set", "a", "--to", "dotenv"])
        .stdin("s3cret")
        .run()
        .success()
        .stderr_lacks("in clear");
}
