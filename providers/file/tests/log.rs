//! What is logged, and that it is no value.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};

use credchain_core::{Context, Provider as _};
use credchain_provider_file::Files;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Keeps every warning as text.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{field}={value:?} ").unwrap();
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
        self.0.lock().unwrap().push(text.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

// The only test of this program: the subscriber is for all threads.
#[tokio::test]
async fn a_line_end_that_is_kept_is_told_once_for_each_file() {
    let warnings = Warnings::default();
    tracing::subscriber::set_global_default(warnings.clone()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    for (name, value) in [
        ("one", "canary\n"),
        ("two", "canary\r\n"),
        ("none", "canary"),
    ] {
        std::fs::write(directory.path().join(name), value).unwrap();
    }
    let files = Files::in_directory(directory.path());
    for name in ["one", "two", "one", "none", "two", "one"] {
        files
            .get(&name.parse().unwrap(), &Context::system())
            .await
            .unwrap();
    }
    let warnings = warnings.0.lock().unwrap();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    for (warning, name) in warnings.iter().zip(["one", "two"]) {
        assert!(warning.contains(&format!("file=\"{name}\"")), "{warning}");
        assert!(
            warning.contains("trim = true") && !warning.contains("canary"),
            "{warning}"
        );
    }
}
