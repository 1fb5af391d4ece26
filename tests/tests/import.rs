//! `resolve import`

use credchain_tests::Project;

fn project() -> Project {
    let project = Project::new();
    project
        .resolve(["init", "--name", "pipeline"])
        .run()
        .success();
    project
}

fn config(project: &Project) -> String {
    String::from_utf8(project.read("credchain.toml")).expect("it is text")
}

#[test]
fn an_env_file_moves_in_one_step_and_stays_until_deleted() {
    let project = project();
    let before = config(&project);
    let env = "# mine\nexport API_KEY='s3cret-one'\nHASH=$2a$10$abc.def\nPEM=\"a\nb\"\n";
    project.write(".env", env);
    project
        .resolve(["import", ".env", "--to", "age"])
        .secret("s3cret-one")
        .secret("$2a$10$abc.def")
        .run()
        .success()
        .stderr_contains("API_KEY stored at `age://default/api_key`")
        .stderr_contains("declared 3 credentials")
        .stderr_contains("`.env` can go now: rm .env");
    assert_eq!(project.read(".env"), env.as_bytes());
    let after = config(&project);
    assert!(after.starts_with(&before), "what was there changed");
    std::fs::remove_file(project.dir().join(".env")).unwrap();
    for (name, value) in [
        ("api_key", "s3cret-one"),
        ("hash", "$2a$10$abc.def"),
        ("pem", "a\nb"),
    ] {
        project
            .resolve(["get", name])
            .run()
            .success()
            .stdout_is(value);
    }
    project.resolve(["config", "check"]).run().success();
    project.resolve(["check"]).run().success();
}

#[test]
fn a_key_that_is_no_name_keeps_its_spelling_for_programs() {
    let project = project();
    project.write(
        ".env",
        "ApiKey=one-value\napi-key=two-value\n2FA=three-value\n",
    );
    project
        .resolve(["import", ".env"])
        .run()
        .success()
        .stderr_contains("api-key is no variable's name: programs get it as `API_KEY`")
        .stderr_contains("programs get it as `N2FA`");
    std::fs::remove_file(project.dir().join(".env")).unwrap();
    let config = config(&project);
    assert!(
        config.contains("[credentials.apikey]\nenv = \"ApiKey\""),
        "{config}"
    );
    project
        .resolve(["exec", "--no-mask", "--", "env"])
        .run()
        .success()
        .stdout_contains("ApiKey=one-value\n")
        .stdout_contains("API_KEY=two-value\n")
        .stdout_contains("N2FA=three-value\n");
}

#[test]
fn importing_twice_declares_and_stores_nothing_twice() {
    let project = project();
    project.write(".env", "API_KEY=s3cret-one\n");
    project.resolve(["import", ".env"]).run().success();
    let (toml, store) = (config(&project), project.read("credchain.age"));
    project
        .resolve(["import", ".env"])
        .run()
        .success()
        .stderr_contains("API_KEY already at");
    assert_eq!(config(&project), toml);
    assert!(
        project.read("credchain.age") == store,
        "the store was written again"
    );
}

#[test]
fn a_different_value_in_the_store_is_kept_unless_told_otherwise() {
    let project = project();
    project.write(".env", "API_KEY=s3cret-new\nOTHER=s3cret-other\n");
    project
        .resolve(["set", "api_key"])
        .stdin("s3cret-old")
        .run()
        .success();
    project
        .resolve(["import", ".env"])
        .secret("s3cret-new")
        .secret("s3cret-old")
        .run()
        .code(1)
        .stderr_contains("`--overwrite`");
    project
        .resolve(["get", "age://default/api_key"])
        .run()
        .success()
        .stdout_is("s3cret-old");
    // All or nothing: the other one is not there either.
    project
        .resolve(["get", "age://default/other"])
        .run()
        .code(3);
    assert!(!config(&project).contains("[credentials.other]"));
    project
        .resolve(["import", ".env", "--overwrite"])
        .run()
        .success();
    project
        .resolve(["get", "age://default/api_key"])
        .run()
        .success()
        .stdout_is("s3cret-new");
}

#[test]
fn what_has_no_value_is_left_out_and_told() {
    let project = project();
    project.write(
        ".env",
        "API_KEY=s3cret-one\nEMPTY=\nBARE\nLD_PRELOAD=/tmp/x.so\n",
    );
    let json = project
        .resolve(["import", ".env", "--json"])
        .run()
        .success()
        .json();
    assert_eq!(json["version"], 1);
    assert_eq!(json["imported"][0]["key"], "API_KEY");
    assert_eq!(json["imported"][0]["link"], "age");
    assert_eq!(json["imported"][0]["status"], "stored");
    assert_eq!(json["declared"].as_array().unwrap().len(), 1);
    let skipped: Vec<_> = json["skipped"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["key"].clone())
        .collect();
    assert_eq!(skipped, ["EMPTY", "BARE", "LD_PRELOAD"]);
    assert!(!json.to_string().contains("s3cret-one"));
}

#[test]
fn a_broken_line_stops_it_before_anything_is_stored() {
    let project = project();
    project.write(".env", "API_KEY=s3cret-one\n= s3cret-broken\n");
    project
        .resolve(["import", ".env"])
        .secret("s3cret-broken")
        .run()
        .code(6)
        .stderr_contains("line 2");
    project
        .resolve(["get", "age://default/api_key"])
        .run()
        .code(3);
}

#[test]
fn what_the_environment_put_into_a_value_is_told() {
    let project = project();
    project.write(".env", "DIRECTORY=\"${BASE_DIR}/data\"\n");
    project
        .resolve(["import", ".env"])
        .plain_env("BASE_DIR", "/srv")
        .run()
        .success()
        .stderr_contains("`${BASE_DIR}` was replaced");
    project
        .resolve(["get", "age://default/directory"])
        .run()
        .success()
        .stdout_is("/srv/data");
}

#[test]
fn a_file_is_not_moved_to_itself() {
    let project = project();
    project.write(".env", "API_KEY=s3cret-one\n");
    project
        .resolve(["import", ".env", "--to", "dotenv"])
        .run()
        .code(2)
        .stderr_contains("--to age");
}

#[test]
fn without_a_project_nothing_is_stored() {
    let project = Project::new();
    project.write(".env", "API_KEY=s3cret-one\n");
    project
        .resolve(["import", ".env"])
        .run()
        .code(2)
        .stderr_contains("`resolve init`");
}

#[test]
fn a_configuration_that_takes_no_table_is_told_before_anything_is_stored() {
    let project = project();
    project.write(".env", "API_KEY=s3cret-one\n");
    let config = "credentials = { other = {} }\nchain = { default = [\"age\"] }\n";
    project.write("credchain.toml", config);
    project
        .resolve(["import", ".env"])
        .run()
        .code(2)
        .stderr_contains("add these lines yourself:\n\n[credentials.api_key]");
    assert_eq!(project.read("credchain.toml"), config.as_bytes());
    project
        .resolve(["get", "age://default/api_key"])
        .run()
        .code(3);
}

#[test]
fn a_huge_file_is_read() {
    let project = project();
    let value = "v".repeat(1 << 20);
    // Ten mebibytes; few of them values, because each is encrypted with all that came before.
    let text: String = (0..10)
        .map(|number| match number {
            0 | 9 => format!("KEY_{number}={value}\n"),
            _ => format!("# {value}\n"),
        })
        .collect();
    project.write(".env", text);
    project.resolve(["import", ".env"]).run().success();
    project
        .resolve(["get", "age://default/key_9"])
        .run()
        .success()
        .stdout_is(&value);
}

const SECRETSPEC: &str = r#"
[project]
name = "web-api"
revision = "1.0"
extends = ["../shared"]

[providers]
prod_vault = "onepassword://Production"

[profiles.default]
APP_NAME = { description = "Application name", required = false, default = "MyApp" }
DB_PASSWORD = { description = "Database \"password\"", required = true, providers = ["prod_vault"] }
DB_URL = { description = "DSN", composed = "postgres://app:${DB_PASSWORD}@db/app" }
TLS_CERT = { description = "certificate", as_path = true }
TOKEN = { description = "made when missing", type = "password", generate = true }
LD_PRELOAD = { description = "not a credential" }

[profiles.production]
APP_NAME = { default = "MyApp-prod" }
SENTRY_DSN = { description = "Error tracking" }
"#;

#[test]
fn the_declarations_of_secretspec_are_taken_over() {
    let project = project();
    project.write("secretspec.toml", SECRETSPEC);
    project
        .resolve(["import", "--from", "secretspec"])
        .run()
        .success()
        .stderr_contains("declared `db_password`")
        .stderr_contains("`extends`")
        .stderr_contains("`generate` of `TOKEN`")
        .stderr_contains("`LD_PRELOAD`")
        .stderr_contains("| resolve set");
    let config = config(&project);
    for table in [
        "[credentials.db_password]\ndescription = \"Database \\\"password\\\"\"\n",
        "template = \"postgres://app:{{ db_password }}@db/app\"\n",
        "[credentials.tls_cert]\ndescription = \"certificate\"\nas_file = true\n",
        "default = \"MyApp\"\n",
        "[profiles.production.credentials.app_name]\ndefault = \"MyApp-prod\"\n",
        "[profiles.production.credentials.sentry_dsn]\n",
    ] {
        assert!(config.contains(table), "{table}\n{config}");
    }
    assert!(!config.contains("ld_preload"));
    project.resolve(["config", "check"]).run().success();
    project
        .resolve(["get", "app_name"])
        .run()
        .success()
        .stdout_is("MyApp");
    project
        .resolve(["-p", "production", "get", "app_name"])
        .run()
        .success()
        .stdout_is("MyApp-prod");
    // A second time there is nothing new.
    let json = project
        .resolve(["import", "secretspec.toml", "--json"])
        .run()
        .success()
        .json();
    assert_eq!(json["declared"].as_array().unwrap().len(), 0);
    assert_eq!(json["kept"].as_array().unwrap().len(), 5);
    assert_eq!(self::config(&project), config);
}

const FNOX: &str = r#"
if_missing = "warn"
import = ["./shared/secrets.toml"]

[providers]
age = { type = "age", recipients = ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"] }
plain = { type = "plain" }

[secrets]
DATABASE_URL = { provider = "age", value = "Y2lwaGVydGV4dA==", description = "database" }
LOG_LEVEL = { default = "info" }
IN_CLEAR = { provider = "plain", value = "s3cret-in-clear" }

[profiles.production.secrets]
LOG_LEVEL = { default = "warn" }
JWT = { provider = "aws", value = "jwt-secret", if_missing = "error" }
"#;

#[test]
fn the_declarations_of_fnox_are_taken_over_and_no_value() {
    let project = project();
    project.write("fnox.toml", FNOX);
    project
        .resolve(["import", "--from", "fnox"])
        .secret("s3cret-in-clear")
        .secret("Y2lwaGVydGV4dA==")
        .run()
        .success()
        .stderr_contains("declared `database_url`")
        .stderr_contains("declared `log_level` for the profile `production`")
        .stderr_contains("`provider` of `DATABASE_URL`")
        .stderr_contains("fnox get DATABASE_URL | resolve set database_url --trim");
    let config = config(&project);
    assert!(config.contains("[credentials.database_url]\ndescription = \"database\"\n"));
    assert!(config.contains("[profiles.production.credentials.jwt]\n"));
    assert!(!config.contains("s3cret-in-clear") && !config.contains("Y2lwaGVydGV4dA"));
    project.resolve(["config", "check"]).run().success();
}

#[test]
fn a_manifest_that_is_no_toml_is_told_by_line_and_not_shown() {
    let project = project();
    project.write("fnox.toml", "[secrets]\nA = \"s3cret-broken\n");
    project
        .resolve(["import", "--from", "fnox"])
        .secret("s3cret-broken")
        .run()
        .code(2)
        .stderr_contains("line 2");
}
