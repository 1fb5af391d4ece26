#![doc = include_str!("../README.md")]

mod allow;
mod baseline;
mod error;
mod look;
mod notebook;
mod pool;
mod report;
mod sarif;
mod scan;
mod snippet;
mod source;

pub use crate::baseline::{Baseline, BaselineKey};
pub use crate::error::{Error, ErrorKind};
pub use crate::report::{Cell, Commit, Finding, KNOWN_VALUE, Part, Report, SkipReason, Skipped};
pub use crate::scan::{Progress, Scan};
