use credchain::{Secret, SecretText};
use credchain_derive::Credentials;

#[derive(Credentials)]
struct Pipeline {
    schlüssel: Secret,
    #[credential(name = "a/b")]
    path: Secret,
    #[credential(name = "api_key")]
    one: Secret,
    #[credential(name = "api_key")]
    two: SecretText,
}

fn main() {}
