//! What `resolve get` of an environment variable costs with every provider linked: nothing that
//! belongs to the providers that are not asked.
#![cfg(target_os = "linux")]

use credchain_tests::Project;

/// Every provider with a network, set up and behind the environment.
const CONFIG: &str = r#"
[chain]
default = ["env", "keyring", "vault", "aws", "gcp", "azure"]
[providers.vault]
address = "https://vault.example.com:8200"
[providers.aws]
region = "eu-central-1"
[providers.gcp]
project = "demo"
[providers.azure]
vault = "demo"
[credentials.api_key]
"#;

/// The system calls of `resolve get api_key` that match `filter`, one a line.
fn calls(filter: &str) -> Vec<String> {
    let project = Project::new();
    project.write("credchain.toml", CONFIG);
    let trace = project.tmp().join("trace");
    project
        .resolve(["get", "api_key"])
        .trusted()
        .env("API_KEY", "s3cret-value")
        .run()
        .success();
    let program = credchain_tests::resolve_binary();
    project
        .command("strace")
        .args(["-f", "-qq", "-e", &format!("trace={filter}"), "-o"])
        .arg(&trace)
        .arg(program)
        .args(["get", "api_key"])
        .trusted()
        .env("API_KEY", "s3cret-value")
        .run()
        .success()
        .stdout_is("s3cret-value");
    let traced = std::fs::read_to_string(trace).expect("strace writes its trace");
    traced.lines().map(str::to_owned).collect()
}

#[test]
fn no_socket_leads_out_of_the_process() {
    let calls = calls("%network");
    // The runtime's own pair for signals stays inside.
    let outside = calls.iter().filter(|call| !call.contains("socketpair("));
    assert_eq!(outside.collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn no_file_of_a_provider_that_is_not_asked_is_looked_at() {
    let calls = calls("%file");
    assert!(calls.iter().any(|call| call.contains("credchain.toml")));
    for theirs in [
        ".aws",
        ".vault-token",
        "gcloud",
        ".azure",
        "dbus",
        "ssl/certs",
        "resolv.conf",
    ] {
        let touched = calls.iter().find(|call| call.contains(theirs));
        assert_eq!(touched, None, "{theirs}");
    }
}

#[test]
fn no_thread_is_started() {
    let calls = calls("clone,clone3,fork,vfork");
    assert_eq!(calls, Vec::<String>::new());
}
