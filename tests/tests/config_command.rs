//! `resolve config`, `providers`, `list`, `completions`, `man`

use credchain_tests::Project;

const CONFIG: &str = "[chain]\ndefault = [\"env\", \"dotenv\", \"age\"]\nwrite = \"age\"\n\
                      [credentials.api_key]\ndescription = \"billing API\"\n\
                      [credentials.db_password]\nenv = \"PGPASSWORD\"\n";

fn project() -> Project {
    let project = Project::new();
    project.resolve(["init"]).run().success();
    project.write("credchain.toml", CONFIG);
    project
}

#[test]
fn every_setting_is_shown_with_its_source() {
    let project = project();
    project
        .resolve(["config", "show"])
        .plain_env("CREDCHAIN_PROJECT__NAME", "other")
        .run()
        .success()
        .stdout_contains("chain.write = \"age\"")
        .stdout_contains("# credchain.toml:3:")
        .stdout_contains("project.name = \"other\"")
        .stdout_contains("environment variable CREDCHAIN_PROJECT__NAME");
    let json = project
        .resolve(["config", "show", "--json"])
        .run()
        .success()
        .json();
    assert_eq!(json["version"], 1);
    assert_eq!(json["profile"], "default");
    assert_eq!(json["files"].as_array().unwrap().len(), 1);
    let settings = json["settings"].as_array().unwrap();
    let write = settings
        .iter()
        .find(|one| one["key"] == "chain.write")
        .unwrap();
    assert_eq!(write["value"], "\"age\"");
}

#[test]
fn all_mistakes_are_told_at_once_with_exit_6() {
    let project = project();
    project.write(
        "credchain.toml",
        "[chain]\ndefault = [\"envv\"]\n[credentials.a]\ndescripton = 1\n",
    );
    project
        .resolve(["config", "check"])
        .run()
        .code(6)
        .stderr_contains("envv")
        .stderr_contains("did you mean `description`?");
    let output = project.resolve(["config", "check", "--json"]).run().code(6);
    let json = output.json();
    assert_eq!(json["version"], 1);
    assert_eq!(json["ok"], false);
    assert!(json["diagnostics"].as_array().unwrap().len() >= 2);
}

#[test]
fn warnings_are_no_mistakes() {
    let project = project();
    project.write(
        "credchain.toml",
        "[credentials.a]\ndefault = \"in-clear\"\n",
    );
    project
        .resolve(["config", "check"])
        .run()
        .success()
        .stdout_contains("no mistakes, 1 warning")
        .stderr_contains("default in clear");
    let json = project
        .resolve(["config", "check", "--json"])
        .run()
        .success()
        .json();
    assert_eq!(json["ok"], true);
    assert_eq!(json["diagnostics"].as_array().unwrap().len(), 1);
}

#[test]
fn the_schema_is_printed_even_where_the_configuration_is_broken() {
    let project = project();
    project.write("credchain.toml", "broken = [");
    let json = project.resolve(["config", "schema"]).run().success().json();
    assert!(json["properties"]["credentials"].is_object());
}

#[test]
fn declared_credentials_are_listed_with_where_they_are() {
    let project = project();
    let value = "s3cret-value";
    for name in ["api_key", "other"] {
        project.resolve(["set", name]).stdin(value).run().success();
    }
    project.write(".env", format!("PGPASSWORD={value}\n"));
    let output = project
        .resolve(["list"])
        .secret(value)
        .run()
        .success()
        .stdout_contains("billing API")
        .stdout_contains("PGPASSWORD")
        .stdout_contains("stored, but not declared:\n  age://default/other\n")
        .stdout_lacks(value);
    let api_key = output
        .stdout()
        .lines()
        .find(|line| line.starts_with("api_key"))
        .unwrap()
        .to_owned();
    assert!(
        api_key.contains("API_KEY") && api_key.contains("age"),
        "{api_key}"
    );
    let json = project.resolve(["list", "--json"]).run().success().json();
    assert_eq!(json["version"], 1);
    assert_eq!(json["credentials"][0]["name"], "api_key");
    assert_eq!(json["credentials"][0]["stored"][0]["link"], "age");
    assert_eq!(json["credentials"][0]["stored"][0]["secret_version"], "1");
    assert_eq!(json["credentials"][1]["stored"][0]["link"], "dotenv");
    assert_eq!(json["undeclared"][0]["reference"], "default/other");
    project
        .resolve(["list", "--link", "dotenv"])
        .run()
        .success()
        .stdout_lacks("api_key");
    project.resolve(["list", "--link", "nope"]).run().code(6);
}

#[test]
fn a_store_that_is_locked_is_told_and_the_rest_is_listed() {
    let project = project();
    std::fs::remove_file(project.config_home().join("credchain/identity")).unwrap();
    project
        .resolve(["list"])
        .run()
        .code(4)
        .stdout_contains("api_key")
        .stderr_contains("`age` was not listed");
    project
        .resolve(["providers", "--check"])
        .run()
        .code(4)
        .stdout_contains("unauthenticated");
}

#[test]
fn providers_are_shown_and_asked() {
    let project = project();
    project
        .resolve(["providers"])
        .run()
        .success()
        .stdout_contains("one encrypted file")
        .stdout_contains("in this project:");
    let json = project
        .resolve(["providers", "--check", "--json"])
        .run()
        .success()
        .json();
    assert_eq!(json["version"], 1);
    let types = json["types"].as_array().unwrap();
    let age = types.iter().find(|one| one["type"] == "age").unwrap();
    let can = age["capabilities"].as_array().unwrap();
    assert!(can.contains(&"write".into()) && can.contains(&"encrypted".into()));
    let link = |name: &str| {
        let links = json["links"].as_array().unwrap();
        links.iter().find(|one| one["link"] == name).unwrap()["state"].clone()
    };
    assert_eq!(link("age"), "ok");
    assert_eq!(link("env"), "ok");
    project
        .resolve(["providers", "age"])
        .run()
        .success()
        .stdout_contains("keep_versions")
        .stdout_lacks("environment variables");
    project
        .resolve(["providers", "agee"])
        .run()
        .code(2)
        .stderr_contains("did you mean `age`?");
}

#[test]
fn completions_are_printed_for_every_shell() {
    for (shell, sign) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef resolve"),
        ("fish", "complete -c resolve"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion"),
    ] {
        Project::new()
            .resolve(["completions", shell])
            .run()
            .success()
            .stdout_contains(sign)
            .stdout_contains("recipients")
            .stderr_is_empty();
    }
    Project::new()
        .resolve(["completions", "tcsh"])
        .run()
        .code(2);
}

#[test]
fn a_closed_pipe_is_no_failure() {
    Project::new()
        .sh("{ resolve completions bash; echo $? >code; } | head -c1 >first; cat code")
        .run()
        .success()
        .stdout_is("0\n")
        .stderr_is_empty();
}

#[test]
fn the_manual_is_printed_or_written_page_by_page() {
    let project = Project::new();
    project
        .resolve(["man"])
        .run()
        .success()
        .stdout_contains(".TH RESOLVE 1")
        .stdout_contains("exec");
    project.resolve(["man", "--out", "man1"]).run().success();
    let set = String::from_utf8(project.read("man1/resolve-set.1")).unwrap();
    assert!(set.contains(".TH RESOLVE-SET 1"), "{set}");
    assert!(
        set.contains("shell\\*(Aqs history") || set.contains("history"),
        "{set}"
    );
    assert!(!project.read("man1/resolve.1").is_empty());
}

#[test]
fn every_command_has_help_with_an_example() {
    let project = Project::new();
    let commands = [
        "get",
        "exec",
        "export",
        "check",
        "explain",
        "set",
        "delete",
        "list",
        "import",
        "copy",
        "edit",
        "generate",
        "inject",
        "recipients",
        "config",
        "init",
        "trust",
        "providers",
        "completions",
        "man",
    ];
    for command in commands {
        let output = project
            .resolve([command, "--help"])
            .run()
            .success()
            .stderr_is_empty();
        let help = output.stdout();
        let (_, examples) = help
            .split_once("Examples:\n")
            .unwrap_or_else(|| panic!("{command}: {help}"));
        assert!(examples.contains("resolve "), "{command}");
    }
}
