use credchain_derive::Credentials;

#[derive(Credentials)]
enum Either {
    Key(credchain::Secret),
}

#[derive(Credentials)]
struct Tuple(credchain::Secret);

#[derive(Credentials)]
struct Generic<T> {
    key: T,
}

#[derive(Credentials)]
struct Nothing {}

fn main() {}
