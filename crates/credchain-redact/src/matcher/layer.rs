//! A set of needles that never changes, with what is made to find them.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::filter::Filter;
use super::needles::{Needles, Span};
use crate::buffer::Buffer;
use crate::finder::{Label, Owner};
use crate::registered::Registered;
use crate::replacement::Clashes;

/// Everything that was registered in one go, or several such sets put together.
pub(crate) struct Layer {
    needles: Needles,
    filter: Filter,
    owners: Vec<Arc<Owner>>,
    /// The needles that may be broken into lines; few texts ever need them apart.
    wrapping: OnceLock<Needles>,
    clashes: Clashes,
}

impl Layer {
    /// The layer of these values, which are in the order of their names: of two that have a form
    /// in common, the first one gives its name to a mask.
    pub(crate) fn new(values: &[Arc<Registered>]) -> Self {
        let each = || values.iter().map(|value| value.forms());
        let size = each().map(|forms| forms.bytes().len()).sum();
        let mut bytes = Buffer::with_capacity(size);
        let mut spans = Vec::new();
        for (owner, forms) in (0_u32..).zip(each()) {
            let base = bytes.len();
            bytes.extend(forms.bytes());
            spans.extend(forms.spans().iter().map(|form| Span {
                start: base + form.start,
                len: form.len,
                owner,
                wraps: form.wraps,
            }));
        }
        let needles = Needles::new(bytes, spans);
        let filter = Filter::new(&needles);
        let owners = values
            .iter()
            .map(|value| Arc::clone(value.owner()))
            .collect();
        Self {
            needles,
            filter,
            owners,
            wrapping: OnceLock::new(),
            clashes: Clashes::default(),
        }
    }

    pub(crate) fn needles(&self) -> &Needles {
        &self.needles
    }

    pub(crate) fn filter(&self) -> &Filter {
        &self.filter
    }

    pub(crate) fn wrapping(&self) -> &Needles {
        self.wrapping.get_or_init(|| self.needles.wrapping())
    }

    pub(crate) fn has_wrapping(&self) -> bool {
        self.filter.has_wrapping()
    }

    /// Which replacements its needles can be confused with.
    pub(crate) fn clashes(&self) -> &Clashes {
        &self.clashes
    }

    pub(crate) fn label(&self, owner: u32) -> Label {
        Label::Value(Arc::clone(&self.owners[owner as usize]))
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer")
            .field("values", &self.owners.len())
            .finish_non_exhaustive()
    }
}
