//! Both jobs run for five lives of a token against the certified provider.
#![cfg(unix)]

use std::collections::BTreeSet;

use credchain_tests::servers::OidcProvider;
use credchain_tests::{Project, Resolve};

/// How long a token lives, in seconds.
const LIFE: u32 = 5;

const LIVES: u32 = 5;

/// Runs a job; nothing but the server may say how many tokens that took.
fn run_for_five_lives(program: impl FnOnce(&Project) -> Resolve) {
    let server = OidcProvider::start(LIFE);
    let project = Project::new();
    project.copy("examples/oauth_pipeline/credchain.toml", "credchain.toml");
    project.copy("examples/oauth_pipeline/pipeline.sh", "pipeline.sh");
    let secret = OidcProvider::client_secret();
    let output = program(&project)
        .trusted()
        .env(
            "CREDCHAIN_OAUTH2__CRM__TOKEN_URL",
            format!("{}/token", server.url()),
        )
        .env("API_URL", server.api())
        .env("RUN_SECONDS", (LIFE * LIVES).to_string())
        .env("CRM_CLIENT_SECRET", &secret)
        .secret(&secret)
        .timeout(std::time::Duration::from_mins(2))
        .run()
        .success()
        .stderr_is_empty();
    let (tokens, calls) = server.log();
    output.stdout_is(format!("{} calls, 0 failed\n", calls.len()));
    assert!(calls.len() > 50, "only {} calls", calls.len());
    assert_eq!(
        calls.iter().collect::<BTreeSet<_>>(),
        BTreeSet::from([&200])
    );
    assert!(
        tokens
            .iter()
            .all(|token| token.grant == "client_credentials")
    );
    // Each token is replaced by one request in the last quarter of its life, and by none before:
    // after 3750 ms by the client's clock, half a second less by that of a busy server.
    for pair in tokens.windows(2) {
        let lasted = pair[1].at.saturating_sub(pair[0].at).as_millis();
        assert!((3250..5250).contains(&lasted), "{lasted} ms");
    }
    // So 25 s take seven, or six where the machine stood still for a moment.
    assert!(matches!(tokens.len(), 6 | 7), "{} tokens", tokens.len());
}

#[test]
fn a_program_never_notices_that_its_tokens_end() {
    run_for_five_lives(|project| project.command(env!("CARGO_BIN_EXE_oauth-pipeline")));
}

#[test]
fn a_script_never_notices_that_its_tokens_end() {
    run_for_five_lives(|project| project.command("./pipeline.sh"));
}
