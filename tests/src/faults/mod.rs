//! Backends that misbehave: a proxy before a real server, and a server that says what it is told.
//!
//! [`Proxy`] breaks the way to a server that is right. [`FakeHttp`] stands in only for what a
//! right server never does, and for services that have no server to install; that a client works
//! with it shows nothing about the real service.

mod http;
mod link;
mod proxy;

pub use self::http::{FakeHttp, Reply, Request};
pub use self::proxy::{Behaviour, Proxy};
