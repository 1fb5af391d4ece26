#![doc = include_str!("../README.md")]

/// A place at which a test may end the process.
macro_rules! step {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        fail::fail_point!($name);
    };
}

mod answer;
mod aside;
mod ask;
mod config;
mod date;
mod discovery;
mod door;
mod endpoint;
mod error;
mod flight;
mod form;
mod found;
mod http;
mod kept;
mod key;
mod life;
mod login;
mod renew;
mod sign;
mod source;
mod store;
mod token;

pub use crate::config::{Authentication, Client, Endpoints, Grant, Reuse, Signing};
pub use crate::door::{AuthorizationHeader, Authorized};
pub use crate::kept::{LoggedOut, Status};
pub use crate::login::{Show, Step};
pub use crate::source::TokenSource;
pub use crate::store::{Sealing, Store};
pub use crate::token::Token;
