use credchain_derive::Credentials;

#[derive(Credentials, Debug)]
struct Pipeline {
    api_key: credchain::Secret,
}

fn main() {}
