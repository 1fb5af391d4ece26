//! What happened on the way to a value, without the value.

use std::borrow::Cow;
use std::time::Duration;

use crate::{Kind, LinkName, Reference, Result, Secret};

/// A resolved credential, or why it could not be, with every step that was taken.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a result and how it came about")]
pub struct Resolution {
    /// The value or the failure that decided.
    pub result: Result<Secret>,
    /// Every link that was asked, in order.
    pub trace: Trace,
}

/// The links that were asked for one credential, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trace {
    /// One entry for each question.
    pub steps: Vec<Step>,
}

/// One question to one link.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// The link that was asked.
    pub link: LinkName,
    /// What it answered.
    pub outcome: Outcome,
    /// How long the answer took; a batch counts as one answer.
    pub elapsed: Duration,
    /// The place it was asked for.
    pub reference: Option<Reference>,
    /// Whether a cache answered.
    pub cached: bool,
    /// The age of a stale value.
    pub stale: Option<Duration>,
    /// What else there is to say, such as "set but empty".
    pub note: Option<Cow<'static, str>>,
}

/// What a link answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It had the value.
    Hit,
    /// It failed with this kind; a miss is a kind too.
    Failed(Kind),
    /// No link had the value and the configuration's default was taken.
    Default,
}

impl Outcome {
    /// The stable token used in JSON: `hit`, `default` or the kind's.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Default => "default",
            Self::Failed(kind) => kind.as_str(),
        }
    }
}

impl Trace {
    /// The last note that explains a miss, such as "set but empty".
    pub fn note(&self) -> Option<&str> {
        self.steps
            .iter()
            .rev()
            .find_map(|step| step.note.as_deref())
    }
}
