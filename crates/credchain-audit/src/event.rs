//! What is to be recorded: who asked for what is known already, this is the rest.

use std::ffi::OsStr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use credchain_core::{Error, Kind, LinkName, Name, Reference, Version};

use crate::action::{Action, Outcome};
use crate::hex::{Digest, hex};
use crate::text::Members;
use crate::time;

/// Something that was done, in the terms of the log.
///
/// No part of it takes a [`Secret`](credchain_core::Secret), so that none gets in by mistake:
///
/// ```compile_fail
/// use credchain_audit::{Action, Event};
/// use credchain_core::Secret;
///
/// let value = Secret::new("s3cret");
/// Event::new(Action::Resolve).reason(&value);
/// ```
///
/// Texts of others are escaped when they are written, and cut at 256 bytes.
///
/// ```
/// use credchain_audit::{Action, Destination, Event};
/// use credchain_core::{Error, Kind, LinkName};
///
/// let given = Event::new(Action::Exec)
///     .credential(&"api_key".parse()?)
///     .link(&LinkName::literal("vault"))
///     .destination(Destination::Variable("API_KEY"))
///     .reason("python");
/// let refused = Event::new(Action::Resolve).failed(&Error::new(Kind::Denied, "by policy"));
/// # let _ = (given, refused);
/// # Ok::<(), credchain_core::NameError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Event {
    action: Action,
    outcome: Outcome,
    kind: Option<Kind>,
    credential: Option<Name>,
    link: Option<LinkName>,
    reference: Option<String>,
    version: Option<String>,
    generation: Option<u64>,
    fingerprint: Option<Fingerprint>,
    destination: Option<String>,
    latency: Option<Duration>,
    cached: bool,
    stale: bool,
    reason: Option<String>,
    many: Option<Many>,
}

/// Many at once, of which only the first and the last time are known.
#[derive(Clone, Copy, Debug)]
struct Many {
    count: u64,
    first: SystemTime,
    last: SystemTime,
}

/// Where a value went.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Destination<'a> {
    /// An environment variable of a program, by its name.
    Variable(&'a str),
    /// A file.
    File(&'a Path),
    /// The input of a program; of its path the last part is kept.
    Program(&'a OsStr),
    /// The output of this one.
    Output,
}

/// What one value can be recognized by, for whoever has the log's key: see
/// [`Log::fingerprint`](crate::Log::fingerprint).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub(crate) Digest);

impl Event {
    /// Something that was done, successfully unless said otherwise.
    pub fn new(action: Action) -> Self {
        Self {
            action,
            outcome: Outcome::Success,
            kind: None,
            credential: None,
            link: None,
            reference: None,
            version: None,
            generation: None,
            fingerprint: None,
            destination: None,
            latency: None,
            cached: false,
            stale: false,
            reason: None,
            many: None,
        }
    }

    /// Values of one credential that were served from memory, and between when.
    pub fn cache_hits(credential: &Name, count: u64, first: SystemTime, last: SystemTime) -> Self {
        let mut event = Self::new(Action::CacheHit).credential(credential);
        event.cached = true;
        event.many = Some(Many { count, first, last });
        event
    }

    /// How it ended.
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// That it failed, and how: the kind alone is recorded, never the text. The credential and
    /// the link that the error names are taken if none were given.
    pub fn failed(mut self, error: &Error) -> Self {
        self.outcome = outcome_of(error.kind());
        self.kind = Some(error.kind());
        self.credential = self.credential.or_else(|| error.credential().cloned());
        self.link = self.link.or_else(|| error.link().cloned());
        self
    }

    /// That it ended with this kind of failure.
    pub fn kind(mut self, kind: Kind) -> Self {
        self.outcome = outcome_of(kind);
        self.kind = Some(kind);
        self
    }

    /// The credential concerned.
    pub fn credential(mut self, name: &Name) -> Self {
        self.credential = Some(name.clone());
        self
    }

    /// The link that was asked.
    pub fn link(mut self, link: &LinkName) -> Self {
        self.link = Some(link.clone());
        self
    }

    /// The address there. What could be a secret in it is left out: a user and a password before
    /// a host, and everything behind a question mark.
    pub fn reference(mut self, reference: &Reference) -> Self {
        let mut text = without_secrets(reference.path()).into_owned();
        if let Some(field) = reference.field() {
            text.push('#');
            text.push_str(field);
        }
        self.reference = Some(text);
        if let Some(version) = reference.version() {
            self.version
                .get_or_insert_with(|| version.as_str().to_owned());
        }
        self
    }

    /// The backend's name for the version of the value.
    pub fn version(mut self, version: &Version) -> Self {
        self.version = Some(version.as_str().to_owned());
        self
    }

    /// Which of the values of a rotation it is, counted from the first.
    pub fn generation(mut self, generation: u64) -> Self {
        self.generation = Some(generation);
        self
    }

    /// What the value can be recognized by. Off unless it is called.
    ///
    /// # Security
    /// Only for values that were generated and have at least 80 bits that nobody can guess:
    /// whoever has the key of the log finds a short password by trying.
    pub fn fingerprint(mut self, fingerprint: Fingerprint) -> Self {
        self.fingerprint = Some(fingerprint);
        self
    }

    /// Where the value went.
    pub fn destination(mut self, to: Destination<'_>) -> Self {
        self.destination = Some(match to {
            Destination::Variable(name) => format!("env:{name}"),
            Destination::File(path) => format!("file:{}", path.display()),
            Destination::Program(path) => format!("program:{}", last_part(path)),
            Destination::Output => "output".to_owned(),
        });
        self
    }

    /// How long it took.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = Some(latency);
        self
    }

    /// Whether the value came from memory.
    pub fn cached(mut self, cached: bool) -> Self {
        self.cached = cached;
        self
    }

    /// Whether the value was served although it was too old, as the backend did not answer.
    pub fn stale(mut self, stale: bool) -> Self {
        self.stale = stale;
        self
    }

    /// What it was done for, such as the name of a command: never its arguments, never the text
    /// of an error.
    pub fn reason(mut self, reason: &str) -> Self {
        self.reason = Some(reason.to_owned());
        self
    }

    /// The name of what was done, as it is written.
    pub(crate) fn action(&self) -> std::borrow::Cow<'static, str> {
        self.action.name()
    }

    /// Everything that stands behind who did it.
    pub(crate) fn write(&self, members: &mut Members<'_>) {
        members.some("credential", self.credential.as_ref().map(Name::as_str));
        members.some("link", self.link.as_ref().map(LinkName::as_str));
        members.some("reference", self.reference.as_deref());
        members.some("version", self.version.as_deref());
        if let Some(generation) = self.generation {
            members.number("generation", generation);
        }
        if let Some(Fingerprint(digest)) = &self.fingerprint {
            let hex = hex(digest);
            let text = [b"\"hmac-sha256:", &hex[..], b"\""].concat();
            members.raw("value_fp", &text);
        }
        members.some("dest", self.destination.as_deref());
        if let Some(latency) = self.latency {
            members.number("latency_us", time::micros(latency));
        }
        members.flag("cached", self.cached);
        members.flag("stale", self.stale);
        members.some("reason", self.reason.as_deref());
        if let Some(Many { count, first, last }) = self.many {
            members.number("count", count);
            members.text("first", &time::format(first));
            members.text("last", &time::format(last));
        }
    }

    /// How it ended, which stands before who did it.
    pub(crate) fn write_outcome(&self, members: &mut Members<'_>) {
        members.text("outcome", self.outcome.as_str());
        members.some("kind", self.kind.map(Kind::as_str));
    }
}

fn outcome_of(kind: Kind) -> Outcome {
    match kind {
        Kind::Denied | Kind::Unauthenticated | Kind::Untrusted => Outcome::Denied,
        _ => Outcome::Failure,
    }
}

fn last_part(path: &OsStr) -> String {
    let name = Path::new(path).file_name().unwrap_or(path);
    name.to_string_lossy().into_owned()
}

/// An address without what stands between `//` and `@`, and without its query.
fn without_secrets(address: &str) -> std::borrow::Cow<'_, str> {
    let address = address.split('?').next().unwrap_or_default();
    let Some((scheme, rest)) = address.split_once("//") else {
        return address.into();
    };
    let host_end = rest.find('/').unwrap_or(rest.len());
    match rest[..host_end].rfind('@') {
        Some(at) => format!("{scheme}//{}", &rest[at + 1..]).into(),
        None => address.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_without_what_could_be_a_secret() {
        for (address, kept) in [
            ("prod/db", "prod/db"),
            ("https://user:word@host/a@b", "https://host/a@b"),
            ("//user@host", "//host"),
            ("https://host/a?token=word", "https://host/a"),
            ("a@b", "a@b"),
        ] {
            assert_eq!(without_secrets(address), kept);
        }
    }

    #[test]
    fn a_refusal_is_told_from_a_failure() {
        for kind in Kind::ALL {
            let denied = matches!(kind.exit_code(), 4 | 7);
            let event = Event::new(Action::Resolve).kind(kind);
            assert_eq!(event.outcome == Outcome::Denied, denied, "{kind}");
        }
    }

    #[test]
    fn of_a_program_its_name_is_kept() {
        let event = Event::new(Action::Exec)
            .destination(Destination::Program(OsStr::new("/usr/bin/python3")));
        assert_eq!(event.destination.unwrap(), "program:python3");
    }
}
