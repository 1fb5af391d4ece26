#![doc = include_str!("README.md")]

mod attempt;
mod check;
mod custom;
mod data;
mod engine;
mod error;
mod index;
mod memo;
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

#[cfg(test)]
#[path = "../../tests/rules_support/mod.rs"]
#[allow(dead_code, reason = "every test uses a part of it")]
mod tests;
