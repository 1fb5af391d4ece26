//! The console of systems that are not Unix.

use std::io::{self, Write as _};

use zeroize::Zeroizing;

use super::{nobody, reading};
use crate::failure::Failure;

/// Asks, and reads a line that is not shown.
pub(super) fn hidden_line(question: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let line = rpassword::prompt_password(question).map_err(|error| nobody(&error))?;
    Ok(Zeroizing::new(line.into_bytes()))
}

/// Asks, and reads a line.
pub(super) fn shown_line(question: &str) -> Result<String, Failure> {
    let mut words = io::stderr().lock();
    write!(words, "{question}")
        .and_then(|()| words.flush())
        .map_err(reading)?;
    let mut line = String::new();
    io::stdin().read_line(&mut line).map_err(reading)?;
    Ok(line)
}
