//! What a promise answers.

use std::fmt;

use credchain_core::{Kind, Result};

/// What a promise answers: kept, or how it was broken.
pub type Verdict = std::result::Result<(), Broken>;

/// How a promise was broken. It names values by their label, never by their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(String);

impl Broken {
    /// A broken promise, told in one sentence.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

/// Breaks the promise unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::Broken::new(format!($($message)+)));
        }
    };
}
pub(crate) use ensure;

/// The value of an operation that has to succeed.
pub(crate) fn must<T>(what: &str, result: Result<T>) -> std::result::Result<T, Broken> {
    result.map_err(|error| Broken::new(format!("{what} failed: {error}")))
}

/// Checks that an operation failed with one of `kinds`.
pub(crate) fn must_fail<T>(what: &str, kinds: &[Kind], result: &Result<T>) -> Verdict {
    match result {
        Ok(_) => Err(Broken::new(format!(
            "{what} succeeded; it must fail with {kinds:?}"
        ))),
        Err(error) if kinds.contains(&error.kind()) => Ok(()),
        Err(error) => Err(Broken::new(format!(
            "{what} must fail with {kinds:?}: {error}"
        ))),
    }
}
