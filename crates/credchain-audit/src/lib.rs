//! The access log of credchain: who used which credential, when, from where, and how it ended.
//!
//! A [`Log`] is JSON lines that many processes append to at the same time. Each record carries the
//! hash of the one before it and its own, made with a key: whoever changes, removes, reorders,
//! copies or cuts off a record without the key is found out by [`verify`], which says where.
//! [`read`] and [`Follower`] show what the log says, and need no key.
//!
//! ```
//! use credchain_audit::{Action, Actor, Event, Filter, Log, Settings, Verdict, read, verify};
//! use credchain_core::{Clock, Environment};
//!
//! # let home = tempfile::tempdir()?;
//! # let (directory, anchor) = (home.path().join("audit"), home.path().join("elsewhere/anchor"));
//! let settings = Settings::new(directory).anchor(anchor);
//! let actor = Actor::detect(&Environment::process());
//! let log = Log::open(&settings, &actor, Clock::system())?;
//! log.note(Event::new(Action::Resolve).credential(&"api_key".parse()?));
//! let recorded = log.record(Event::new(Action::Set).credential(&"api_key".parse()?))?;
//! assert_eq!(recorded.seq, 3); // the log's own first record, and what was noted
//! let sets = read(&settings, Filter::new().action("set"))?;
//! assert_eq!(sets.count(), 1);
//! assert_eq!(verify(&settings)?.verdict(), Verdict::Intact);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it cannot do
//!
//! - It shows what credchain did. What another program read from the same store is in that
//!   store's own log, if it has one.
//! - It makes tampering evident, not impossible. Whoever can write this user's files and read the
//!   key can forge it from then on; so can whoever is the same user. A key and an anchor that are
//!   in other places protect copies and raise the effort.
//! - Without [`Settings::anchor`] nobody can tell a directory that was put back as a whole, as it
//!   once was, from the newest one.
//! - It lives on a disk of one machine: neither locks nor appending are reliable on a network's.
//!
//! No record can hold a value: see [`Event`].

/// A place at which a test may end the process.
macro_rules! step {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        fail::fail_point!($name);
    };
}

mod action;
mod actor;
mod error;
mod event;
mod gap;
mod hex;
mod id;
mod key;
mod line;
mod lines;
mod lock;
mod log;
mod mark;
mod places;
mod queue;
mod read;
mod settings;
mod text;
mod time;
mod verify;
mod writer;

pub use crate::action::{ACTIONS, Action, Outcome, Step};
pub use crate::actor::Actor;
pub use crate::event::{Destination, Event, Fingerprint};
pub use crate::gap::GapReason;
pub use crate::log::{Failure, Log, Recorded};
pub use crate::read::{
    Doer, Entries, Entry, Filter, FollowFrom, Follower, Place, Record, Unreadable, read,
};
pub use crate::settings::Settings;
pub use crate::verify::{Finding, Report, Severity, Verdict, verify};
