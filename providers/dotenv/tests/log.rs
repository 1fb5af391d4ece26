//! What is logged, and that it is no value.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};

use credchain_core::{Context, Provider as _};
use credchain_provider_dotenv::Dotenv;
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
async fn a_line_that_is_left_out_is_told_by_its_number_and_once() {
    let warnings = Warnings::default();
    tracing::subscriber::set_global_default(warnings.clone()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(".env");
    std::fs::write(&path, "A=1\n\nB=\"canary\n=canary\n").unwrap();
    let dotenv = Dotenv::file(&path);
    for name in ["A", "B", "A"] {
        let _ = dotenv.get(&name.parse().unwrap(), &Context::system()).await;
    }
    let warnings = warnings.0.lock().unwrap();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    for (warning, line) in warnings.iter().zip([3, 4]) {
        assert!(
            warning.contains(&format!("line={line} ")) && warning.contains(".env"),
            "{warning}"
        );
        assert!(!warning.contains("canary"), "{warning}");
    }
}
