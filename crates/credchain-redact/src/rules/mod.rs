#![doc = include_str!("README.md")]

mod attempt;
mod check;
mod custom;
mod data;
mod engine;
mod error;
mod index;
mod prefilter;
mod program;
mod scan;
mod set;
mod spec;
mod stream;
mod value;

pub use custom::Rule;
pub use error::{RuleError, RuleErrorKind};
pub use scan::Finding;
pub use set::{RuleInfo, Rules};
#[expect(unused_imports, reason = "the stream takes it from here")]
pub(crate) use stream::PatternFinder;

#[cfg(test)]
#[path = "../../tests/rules_support/mod.rs"]
mod tests;
