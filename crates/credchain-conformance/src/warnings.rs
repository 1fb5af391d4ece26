//! What a provider tells people on the way.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// The warnings that a test program's providers have given, for tests of what they say.
///
/// There is one subscriber for a whole process, and the promises of this suite need it as well: so
/// a test of warnings is a program of its own, with this one test in it.
///
/// ```
/// let warnings = credchain_conformance::Warnings::watch();
/// tracing::warn!(target: "credchain_provider_demo", line = 3, "left out");
/// assert_eq!(warnings.given(), ["message=left out line=3 "]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    /// Starts to keep the warnings of this program.
    ///
    /// # Panics
    /// If this program has another subscriber already.
    pub fn watch() -> Self {
        let warnings = Self::default();
        let installed = tracing::subscriber::set_global_default(warnings.clone());
        assert!(
            installed.is_ok(),
            "a test of warnings is the only test of its program"
        );
        warnings
    }

    /// Each warning so far: `name=value ` for each of its fields, the text being `message`.
    pub fn given(&self) -> Vec<String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{field}={value:?} ");
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN && metadata.target().starts_with("credchain")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.lock().push(text.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
