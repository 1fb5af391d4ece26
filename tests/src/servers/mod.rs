//! Real servers on free loopback ports, ended when their value is dropped.
//!
//! A server that does not start fails the test with its log; no test passes without its server.

mod daemon;
mod http_api;
mod moto;
mod oidc;
mod openbao;
mod orders;
mod postgres;
mod secret_service;
mod smtp;

use std::hash::{BuildHasher as _, RandomState};
use std::net::TcpListener;

pub use self::http_api::HttpApi;
pub use self::moto::Moto;
pub use self::oidc::{Granted, OidcProvider};
pub use self::openbao::OpenBao;
pub use self::orders::Orders;
pub use self::postgres::{Held, Postgres};
pub use self::secret_service::SecretService;
pub use self::smtp::{Smtp, python};

/// A value that no other test has: hard enough to guess for a server on loopback, and easy to
/// recognize when it leaks.
pub fn fresh_secret(label: &str) -> String {
    format!(
        "{label}-{:016x}{:016x}",
        RandomState::new().hash_one(1),
        RandomState::new().hash_one(2)
    )
}

/// A port that was free a moment ago, for servers that cannot choose one themselves.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    listener
        .local_addr()
        .expect("a bound socket has an address")
        .port()
}
