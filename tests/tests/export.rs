//! `resolve export`: what it prints is read back unchanged, or it fails as a whole.
#![cfg(unix)]

use credchain_tests::Project;

const CONFIG: &str = "[chain]\ndefault = [\"env\"]\n[credentials.api_key]\n[credentials.other]\n";

fn project() -> Project {
    let project = Project::new();
    project.write("credchain.toml", CONFIG);
    project
}

const HOSTILE: &str = "it's $HOME `id` \"q\"\\ \n !x é";

#[test]
fn eval_in_a_shell_sets_the_exact_values() {
    project()
        .sh("eval \"$(resolve export)\" && printf %s \"$API_KEY\"")
        .env("API_KEY", HOSTILE)
        .env("OTHER", "another-value")
        .run()
        .success()
        .stdout_is(HOSTILE);
}

#[test]
fn eval_fails_when_something_is_missing_and_nothing_is_set() {
    project()
        .sh("eval \"$(resolve export)\"; echo \"$? ${OTHER-unset}\"")
        .env("API_KEY", "s3cret-value")
        .run()
        .stdout_is("3 unset\n")
        .stderr_contains("`other`");
    project()
        .sh("eval \"$(resolve export --nope)\" || echo failed")
        .run()
        .stdout_is("failed\n");
}

#[test]
fn fish_reads_back_the_exact_values() {
    project()
        .command("fish")
        .args([
            "-c",
            "resolve export --format fish | source; sh -c 'printf %s \"$API_KEY\"'",
        ])
        // Without it fish decodes what it inherits byte by byte, before we see it.
        .plain_env("LC_ALL", "C.UTF-8")
        .env("API_KEY", HOSTILE)
        .env("OTHER", "another-value")
        .run()
        .success()
        .stdout_is(HOSTILE);
}

#[test]
fn dotenv_is_read_back_by_resolve_itself() {
    let project = project();
    let exported = project
        .resolve(["export", "--format", "dotenv"])
        .env("API_KEY", HOSTILE)
        .env("OTHER", "${API_KEY} $2a$10$x")
        .run()
        .success();
    let other = Project::new();
    other.write(".env", exported.stdout_bytes());
    other.resolve(["get", "API_KEY"]).run().stdout_is(HOSTILE);
    other
        .resolve(["get", "OTHER"])
        .run()
        .stdout_is("${API_KEY} $2a$10$x");
}

#[test]
fn json_is_one_object_and_refuses_what_is_not_text() {
    use std::os::unix::ffi::OsStrExt as _;
    let json = project()
        .resolve(["export", "--format", "json"])
        .env("API_KEY", HOSTILE)
        .env("OTHER", "another-value")
        .run()
        .success()
        .json();
    assert_eq!(
        json,
        serde_json::json!({"API_KEY": HOSTILE, "OTHER": "another-value"})
    );
    project()
        .resolve(["export", "--format", "json"])
        .env("API_KEY", std::ffi::OsStr::from_bytes(b"\xff\xfe\xfd"))
        .env("OTHER", "another-value")
        .run()
        .code(6)
        .stdout_is("")
        .stderr_contains("`api_key`");
}

#[test]
fn github_masks_before_it_hands_over() {
    let project = project();
    let file = project.write("github_env", "");
    project
        .resolve(["export", "--format", "github"])
        .plain_env("GITHUB_ENV", &file)
        .env("API_KEY", "line-one\nline-two")
        .env("OTHER", "another-value")
        .run()
        .success()
        .stdout_is("::add-mask::line-one\n::add-mask::line-two\n::add-mask::another-value\n");
    let written = String::from_utf8(project.read("github_env")).unwrap();
    assert!(written.contains("API_KEY<<credchain_"), "{written}");
    project
        .resolve(["export", "--format", "github"])
        .run()
        .code(2)
        .stderr_contains("GITHUB_ENV");
}

#[test]
fn docker_and_systemd_write_their_own_forms() {
    let run = |format: &str, value: &str| {
        project()
            .resolve(["export", "--format", format, "--only", "api_key"])
            .env("API_KEY", value)
            .run()
    };
    run("docker", "a b'c$d")
        .success()
        .stdout_is("API_KEY=a b'c$d\n");
    run("docker", "two\nlines").code(6).stdout_is("");
    run("systemd", "a\"b$c")
        .success()
        .stdout_is("API_KEY=\"a\\\"b\\$c\"\n");
}

#[test]
fn github_masks_secrets_alone() {
    let project = Project::new();
    project.write(
        "credchain.toml",
        "[chain]\ndefault = [\"env\"]\n[credentials.api_key]\n\
         [credentials.port]\nsecret = false\ndefault = \"587\"\n",
    );
    let file = project.write("github-env", "");
    project
        .resolve(["export", "--format", "github"])
        .env("API_KEY", "s3cret-value")
        .plain_env("GITHUB_ENV", &file)
        .run()
        .success()
        .stdout_is("::add-mask::s3cret-value\n");
    let written = String::from_utf8(project.read("github-env")).unwrap();
    assert!(written.contains("\n587\n"), "{written}");
}

#[test]
fn github_masks_everything_where_nothing_says_what_is_a_secret() {
    let project = Project::new();
    project.write(".env", "API_KEY=s3cret-value\nPORT=587\n");
    let file = project.write("github-env", "");
    project
        .resolve(["export", "--format", "github"])
        .plain_env("GITHUB_ENV", &file)
        .run()
        .success()
        .stdout_is("::add-mask::s3cret-value\n::add-mask::587\n");
}

#[test]
fn a_shell_forgets_the_file_that_a_value_came_from() {
    let project = Project::new();
    project.write(
        "credchain.toml",
        "[chain]\ndefault = [\"env\"]\n[credentials.api_key]\n",
    );
    project.write("key", "from-a-file");
    project
        .sh(
            "export API_KEY_FILE=key; eval \"$(resolve export)\"; resolve get api_key; \
             echo \" ${API_KEY_FILE-unset}\"",
        )
        .run()
        .success()
        .stdout_is("from-a-file unset\n");
}

#[test]
fn other_shells_fail_like_sh_when_nothing_can_be_exported() {
    let project = Project::new();
    project.write(
        "credchain.toml",
        "[chain]\ndefault = [\"env\"]\n[credentials.api_key]\n",
    );
    project
        .command("fish")
        .args(["-c", "resolve export --format fish | source; echo $status"])
        .run()
        .stdout_is("1\n");
    project
        .resolve(["export", "--format", "pwsh"])
        .run()
        .code(3)
        .stdout_is("throw 'resolve export failed'\n");
}
