//! What the author of a repository tries with symbolic links.

#![cfg(unix)]

use std::os::unix::fs::symlink;

use credchain_tests::Project;

#[test]
fn a_link_under_the_name_of_a_configuration_shows_nothing_of_what_it_leads_to() {
    let project = Project::new();
    let secret = format!("tok-{}", "canary".repeat(4));
    let own = project.home().join("own");
    for (name, content) in [
        ("key", format!("-----BEGIN KEY-----\n{secret}\n")),
        (
            "netrc",
            format!("machine host login me password {secret}\n"),
        ),
        (
            "toml",
            format!("{secret} = 1\n[{secret}]\ntoken = \"{secret}\"\n"),
        ),
        ("quoted", format!("A=\"x\"{secret}\n")),
    ] {
        std::fs::write(&own, content).unwrap();
        for file in ["credchain.toml", "credchain.local.toml"] {
            let project = Project::new();
            if file != "credchain.toml" {
                project.write("credchain.toml", "[credentials.a]\n");
            }
            symlink(&own, project.dir().join(file)).unwrap();
            for arguments in [
                &["check"][..],
                &["config", "check"],
                &["--json", "get", "a"],
            ] {
                project
                    .resolve(arguments)
                    .secret(&secret)
                    .run()
                    .code(6)
                    .stderr_contains("link out of its directory");
            }
        }
        // The user's own word is shown as usual.
        project
            .resolve(["check", "--config"])
            .arg(&own)
            .run()
            .code(6)
            .stderr_contains("own:");
        let _ = name;
    }
    std::fs::write(&own, [b"a=", secret.as_bytes(), b"\xff"].concat()).unwrap();
    symlink(&own, project.dir().join("credchain.toml")).unwrap();
    project.resolve(["check"]).secret(&secret).run().code(6);
}

#[cfg(target_os = "linux")]
#[test]
fn a_link_to_the_environment_shows_nothing_of_it() {
    let project = Project::new();
    let secret = format!("tok-{}", "canary".repeat(4));
    symlink("/proc/self/environ", project.dir().join("credchain.toml")).unwrap();
    project
        .resolve(["check"])
        .env("CI_TOKEN", &secret)
        .run()
        .code(6)
        .stderr_lacks("CI_TOKEN");
}

#[test]
fn a_configuration_that_is_a_link_still_works() {
    let project = Project::new();
    let own = project.home().join("shared.toml");
    std::fs::write(&own, "[credentials.a]\nsecret = false\ndefault = \"v\"\n").unwrap();
    symlink(&own, project.dir().join("credchain.toml")).unwrap();
    project.resolve(["get", "a"]).run().success().stdout_is("v");
}

#[test]
fn an_env_file_that_leads_out_of_the_repository_is_not_read_without_a_configuration() {
    let project = Project::new();
    let own = project.home().join("other.env");
    std::fs::write(&own, "OTHER=s3cret-of-another\n").unwrap();
    symlink(&own, project.dir().join(".env")).unwrap();
    for arguments in [
        &["check"][..],
        &["list"],
        &["get", "OTHER"],
        &["export"],
        &["exec", "--no-mask", "--", "env"],
    ] {
        let output = project.resolve(arguments).run();
        assert_ne!(output.status().code(), Some(0), "{arguments:?}");
        output.stdout_lacks("OTHER").stderr_contains("untrusted");
    }
    std::fs::remove_file(project.dir().join(".env")).unwrap();
    project.write("shared.env", "OWN=v\n");
    symlink("shared.env", project.dir().join(".env")).unwrap();
    project
        .resolve(["get", "OWN"])
        .run()
        .success()
        .stdout_is("v");
}
