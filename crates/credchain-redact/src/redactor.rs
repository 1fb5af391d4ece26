//! What is registered, and the immutable set that streams look for.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use zeroize::Zeroizing;

use crate::finder::Finder;
use crate::matcher::layer::Layer;
use crate::occurrence::{self, Occurrence};
use crate::registered::{self, Registered, Worth};
use crate::replacement::{Replacement, Writer};
use crate::rules::Rules;
use crate::stream::Stream;

/// Knows the secrets, and hides them in any number of streams.
///
/// A clone is the same redactor: what is registered through one is hidden by all, in streams that
/// have begun already as well.
///
/// # Examples
/// ```
/// use credchain_redact::{Options, Redactor, Registration, Reason};
///
/// let redactor = Redactor::new();
/// assert!(redactor.register("api_key", b"correct horse", Options::default()).is_masked());
/// assert_eq!(redactor.redact(b"Y29ycmVjdCBob3JzZQ=="), b"***==");
///
/// // Everyday words are in every log: a caller warns once, by name.
/// let registration = redactor.register("mode", b"production", Options::default());
/// assert_eq!(registration, Registration::Unmasked(Reason::Common));
/// ```
#[derive(Clone)]
pub struct Redactor {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    state: Mutex<State>,
    /// Counts the changes of `state`. A snapshot is made when somebody looks for values, so a
    /// burst of registrations costs one.
    version: AtomicU64,
    current: ArcSwap<Snapshot>,
}

struct Settings {
    replacement: Replacement,
    min_length: usize,
    linger: Duration,
    patterns: Option<Rules>,
    clock: Clock,
}

type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// A value that is registered.
#[derive(Clone)]
struct Value {
    registered: Arc<Registered>,
    /// When it stops being one.
    until: Option<Duration>,
}

#[derive(Default)]
struct State {
    /// By name: everything that has to be found.
    values: BTreeMap<Box<str>, Vec<Value>>,
    /// What is not in a layer yet.
    pending: Vec<Arc<Registered>>,
    layers: Vec<Built>,
    /// When the first of the values that were unregistered ends.
    first_end: Option<Duration>,
}

/// A layer and what it was made of.
struct Built {
    values: Vec<Arc<Registered>>,
    layer: Arc<Layer>,
}

/// What streams look for; it never changes.
pub(crate) struct Snapshot {
    version: u64,
    layers: Vec<Arc<Layer>>,
    writer: Writer,
}

/// How to register a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Mask it even if it is short or an everyday word.
    pub force: bool,
}

impl Options {
    /// Masks a value even if it is short or an everyday word; never an empty one.
    pub fn force() -> Self {
        Self { force: true }
    }
}

/// What became of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a value that is not masked deserves a warning, by name"]
#[expect(clippy::exhaustive_enums, reason = "a value is masked or it is not")]
pub enum Registration {
    /// The value and its forms are masked from now on.
    Masked,
    /// The value is not masked.
    Unmasked(Reason),
}

impl Registration {
    /// Whether the value is masked.
    pub fn is_masked(self) -> bool {
        self == Self::Masked
    }
}

/// Why a value is not masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It is empty or white space only.
    Empty,
    /// It has too few bytes: it would be found everywhere.
    TooShort,
    /// It is an everyday word, a boolean, a small number, or one letter again and again.
    Common,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::TooShort => "it is too short to be told from other text",
            Self::Common => "it is an everyday word or a small number",
        })
    }
}

/// Settings of a [`Redactor`].
#[must_use]
pub struct Builder {
    settings: Settings,
}

impl Builder {
    /// What is written in the place of a secret. Default: `***`.
    pub fn replacement(mut self, replacement: Replacement) -> Self {
        self.settings.replacement = replacement;
        self
    }

    /// The least bytes of a value that is masked without being forced. Default: 4.
    pub fn min_length(mut self, bytes: usize) -> Self {
        self.settings.min_length = bytes;
        self
    }

    /// How long a value is masked after it was unregistered: logs lag behind. Default: an hour.
    pub fn linger(mut self, time: Duration) -> Self {
        self.settings.linger = time;
        self
    }

    /// What is masked because it looks like a secret, although nobody registered it. Default:
    /// nothing.
    pub fn patterns(mut self, rules: Rules) -> Self {
        self.settings.patterns = Some(rules);
        self
    }

    /// Where the time comes from that `linger` is measured in. Default: the system's monotonic clock.
    pub fn clock(mut self, now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.settings.clock = Arc::new(now);
        self
    }

    /// The redactor, with no value registered.
    pub fn build(self) -> Redactor {
        let writer = Writer::new(&self.settings.replacement, &[], std::iter::empty());
        let snapshot = Snapshot {
            version: 0,
            layers: Vec::new(),
            writer,
        };
        Redactor {
            shared: Arc::new(Shared {
                settings: self.settings,
                state: Mutex::default(),
                version: AtomicU64::new(0),
                current: ArcSwap::from_pointee(snapshot),
            }),
        }
    }
}

impl Redactor {
    /// A redactor that masks registered values with `***`.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A redactor with other settings.
    pub fn builder() -> Builder {
        Builder {
            settings: Settings {
                replacement: Replacement::default(),
                min_length: 4,
                linger: Duration::from_hours(1),
                patterns: None,
                clock: system_clock(),
            },
        }
    }

    /// Hides a value from now on, in all its forms. The name is what warnings and masks may show.
    ///
    /// Cheap if this name has this value already. A name may have several values.
    pub fn register(&self, name: &str, value: &[u8], options: Options) -> Registration {
        let worth = self.worth(options);
        if let Some(reason) = worth.reason_against(value) {
            return Registration::Unmasked(reason);
        }
        let mut state = self.state();
        self.purge_expired(&mut state);
        if let Some(known) = state.find(name, value) {
            known.until = None;
            return Registration::Masked;
        }
        let owner = self.shared.settings.replacement.owner(name, value);
        let registered = Arc::new(Registered::new(owner, value, worth));
        state.pending.push(Arc::clone(&registered));
        state.values.entry(name.into()).or_default().push(Value {
            registered,
            until: None,
        });
        self.changed(&state);
        Registration::Masked
    }

    /// Every form in which a value is hidden, the value itself first: for whoever searches files.
    pub fn forms(&self, value: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
        self.worth(Options::default())
            .forms(value)
            .each()
            .map(|form| Zeroizing::new(form.to_vec()))
            .collect()
    }

    /// Stops hiding the values of a name, once the lingering time is over.
    pub fn unregister(&self, name: &str) {
        let until = (self.shared.settings.clock)() + self.shared.settings.linger;
        let mut guard = self.state();
        let state = &mut *guard;
        for value in state.values.get_mut(name).into_iter().flatten() {
            value.until.get_or_insert(until);
            state.first_end = Some(state.first_end.map_or(until, |end| end.min(until)));
        }
        self.purge_expired(state);
    }

    /// Forgets what was unregistered long enough ago. Registering and unregistering do it too.
    pub fn purge(&self) {
        self.purge_expired(&mut self.state());
    }

    /// Begins to redact a stream.
    pub fn stream(&self) -> Stream {
        Stream::new(self.clone())
    }

    /// Begins to redact a stream in which only registered values are hidden, whatever patterns
    /// there are: for a terminal, where what may become a match must not wait for the next key.
    pub fn stream_of_values(&self) -> Stream {
        Stream::of_values(self.clone(), self.snapshot())
    }

    /// Redacts a text that is complete.
    pub fn redact(&self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        let mut stream = self.stream();
        stream.push(text, &mut out);
        stream.finish(&mut out);
        out
    }

    /// Redacts a text that is complete; what is not valid UTF-8 afterwards is replaced.
    pub fn redact_text(&self, text: &str) -> String {
        String::from_utf8(self.redact(text.as_bytes()))
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// Redacts a text with what was registered when somebody last looked, without any lock: for
    /// panics, which may happen while one is held.
    pub(crate) fn redact_without_waiting(&self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        let snapshot = match self.shared.state.try_lock() {
            Ok(state) => {
                drop(state);
                self.snapshot()
            }
            Err(_) => self.last_snapshot(),
        };
        let mut stream = Stream::with(self.clone(), snapshot);
        stream.pin();
        stream.push(text, &mut out);
        stream.finish(&mut out);
        out
    }

    /// Where a text that is complete holds registered values, in any of their forms: for whoever
    /// searches files. Patterns play no part. Ordered by place; what overlaps is one occurrence.
    ///
    /// ```
    /// use credchain_redact::{Options, Redactor};
    ///
    /// let redactor = Redactor::new();
    /// let _ = redactor.register("api_key", b"correct horse", Options::default());
    /// let found = redactor.find(b"k=Y29ycmVjdCBob3JzZQ==");
    /// assert_eq!((found[0].name(), found[0].span()), ("api_key", 2..20));
    /// ```
    pub fn find(&self, text: &[u8]) -> Vec<Occurrence> {
        occurrence::find(self.snapshot().layers(), text)
    }

    pub(crate) fn pattern_finder(&self) -> Option<Box<dyn Finder>> {
        let rules = self.shared.settings.patterns.as_ref()?;
        Some(Box::new(rules.finder()))
    }

    /// What was to be found when somebody last asked, without waiting for anybody.
    pub(crate) fn last_snapshot(&self) -> Arc<Snapshot> {
        self.shared.current.load_full()
    }

    /// What is to be found now.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        let current = self.shared.current.load_full();
        self.newer_than(&current).unwrap_or(current)
    }

    /// What is to be found now, if that is not this.
    pub(crate) fn newer_than(&self, snapshot: &Snapshot) -> Option<Arc<Snapshot>> {
        if self.shared.version.load(Ordering::Acquire) == snapshot.version {
            return None;
        }
        let mut state = self.state();
        let version = self.shared.version.load(Ordering::Acquire);
        let current = self.shared.current.load_full();
        if current.version == version {
            return Some(current);
        }
        state.settle();
        let layers: Vec<_> = state
            .layers
            .iter()
            .map(|built| Arc::clone(&built.layer))
            .collect();
        let values = state.values.values().flatten();
        let owners = values.map(|value| &**value.registered.owner());
        let writer = Writer::new(&self.shared.settings.replacement, &layers, owners);
        let snapshot = Arc::new(Snapshot {
            version,
            layers,
            writer,
        });
        self.shared.current.store(Arc::clone(&snapshot));
        Some(snapshot)
    }

    fn worth(&self, options: Options) -> Worth {
        Worth {
            min_length: self.shared.settings.min_length,
            force: options.force,
        }
    }

    fn purge_expired(&self, state: &mut State) {
        let Some(end) = state.first_end else { return };
        let now = (self.shared.settings.clock)();
        if now < end {
            return;
        }
        let is_over = |value: &Value| value.until.is_some_and(|until| until <= now);
        let mut gone = Vec::new();
        state.values.retain(|_, values| {
            gone.extend(values.extract_if(.., |value| is_over(value)));
            !values.is_empty()
        });
        state.first_end = state
            .values
            .values()
            .flatten()
            .filter_map(|value| value.until)
            .min();
        if !gone.is_empty() {
            state.forget(&gone);
            self.changed(state);
        }
    }

    /// Says that there is something new; the state is locked.
    fn changed(&self, _: &State) {
        self.shared.version.fetch_add(1, Ordering::Release);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked left a state that is complete: every change is one assignment.
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Redactor {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn find(&mut self, name: &str, value: &[u8]) -> Option<&mut Value> {
        self.values
            .get_mut(name)?
            .iter_mut()
            .find(|known| known.registered.value() == value)
    }

    /// Puts what is new into a layer, and small layers together: each value is put together with
    /// others a few times only, while few layers have to be looked for.
    fn settle(&mut self) {
        const FEW: usize = 64;
        let mut new = std::mem::take(&mut self.pending);
        if new.is_empty() {
            return;
        }
        while let Some(last) = self.layers.pop_if(|last| {
            last.values.len() <= 4 * new.len() || last.values.len() + new.len() <= FEW
        }) {
            new.extend(last.values);
        }
        self.layers.push(Built::new(new));
    }

    /// Takes values out of everything.
    fn forget(&mut self, gone: &[Value]) {
        let is_gone = |known: &Arc<Registered>| {
            gone.iter()
                .any(|value| Arc::ptr_eq(&value.registered, known))
        };
        self.pending.retain(|known| !is_gone(known));
        for built in std::mem::take(&mut self.layers) {
            if !built.values.iter().any(is_gone) {
                self.layers.push(built);
                continue;
            }
            let mut left = built.values;
            left.retain(|known| !is_gone(known));
            if !left.is_empty() {
                self.layers.push(Built::new(left));
            }
        }
    }
}

impl Built {
    fn new(mut values: Vec<Arc<Registered>>) -> Self {
        registered::prepare(&values);
        values.sort_by(|a, b| a.owner().name.cmp(&b.owner().name));
        let layer = Arc::new(Layer::new(&values));
        Self { values, layer }
    }
}

impl Snapshot {
    pub(crate) fn layers(&self) -> &[Arc<Layer>] {
        &self.layers
    }

    pub(crate) fn writer(&self) -> &Writer {
        &self.writer
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").finish_non_exhaustive()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place; a caller may hand in another clock"
)]
fn system_clock() -> Clock {
    let start = std::time::Instant::now();
    Arc::new(move || start.elapsed())
}
