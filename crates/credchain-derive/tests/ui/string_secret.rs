use credchain_derive::Credentials;

#[derive(Credentials)]
struct Pipeline {
    api_key: String,
    password: Option<std::string::String>,
    raw: Vec<u8>,
}

fn main() {}
