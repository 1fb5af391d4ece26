//! How old credentials are, and new ones in their place.

mod policy;
mod register;
mod schedule;
mod status;
pub mod target;
mod zone;

pub use crate::policy::Policy;
pub use crate::register::{Entry, REGISTER, Register};
pub use crate::schedule::Calendar;
pub use crate::status::{Level, Row, Status, prometheus};
pub use crate::zone::{Zone, rfc3339};
