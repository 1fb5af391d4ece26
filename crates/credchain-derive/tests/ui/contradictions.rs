use credchain::{Secret, SecretText};
use credchain_derive::Credentials;

#[derive(Credentials)]
struct Inner {
    key: Secret,
}

#[derive(Credentials)]
struct Pipeline {
    #[credential(prefix = "smtp_")]
    password: SecretText,
    #[credential(nested)]
    optional: Option<Inner>,
    #[credential(nested, name = "inner")]
    named: Inner,
    #[credential(default = "x")]
    both: Option<SecretText>,
    #[credential(default = [1])]
    list: SecretText,
    #[credential(name = "a", name = "b")]
    twice: Secret,
}

fn main() {}
