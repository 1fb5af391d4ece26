//! What a backend openly cannot hold.

use std::fmt;

type Predicate<T> = Box<dyn Fn(&T) -> bool>;

/// What a backend openly cannot hold, beyond what
/// [`Capabilities`](credchain_core::Capabilities) say. Each limit has a reason that stands in the
/// test's source, and each is a claim of its own: what is declared as refused has to be refused
/// with [`Kind::Invalid`](credchain_core::Kind::Invalid), not mangled.
///
/// ```
/// use credchain_conformance::Limits;
/// let limits = Limits::none()
///     .refuses_values("the protocol is one line per value", |value| value.contains(&b'\n'))
///     .refuses_names("file names end at 255 bytes", |name| name.len() > 255);
/// # drop(limits);
/// ```
#[derive(Default)]
pub struct Limits {
    values: Vec<(&'static str, Predicate<[u8]>)>,
    names: Vec<(&'static str, Predicate<str>)>,
    case_insensitive: Option<&'static str>,
}

impl Limits {
    /// No limit: every byte and every name.
    pub fn none() -> Self {
        Self::default()
    }

    /// Values for which `refused` is true are answered with `Invalid` when they are written, and
    /// cannot be planted.
    pub fn refuses_values(
        mut self,
        reason: &'static str,
        refused: impl Fn(&[u8]) -> bool + 'static,
    ) -> Self {
        self.values.push((reason, Box::new(refused)));
        self
    }

    /// Names for which `refused` is true are answered with `Invalid` when they are written, and
    /// are never found.
    pub fn refuses_names(
        mut self,
        reason: &'static str,
        refused: impl Fn(&str) -> bool + 'static,
    ) -> Self {
        self.names.push((reason, Box::new(refused)));
        self
    }

    /// Names that differ in case only are one name.
    pub fn case_insensitive(mut self, reason: &'static str) -> Self {
        self.case_insensitive = Some(reason);
        self
    }

    pub(crate) fn value_refused(&self, value: &[u8]) -> bool {
        self.values.iter().any(|(_, refused)| refused(value))
    }

    pub(crate) fn name_refused(&self, name: &str) -> bool {
        self.names.iter().any(|(_, refused)| refused(name))
    }

    pub(crate) fn is_case_insensitive(&self) -> bool {
        self.case_insensitive.is_some()
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<_> = self.values.iter().map(|(reason, _)| reason).collect();
        let names: Vec<_> = self.names.iter().map(|(reason, _)| reason).collect();
        f.debug_struct("Limits")
            .field("values", &values)
            .field("names", &names)
            .field("case_insensitive", &self.case_insensitive)
            .finish()
    }
}
