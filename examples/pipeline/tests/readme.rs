//! The struct on the project's front page, as it stands there.

use credchain::{Context, Credchain, Credentials as _, Environment};

// ANCHOR: example
#[derive(credchain::Credentials)]
struct Pipeline {
    /// billing API
    api_key: credchain::Secret,
    db_password: credchain::SecretText,
    #[credential(default = "587")]
    smtp_port: u16,
}

async fn load() -> Result<Pipeline, credchain::LoadError> {
    Pipeline::load().await // one batch; one error that lists everything missing
}
// ANCHOR_END: example

fn opened(variables: &[(&str, &str)]) -> Credchain {
    let env = Environment::fixed(variables.iter().copied());
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/minimal.toml");
    let opener = Credchain::opener().config(config);
    opener
        .context(Context::system().with_env(env))
        .open()
        .expect("the configuration is right")
}

#[test]
fn it_loads_what_is_there() {
    let credchain = opened(&[("API_KEY", "s3cret"), ("DB_PASSWORD", "pässword")]);
    let pipeline = credchain::block_on(Pipeline::load_from(&credchain))
        .unwrap()
        .unwrap();
    assert_eq!(pipeline.api_key.expose(), b"s3cret");
    assert_eq!(pipeline.db_password.expose(), "pässword");
    assert_eq!(pipeline.smtp_port, 587);
}

#[test]
fn it_lists_all_that_is_missing() {
    let error = credchain::block_on(Pipeline::load_from(&opened(&[("X", "y")])))
        .unwrap()
        .err();
    let text = error.expect("nothing is there").to_string();
    assert!(
        text.contains("api_key") && text.contains("db_password"),
        "{text}"
    );
    // Compiled is enough: what it finds depends on where it is run.
    drop(load());
}
