//! Reads along with everything that is logged, at every level.
//!
//! A subscriber can be installed once per process, and tests may share a process, so there is one
//! for all; each watcher looks for canaries that are its own.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Metadata, Subscriber};

use crate::canary::Canary;

static WATCHERS: Mutex<Vec<Weak<Watcher>>> = Mutex::new(Vec::new());

/// Whether this process's logs reach us: false if somebody else subscribed first.
static INSTALLED: LazyLock<bool> = LazyLock::new(|| {
    // A logger that somebody else installed keeps the records of the `log` crate to itself.
    if log::set_boxed_logger(Box::new(Reader)).is_ok() {
        log::set_max_level(log::LevelFilter::Trace);
    }
    tracing::subscriber::set_global_default(Reader).is_ok()
});

/// Looks for canaries in what is logged from now on.
#[derive(Default)]
pub(crate) struct Watcher {
    canaries: Vec<Canary>,
    found: Mutex<Vec<String>>,
}

impl Watcher {
    /// Starts to look. `None` if another subscriber is in the way.
    pub(crate) fn start(canaries: Vec<Canary>) -> Option<Arc<Self>> {
        if !*INSTALLED {
            return None;
        }
        let watcher = Arc::new(Self {
            canaries,
            found: Mutex::default(),
        });
        lock(&WATCHERS).push(Arc::downgrade(&watcher));
        Some(watcher)
    }

    /// Where a canary was seen.
    pub(crate) fn found(&self) -> Vec<String> {
        lock(&self.found).clone()
    }

    fn read(&self, target: &str, text: &str) {
        for canary in &self.canaries {
            if let Some(how) = canary.found_in(text) {
                lock(&self.found).push(format!("a log record of `{target}` shows it {how}"));
            }
        }
    }
}

fn read(target: &str, text: &str) {
    let watchers: Vec<_> = {
        let mut watchers = lock(&WATCHERS);
        watchers.retain(|watcher| watcher.strong_count() > 0);
        watchers.iter().filter_map(Weak::upgrade).collect()
    };
    for watcher in watchers {
        watcher.read(target, text);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Reader;

impl Subscriber for Reader {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut text = Text::default();
        attributes.record(&mut text);
        read(attributes.metadata().target(), &text.0);
        span::Id::from_u64(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        let mut text = Text::default();
        values.record(&mut text);
        read("a span", &text.0);
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        read(event.metadata().target(), &text.0);
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

impl log::Log for Reader {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        read(record.target(), &record.args().to_string());
    }

    fn flush(&self) {}
}

/// All fields of a record as one text.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, " {field}={value:?}");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = write!(self.0, " {field}={value}");
    }
}
