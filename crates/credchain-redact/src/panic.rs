//! The door for panics: their messages are printed before anybody can catch them.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::panic::PanicHookInfo;

use crate::buffer::Buffer;
use crate::redactor::Redactor;

/// Prints panics to standard error as the default hook does, redacted.
///
/// It takes the place of the hook that was there, which would print the message as it is.
pub fn install(redactor: &Redactor) {
    let redactor = redactor.clone();
    std::panic::set_hook(Box::new(move |info| {
        // There is nobody left to tell.
        let _ = report(&redactor, info, &mut io::stderr().lock());
    }));
}

/// Writes the report of a panic, redacted: what a hook of one's own calls.
///
/// # Errors
/// Those of the writer.
pub fn report(
    redactor: &Redactor,
    info: &PanicHookInfo<'_>,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut text = Buffer::default();
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("<unnamed>");
    // Writing to a buffer cannot fail, and a message that fails to print is left out.
    let _ = write!(text, "\nthread '{name}' panicked");
    if let Some(location) = info.location() {
        let _ = write!(text, " at {location}");
    }
    let _ = writeln!(text, ":\n{}", message(info.payload()));
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        let _ = writeln!(text, "stack backtrace:\n{backtrace}");
    }
    out.write_all(&redactor.redact_without_waiting(&text))
}

fn message(payload: &dyn Any) -> &str {
    let text = payload.downcast_ref::<&'static str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("Box<dyn Any>")
}
