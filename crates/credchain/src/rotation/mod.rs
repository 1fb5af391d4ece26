//! How old the project's credentials are, and new values in their place.

mod ages;
mod assemble;
mod run;

pub use self::ages::{Age, Told};
pub use self::run::{Due, Verb};
