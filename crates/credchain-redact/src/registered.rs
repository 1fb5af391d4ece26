//! A value that is registered, and its forms, which are made when somebody first looks for them.

use std::fmt;
use std::num::NonZero;
use std::sync::{Arc, OnceLock};

use crate::buffer::Buffer;
use crate::common::is_common;
use crate::finder::Owner;
use crate::forms::Forms;
use crate::redactor::Reason;

/// Which values are masked.
#[derive(Clone, Copy)]
pub(crate) struct Worth {
    /// The least bytes of a value that is not forced.
    pub(crate) min_length: usize,
    /// Masks whatever is not empty.
    pub(crate) force: bool,
}

impl Worth {
    /// Why a value, or a part of one, is not masked.
    pub(crate) fn reason_against(self, value: &[u8]) -> Option<Reason> {
        let trimmed = value.trim_ascii();
        if trimmed.is_empty() {
            Some(Reason::Empty)
        } else if self.force {
            None
        } else if trimmed.len() < self.min_length {
            Some(Reason::TooShort)
        } else {
            is_common(trimmed).then_some(Reason::Common)
        }
    }

    pub(crate) fn forms(self, value: &[u8]) -> Forms {
        Forms::of(value, |part| self.reason_against(part).is_none())
    }
}

/// A value with its owner.
pub(crate) struct Registered {
    owner: Arc<Owner>,
    worth: Worth,
    value: Buffer,
    forms: OnceLock<Forms>,
}

impl Registered {
    pub(crate) fn new(owner: Owner, value: &[u8], worth: Worth) -> Self {
        let mut kept = Buffer::with_capacity(value.len());
        kept.extend(value);
        Self {
            owner: Arc::new(owner),
            worth,
            value: kept,
            forms: OnceLock::new(),
        }
    }

    pub(crate) fn owner(&self) -> &Arc<Owner> {
        &self.owner
    }

    pub(crate) fn value(&self) -> &[u8] {
        &self.value
    }

    pub(crate) fn forms(&self) -> &Forms {
        self.forms.get_or_init(|| self.worth.forms(&self.value))
    }
}

/// How many values are worth another thread.
const SHARE: usize = 512;

/// Makes the forms of all that have none yet, on all cores if there are many.
pub(crate) fn prepare(values: &[Arc<Registered>]) {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let share = values.len().div_ceil(cores).max(SHARE);
    std::thread::scope(|scope| {
        let mut shares = values.chunks(share);
        let own = shares.next();
        for share in shares {
            // Where no thread can be had, the forms are made when they are read.
            let make = || share.iter().for_each(|value| _ = value.forms());
            drop(std::thread::Builder::new().spawn_scoped(scope, make));
        }
        own.into_iter()
            .flatten()
            .for_each(|value| _ = value.forms());
    });
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered").finish_non_exhaustive()
    }
}
