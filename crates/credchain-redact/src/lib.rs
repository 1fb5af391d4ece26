#![doc = include_str!("../README.md")]

mod buffer;
mod common;
mod display;
mod finder;
mod forms;
#[cfg(feature = "json")]
pub mod json;
mod matcher;
mod occurrence;
pub mod panic;
mod redactor;
mod registered;
mod replacement;
pub mod rules;
mod stream;
#[cfg(test)]
mod tests;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(feature = "tracing")]
pub mod tracing;
mod write;

pub use crate::display::Redacted;
pub use crate::occurrence::Occurrence;
pub use crate::redactor::{Builder, Options, Reason, Redactor, Registration};
pub use crate::replacement::{FingerprintKey, Replacement};
pub use crate::rules::Rules;
pub use crate::stream::Stream;
pub use crate::write::RedactWriter;
