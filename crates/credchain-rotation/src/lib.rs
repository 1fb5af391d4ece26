//! How old credentials are, and new ones in their place.

mod engine;
mod form;
mod journal;
mod lease;
mod machine;
mod point;
mod policy;
mod recipe;
mod record;
mod register;
mod schedule;
mod status;
pub mod target;
mod zone;

pub use crate::engine::{
    Action, How, Look, Observer, Previous, Progress, Quiet, Rotation, Step, Store,
};
pub use crate::form::Form;
pub use crate::journal::Journal;
pub use crate::policy::Policy;
pub use crate::recipe::{Recipe, passphrase};
pub use crate::record::{Past, State, Strategy};
pub use crate::register::{Entry, REGISTER, Register};
pub use crate::schedule::Calendar;
pub use crate::status::{Level, Row, Status, prometheus};
pub use crate::zone::{Zone, rfc3339};
