use credchain_derive::Credentials;

#[derive(Credentials)]
#[credentials(prefx = "billing_")]
struct Pipeline {
    #[credential(rename = "key")]
    api_key: credchain::Secret,
    #[credential(secret = "no")]
    host: String,
}

fn main() {}
