//! `resolve login` and `logout`: a person's token, kept for what runs later.
#![cfg(unix)]

use std::os::unix::fs::PermissionsExt as _;

use credchain_tests::servers::{OpenBao, fresh_secret};
use credchain_tests::{Project, Resolve};
use serde_json::{Value, json};

/// A server at which `jane` has a password and may read, and a project whose link leaves the login to her.
struct World {
    bao: OpenBao,
    project: Project,
    password: String,
}

impl World {
    fn new(auth: &str, more: &str) -> Self {
        let (bao, password) = (OpenBao::dev(), fresh_secret("password"));
        bao.root(
            "POST",
            "secret/data/demo/default",
            &json!({"data": {"api_key": "s3cret-value"}}),
        );
        bao.policy("demo", "path \"secret/*\" { capabilities = [\"read\"] }");
        bao.root("POST", "sys/auth/userpass", &json!({"type": "userpass"}));
        let jane = json!({"password": password, "token_policies": "demo"});
        bao.root("POST", "auth/userpass/users/jane", &jane);
        let project = Project::new();
        project.write(
            "credchain.toml",
            format!(
                "[project]\nname = \"demo\"\n[chain]\ndefault = [\"vault\"]\n\
                 [providers.vault]\naddress = \"{}\"\nkv_version = 2\n\
                 auth = {{ method = \"userpass\", username = \"jane\"{auth} }}\n\
                 [credentials.api_key]\n{more}",
                bao.url()
            ),
        );
        Self {
            bao,
            project,
            password,
        }
    }

    fn run(&self, args: &[&str]) -> Resolve {
        let run = self.project.resolve(args).trusted();
        run.secret(&self.password)
    }

    fn log_in(&self) -> Resolve {
        self.run(&["login", "vault"]).stdin(&self.password)
    }

    fn is_alive(&self, token: &str) -> bool {
        let look = self
            .bao
            .api("GET", "auth/token/lookup-self", token, &Value::Null);
        look.0 == 200
    }
}

#[test]
fn a_login_is_kept_where_vaults_own_tools_look_and_gone_after_the_logout() {
    let world = World::new("", "");
    let file = world.project.home().join(".vault-token");
    world
        .run(&["get", "api_key"])
        .run()
        .code(4)
        .stderr_contains("`resolve login`");
    world
        .log_in()
        .run()
        .success()
        .stderr_contains("logged in to `vault` as userpass-jane")
        .stderr_contains(".vault-token");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let token = std::fs::read_to_string(&file).unwrap();
    world
        .run(&["get", "api_key"])
        .secret(&token)
        .run()
        .success()
        .stdout_is("s3cret-value");
    world
        .project
        .command(OpenBao::program())
        .args([
            "kv",
            "get",
            "-mount=secret",
            "-field=api_key",
            "demo/default",
        ])
        .plain_env("BAO_ADDR", world.bao.url())
        .run()
        .success()
        .stdout_is("s3cret-value");

    world
        .run(&["logout", "vault"])
        .run()
        .success()
        .stderr_contains("revoked");
    assert!(!file.exists());
    assert!(!world.is_alive(&token));
    world.run(&["logout", "vault"]).run().code(3);
    world.run(&["get", "api_key"]).run().code(4);
}

#[test]
fn a_wrong_password_leaves_the_login_there_was() {
    let world = World::new("", "");
    world.log_in().run().success();
    let file = world.project.home().join(".vault-token");
    let token = std::fs::read_to_string(&file).unwrap();
    world
        .run(&["login", "vault"])
        .stdin("not-the-password")
        .secret("not-the-password")
        .run()
        .code(4);
    world.run(&["login", "vault"]).stdin("").run().code(2);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), token);
    assert!(world.is_alive(&token));
    let before = std::fs::read_dir(world.project.home()).unwrap().count();
    world.log_in().run().success();
    let after = std::fs::read_dir(world.project.home()).unwrap().count();
    assert_eq!(before, after, "no half-written file stays");
}

#[test]
fn a_token_can_be_kept_as_a_credential_instead() {
    let more = "[credentials.vault_token]\nchain = [\"file\"]\ninject = false\n\
                [providers.file]\npath = \"tokens\"\n";
    let world = World::new(", token = { credential = \"vault_token\" }", more);
    std::fs::create_dir(world.project.dir().join("tokens")).unwrap();
    let to_file = world.project.read("credchain.toml");
    let to_file = String::from_utf8(to_file).unwrap();
    let to_file = to_file.replace("[chain]\n", "[chain]\nwrite = \"file\"\n");
    world.project.write("credchain.toml", to_file);
    world
        .run(&["get", "api_key"])
        .run()
        .code(4)
        .stderr_contains("`vault_token`");
    let json = world.log_in().arg("--json").run().success().json();
    assert_eq!(json["identity"]["name"], "userpass-jane");
    assert_eq!(json["kept"], "file://vault_token");
    assert!(!world.project.home().join(".vault-token").exists());
    let kept = world.project.read("tokens/vault_token");
    let token = String::from_utf8(kept).unwrap();
    world
        .run(&["get", "api_key"])
        .secret(&token)
        .run()
        .success()
        .stdout_is("s3cret-value");
    world.run(&["logout", "vault"]).run().success();
    assert!(!world.project.dir().join("tokens/vault_token").exists());
    assert!(!world.is_alive(&token));
}

#[test]
fn who_logs_in_by_itself_is_not_logged_in_by_hand() {
    let project = Project::new();
    project.write(
        "credchain.toml",
        "[chain]\ndefault = [\"vault\"]\n[providers.vault]\naddress = \"https://vault.example.com\"\n\
         [credentials.api_key]\n",
    );
    project
        .resolve(["login", "vault"])
        .trusted()
        .stdin("s3cret-value")
        .secret("s3cret-value")
        .run()
        .code(2)
        .stderr_contains("`auth = {");
    project.resolve(["login", "valt"]).trusted().run().code(6);
}

#[test]
fn nobody_is_logged_in_where_an_untrusted_project_says() {
    let world = World::new("", "");
    world
        .project
        .resolve(["login", "vault"])
        .stdin(&world.password)
        .secret(&world.password)
        .run()
        .code(7);
    let asked = world.bao.requests();
    assert!(
        asked
            .iter()
            .all(|request| request["path"] != "auth/userpass/login/jane")
    );
}
