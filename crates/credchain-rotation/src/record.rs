//! What is kept about a credential's rotations, and survives whoever performs them.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use credchain_core::{Account, Secret};
use serde::{Deserialize, Serialize};

use crate::form::base64_value;

/// The form of the document. One of a newer version is left alone.
pub(crate) const VERSION: u32 = 1;

/// How far two clocks may be apart without contradicting each other.
pub(crate) const CLOCK_SKEW: Duration = Duration::from_mins(5);

/// How many rotations are remembered.
const REMEMBERED: usize = 20;

/// How a new value takes over from the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Strategy {
    /// One account gets a new value. Between that and the moment at which readers see it, logins
    /// fail: a window of some milliseconds.
    Swap,
    /// Two accounts in turn: the idle one gets a new value, readers move over, the other one
    /// retires.
    Alternate,
    /// The issuer makes a second key, readers move over, the first one is revoked.
    Issue,
    /// A key of our own: the one before stays readable, as `previous`, for the overlap.
    Versioned,
    /// The backend owns the value and rotates it itself.
    Delegated,
}

impl Strategy {
    /// Its word in configurations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Swap => "swap",
            Self::Alternate => "alternate",
            Self::Issue => "issue",
            Self::Versioned => "versioned",
            Self::Delegated => "delegated",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How far a rotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// It has a name, and nothing was changed.
    Planned,
    /// The new value is kept, and nobody accepts it yet.
    PendingStored,
    /// The target was told to accept it.
    Applied,
    /// A login with it succeeded.
    Verified,
    /// Readers get it.
    Promoted,
    /// The old value is valid for those who read it before.
    Overlap,
    /// The old value is refused, in a way that can be undone.
    OldDisabled,
    /// It could still be enabled again.
    Soak,
    /// The old value is gone: the end.
    OldRevoked,
    /// What was done is being undone.
    Aborting,
    /// Neither the old nor the new value is accepted; a person has to look.
    Orphaned,
}

impl State {
    /// Its word in tables and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::PendingStored => "pending_stored",
            Self::Applied => "applied",
            Self::Verified => "verified",
            Self::Promoted => "promoted",
            Self::Overlap => "overlap",
            Self::OldDisabled => "old_disabled",
            Self::Soak => "soak",
            Self::OldRevoked => "old_revoked",
            Self::Aborting => "aborting",
            Self::Orphaned => "orphaned",
        }
    }

    /// Whether readers may have the new value already.
    pub(crate) const fn is_forward_only(self) -> bool {
        matches!(
            self,
            Self::Promoted | Self::Overlap | Self::OldDisabled | Self::Soak | Self::OldRevoked
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Everything that is kept about one credential.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Document {
    pub(crate) credchain_rotation: u32,
    /// Who is at work.
    pub(crate) holder: Option<Holder>,
    /// What is current, if a rotation made it.
    pub(crate) current: Option<Current>,
    /// What is under way.
    pub(crate) run: Option<Run>,
    /// The newest last.
    #[serde(default)]
    pub(crate) history: Vec<Past>,
}

impl Default for Document {
    fn default() -> Self {
        Self {
            credchain_rotation: VERSION,
            holder: None,
            current: None,
            run: None,
            history: Vec::new(),
        }
    }
}

impl Document {
    pub(crate) fn remember(&mut self, past: Past) {
        self.history.push(past);
        let more = self.history.len().saturating_sub(REMEMBERED);
        self.history.drain(..more);
    }
}

/// Whoever is at work. Others leave the credential alone until it is clear that it is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    /// Random, and another one for every attempt.
    pub(crate) name: String,
    pub(crate) host: String,
    pub(crate) pid: u32,
    /// Which numbers of processes `pid` is one of; nothing where that cannot be said.
    pub(crate) processes: Option<String>,
    pub(crate) term_ms: u64,
    /// Grows, so that each sign of life changes the document.
    pub(crate) beat: u64,
}

/// The value that is current.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Current {
    /// Its account or key id.
    pub(crate) id: String,
    /// Seconds since 1970.
    pub(crate) created: u64,
}

/// A rotation under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) strategy: Strategy,
    pub(crate) state: State,
    pub(crate) started: u64,
    /// When it came to this state.
    pub(crate) entered: Stamp,
    /// The old value leaked: no overlap, no soak.
    pub(crate) compromised: bool,
    pub(crate) old: Option<Login>,
    pub(crate) new: Option<Login>,
    /// The keys that an issuer listed before it was asked for one; nothing if it was not yet.
    pub(crate) listed: Option<Vec<String>>,
    /// One entry for each store, in their order.
    pub(crate) stores: Vec<Stored>,
    /// How often the target refused what we chose.
    pub(crate) refusals: u32,
    /// How often it failed, and when it is tried again by itself.
    pub(crate) failures: u32,
    pub(crate) not_before: u64,
    /// The kind of the last failure.
    pub(crate) problem: Option<String>,
}

/// What a rotation knows about one store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) link: String,
    /// The version it had, and then the one that was written.
    pub(crate) version: Option<String>,
    pub(crate) written: bool,
}

/// A login that is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Login {
    pub(crate) id: String,
    /// What logs in.
    #[serde(with = "base64_value")]
    pub(crate) secret: Secret,
    /// What readers see.
    #[serde(with = "base64_value")]
    pub(crate) value: Secret,
}

impl Login {
    pub(crate) fn account(&self) -> Account {
        Account::new(self.id.clone(), self.secret.clone())
    }
}

/// A rotation that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Past {
    /// Its name.
    pub id: String,
    /// How it was done.
    pub strategy: Strategy,
    /// Seconds since 1970.
    pub started: u64,
    /// Seconds since 1970.
    pub finished: u64,
    /// Whether readers have the new value; else it was undone.
    pub completed: bool,
    /// Whether the old value had leaked.
    pub compromised: bool,
}

/// A moment, by every clock there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// Milliseconds since 1970, by the wall clock.
    pub(crate) wall_ms: u64,
    /// Which start of which machine, and milliseconds since.
    pub(crate) boot: Option<(String, u64)>,
}

impl Stamp {
    pub(crate) fn new(clock: &credchain_core::Clock) -> Self {
        let since = clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            wall_ms: millis(since),
            boot: clock
                .since_boot()
                .map(|(boot, passed)| (boot, millis(passed))),
        }
    }

    /// The same by the wall clock alone, to compare with other machines' clocks.
    pub(crate) fn wall(&self) -> SystemTime {
        let since = Duration::from_millis(self.wall_ms);
        UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
    }

    /// How much time has passed since, by the clock that shows the least of it; nothing if a clock
    /// was put back.
    pub(crate) fn passed(&self, clock: &credchain_core::Clock) -> Option<Duration> {
        let now = Self::new(clock);
        // Others' clocks, and ours after a correction, may be a little behind.
        if now.wall_ms + millis(CLOCK_SKEW) < self.wall_ms {
            return None;
        }
        let wall = Duration::from_millis(now.wall_ms.saturating_sub(self.wall_ms));
        Some(match (&self.boot, &now.boot) {
            (Some((then, from)), Some((boot, to))) if then == boot => {
                wall.min(Duration::from_millis(to.saturating_sub(*from)))
            }
            _ => wall,
        })
    }
}

pub(crate) fn seconds(moment: SystemTime) -> u64 {
    moment
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

pub(crate) fn moment(seconds: u64) -> SystemTime {
    UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds))
        .unwrap_or(UNIX_EPOCH)
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
