//! The door for whatever can be printed.

use std::fmt::{self, Write as _};

use crate::buffer::Buffer;
use crate::redactor::Redactor;

/// Prints a value redacted, with `Display` or `Debug`.
///
/// # Examples
/// ```
/// use credchain_redact::{Options, Redactor};
///
/// let redactor = Redactor::new();
/// assert!(redactor.register("api_key", b"correct horse", Options::default()).is_masked());
/// let url = "https://example.com/?key=correct%20horse";
/// assert_eq!(redactor.display(&url).to_string(), "https://example.com/?key=***");
/// ```
pub struct Redacted<'a, T: ?Sized> {
    redactor: &'a Redactor,
    value: &'a T,
}

impl Redactor {
    /// A value that prints redacted.
    pub fn display<'a, T: ?Sized>(&'a self, value: &'a T) -> Redacted<'a, T> {
        Redacted {
            redactor: self,
            value,
        }
    }
}

impl<T: ?Sized> Redacted<'_, T> {
    fn print(&self, text: &Buffer, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(&self.redactor.redact(text)))
    }
}

impl<T: fmt::Display + ?Sized> fmt::Display for Redacted<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Buffer::default();
        write!(text, "{}", self.value)?;
        self.print(&text, f)
    }
}

impl<T: fmt::Debug + ?Sized> fmt::Debug for Redacted<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Buffer::default();
        if f.alternate() {
            write!(text, "{:#?}", self.value)?;
        } else {
            write!(text, "{:?}", self.value)?;
        }
        self.print(&text, f)
    }
}
