//! Backends that misbehave: a proxy before a real server, and a server that says what it is told.
//!
//! [`Proxy`] breaks the way to a server that is right. [`FakeHttp`] stands in only for what a
//! right server never does, and for services that have no server to install; that a client works
//! with it shows nothing about the real service.

mod authority;
mod gate;
mod http;
mod link;
mod matrix;
mod proxy;

pub use self::authority::{Authority, Certificate};
pub use self::gate::Gate;
pub use self::http::{FakeHttp, Reply, Request};
pub use self::matrix::{CANARY, DEADLINE, Outcome, Service, Stage, matrix, render};
pub use self::proxy::{Behaviour, Proxy};
