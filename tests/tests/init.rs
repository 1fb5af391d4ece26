//! `resolve init`

use credchain_tests::Project;

#[cfg(unix)]
fn mode(path: &std::path::Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = std::fs::metadata(path).expect("it is there");
    metadata.permissions().mode() & 0o777
}

#[test]
fn everything_is_made_and_the_next_commands_are_told() {
    let project = Project::new();
    let output = project
        .resolve(["init"])
        .run()
        .success()
        .stderr_contains("age1")
        .stderr_contains("Keep a copy of")
        .stderr_contains("resolve set api_key")
        .stderr_contains("resolve get api_key");
    assert_eq!(output.stdout(), "");
    assert_eq!(
        project.read(".gitignore"),
        b".env\n.env.local\n.env.production\n*.pem\n*.key\ncredentials.json\n"
    );
    let store = String::from_utf8(project.read("credchain.age")).unwrap();
    assert!(store.starts_with("-----BEGIN AGE ENCRYPTED FILE-----"));
    #[cfg(unix)]
    {
        assert_eq!(
            mode(&project.config_home().join("credchain/identity")),
            0o600
        );
        assert_eq!(mode(&project.config_home().join("credchain")), 0o700);
    }
    project
        .resolve(["config", "check"])
        .run()
        .success()
        .stdout_contains("no mistakes");
    project.resolve(["trust", "--show"]).run().success();
}

#[test]
fn a_second_run_changes_nothing_and_says_what_is_there() {
    let project = Project::new();
    project.resolve(["init"]).run().success();
    let files = ["credchain.toml", "credchain.age", ".gitignore"];
    let before: Vec<_> = files.iter().map(|file| project.read(file)).collect();
    project
        .resolve(["init", "--name", "other"])
        .run()
        .success()
        .stderr_contains("nothing was changed")
        .stderr_contains("exists  credchain.toml");
    let after: Vec<_> = files.iter().map(|file| project.read(file)).collect();
    assert!(before == after);
}

#[test]
fn nothing_that_exists_is_overwritten() {
    let project = Project::new();
    project.write("credchain.toml", "[project]\nname = \"mine\"\n");
    project.write(".gitignore", "target\n*.pem");
    project.resolve(["init"]).run().success();
    assert_eq!(
        project.read("credchain.toml"),
        b"[project]\nname = \"mine\"\n"
    );
    assert_eq!(
        project.read(".gitignore"),
        b"target\n*.pem\n.env\n.env.local\n.env.production\n*.key\ncredentials.json\n"
    );
}

#[test]
fn a_name_that_is_none_is_told_before_anything_is_made() {
    let project = Project::new();
    project.resolve(["init", "--name", "a b"]).run().code(2);
    assert!(!project.dir().join(".gitignore").exists());
    assert!(!project.config_home().join("credchain").exists());
}

#[cfg(unix)]
#[test]
fn no_secret_file_exists_before_it_is_ignored() {
    let project = Project::new();
    // What cannot be ignored is not made.
    std::os::unix::fs::symlink("elsewhere", project.dir().join(".gitignore")).unwrap();
    project.resolve(["init"]).run().code(2);
    assert!(!project.config_home().join("credchain/identity").exists());
    assert!(!project.dir().join("credchain.age").exists());
    assert!(!project.dir().join("credchain.toml").exists());
}

#[test]
fn an_identity_serves_all_projects_of_its_user() {
    let first = Project::new();
    let json = first.resolve(["init", "--json"]).run().success().json();
    assert_eq!(json["version"], 1);
    assert!(json["created"].as_array().unwrap().len() >= 4);
    let second = first
        .resolve(["init", "--json"])
        .in_dir("../second")
        .run()
        .success()
        .json();
    assert_eq!(json["recipient"], second["recipient"]);
    assert_eq!(json["identity"], second["identity"]);
}

#[test]
fn the_keys_of_an_existing_env_file_are_declared() {
    let project = Project::new();
    let value = "sekret-value-of-env";
    project.write(
        ".env",
        format!(
            "API_KEY={value}\nexport dbPassword='{value}'\nold-key={value}\nLD_PRELOAD=/x.so\n"
        ),
    );
    project.write(".env.example", "API_KEY=\nSMTP_PASSWORD=\n");
    project
        .resolve(["init"])
        .secret(value)
        .run()
        .success()
        .stderr_contains("resolve import .env --to age");
    let config = String::from_utf8(project.read("credchain.toml")).unwrap();
    assert!(config.contains("[credentials.api_key]\n"), "{config}");
    assert!(
        config.contains("[credentials.dbpassword]\nenv = \"dbPassword\"\n"),
        "{config}"
    );
    assert!(config.contains("[credentials.smtp_password]\n"), "{config}");
    project
        .resolve(["get", "old_key"])
        .secret(value)
        .run()
        .success()
        .stdout_is(value);
    assert!(!config.to_lowercase().contains("ld_preload"), "{config}");
    assert!(!config.contains(value));
    project
        .resolve(["check"])
        .secret(value)
        .run()
        .code(3)
        .stdout_contains("smtp_password");
}

#[test]
fn a_directory_below_a_project_is_not_made_a_project_by_accident() {
    let project = Project::new();
    project.resolve(["init"]).run().success();
    project
        .resolve(["init"])
        .in_dir("deeper/down")
        .run()
        .code(2)
        .stderr_contains("`--nested`");
    project
        .resolve(["init", "--nested"])
        .in_dir("deeper/down")
        .run()
        .success();
    assert!(project.dir().join("deeper/down/credchain.toml").exists());
}

#[test]
fn a_store_for_others_alone_is_told_with_what_to_do() {
    let alice = Project::new();
    alice.resolve(["init"]).run().success();
    let bob = Project::new();
    for file in ["credchain.toml", "credchain.age"] {
        bob.write(file, alice.read(file));
    }
    bob.resolve(["init"])
        .run()
        .success()
        .stderr_contains("your key does not open `credchain.age`")
        .stderr_contains("resolve recipients add age1");
}

#[test]
fn an_identity_can_have_a_passphrase() {
    let project = Project::new();
    project
        .resolve(["init", "--passphrase"])
        .env("CREDCHAIN_PASSPHRASE", "correct horse battery")
        .run()
        .success();
    let identity = std::fs::read_to_string(project.config_home().join("credchain/identity"));
    let identity = identity.unwrap_or_default();
    assert!(identity.contains("AGE ENCRYPTED FILE"), "{identity}");
    project
        .resolve(["get", "api_key"])
        .run()
        .code(4)
        .stderr_contains("CREDCHAIN_PASSPHRASE");
}

#[test]
fn a_passphrase_needs_somebody_who_can_be_asked() {
    let project = Project::new();
    project
        .resolve(["init", "--passphrase"])
        .run()
        .code(2)
        .stderr_contains("CREDCHAIN_PASSPHRASE");
    assert!(!project.config_home().join("credchain/identity").exists());
}

#[test]
fn a_local_file_that_was_there_before_is_not_trusted_by_init() {
    let project = Project::new();
    project.write("credchain.local.toml", "[redaction]\npatterns = false\n");
    let output = project.resolve(["init"]).run();
    assert!(
        !project
            .resolve(["trust", "--list"])
            .run()
            .success()
            .stdout()
            .contains("project")
    );
    drop(output);
}

#[test]
fn a_world_without_a_home_says_what_to_set() {
    Project::new()
        .resolve(["init"])
        .without_env("HOME")
        .without_env("XDG_CONFIG_HOME")
        .run()
        .code(6)
        .stderr_contains("HOME");
}
