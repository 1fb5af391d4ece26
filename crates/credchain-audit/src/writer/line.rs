//! One record, as it is written.

use std::time::{Duration, SystemTime};

use credchain_core::{Clock, Result};

use super::Point;
use crate::action::Outcome;
use crate::event::Event;
use crate::gap::Gap;
use crate::id::Id;
use crate::key::Key;
use crate::line::{begin, end};
use crate::text::Members;
use crate::time::{format, micros};

/// An event that is to be written, as it was when it happened.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) event: Event,
    pub(crate) stamp: Stamp,
}

/// When something happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) id: Id,
    pub(crate) at: SystemTime,
    monotonic: Duration,
}

impl Stamp {
    pub(crate) fn now(clock: &Clock) -> Result<Self> {
        let at = clock.now();
        Ok(Self {
            id: Id::new(at)?,
            at,
            monotonic: clock.monotonic(),
        })
    }

    /// The same moment, for another record.
    pub(crate) fn with_id(self, id: Id) -> Self {
        Self { id, ..self }
    }
}

/// What a record is about.
#[derive(Debug)]
pub(super) enum What<'a> {
    Open,
    Rotate { next: u64 },
    Gap(&'a Gap),
    Event(&'a Event),
}

/// What all records of one writing have in common.
#[derive(Debug)]
pub(super) struct Origin<'a> {
    actor: &'a [u8],
    /// The start of the machine, and how long ago this process's own clock began to count.
    boot: Option<(String, Duration)>,
}

impl<'a> Origin<'a> {
    pub(super) fn new(clock: &Clock, actor: &'a [u8]) -> Self {
        // The system is asked once for many records; each has the time of its own moment.
        let boot = clock.since_boot().map(|(id, since)| {
            let began = since.saturating_sub(clock.monotonic());
            (id, began)
        });
        Self { actor, boot }
    }

    /// Writes a record behind the last one.
    pub(super) fn write(
        &self,
        what: &What<'_>,
        stamp: &Stamp,
        point: &mut Point,
        key: &Key,
        text: &mut Vec<u8>,
    ) {
        let start = text.len();
        let seq = point.seq + 1;
        match what {
            What::Open => begin(text, seq, "audit.open"),
            What::Rotate { .. } => begin(text, seq, "audit.rotate"),
            What::Gap(_) => begin(text, seq, "audit.gap"),
            What::Event(event) => begin(text, seq, &event.action()),
        }
        let mut members = Members::more(text);
        members.text("id", &stamp.id.text());
        members.text("ts", &format(stamp.at));
        let began = self.boot.as_ref().map(|(id, began)| {
            members.text("boot", id);
            *began
        });
        let monotonic = began.unwrap_or_default() + stamp.monotonic;
        members.number("mono", micros(monotonic));
        match what {
            What::Event(event) => event.write_outcome(&mut members),
            _ => {
                members.text("outcome", Outcome::Success.as_str());
            }
        }
        members.raw("actor", self.actor);
        match what {
            What::Open => {}
            What::Rotate { next } => {
                members.number("next", *next);
            }
            What::Gap(gap) => gap.write(&mut members),
            What::Event(event) => event.write(&mut members),
        }
        let mac = end(text, start, key, &point.mac);
        *point = Point { seq, mac };
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use credchain_core::{Kind, LinkName, Reference, Version};

    use super::*;
    use crate::action::Action;
    use crate::actor::Actor;
    use crate::event::{Destination, Fingerprint};
    use crate::line::MOST;

    #[test]
    fn the_longest_record_is_a_short_line() {
        let home = tempfile::tempdir().unwrap();
        let key = Key::make(&home.path().join("state/key")).unwrap();
        let long = "\u{1}é\u{202e}x".repeat(1000);
        let name = "n".repeat(255).parse().unwrap();
        let link: LinkName = "l".repeat(63).parse().unwrap();
        let reference = Reference::new("é".repeat(2000)).unwrap();
        let version = Version::new("9".repeat(200)).unwrap();
        let now = Clock::system().now();
        let event = Event::cache_hits(&name, u64::MAX, now, now)
            .kind(Kind::Unauthenticated)
            .link(&link)
            .reference(&reference)
            .version(&version)
            .generation(u64::MAX)
            .fingerprint(Fingerprint([255; 32]))
            .destination(Destination::File(Path::new(&long)))
            .latency(Duration::MAX)
            .stale(true)
            .reason(&long);
        let env = ["GITHUB_ACTIONS", "GITHUB_REPOSITORY", "USER"].map(|name| (name, long.clone()));
        let actor = Actor::detect(&credchain_core::Environment::fixed(env)).json();
        let clock = Clock::system();
        let mut text = Vec::new();
        let mut point = Point {
            seq: u64::MAX - 1,
            mac: [255; 32],
        };
        let stamp = Stamp::now(&clock).unwrap();
        Origin::new(&clock, &actor).write(
            &What::Event(&event),
            &stamp,
            &mut point,
            &key,
            &mut text,
        );
        assert!(text.len() <= MOST - 900, "{}", text.len());
        let step = Action::rotate(&"s".repeat(99)).name();
        assert!(step.len() < 64);
        let _: serde_json::Value = serde_json::from_slice(&text).unwrap();
    }
}
