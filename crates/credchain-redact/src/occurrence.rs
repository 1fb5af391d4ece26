//! Finding registered values without hiding them.

use std::ops::Range;
use std::sync::Arc;

use crate::finder::{Finder as _, Label, Mask, Window};
use crate::matcher::layer::Layer;
use crate::matcher::scan::Scan;

/// A place where a text holds a registered value. It holds whose, and never what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    name: Box<str>,
    span: Range<usize>,
}

impl Occurrence {
    /// The name that the value is registered under. Of several, that of the one that begins first.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bytes of the text that must not be shown.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }
}

/// Looks for the needles of some layers in a text that is complete.
pub(crate) fn find(layers: &[Arc<Layer>], text: &[u8]) -> Vec<Occurrence> {
    let window = Window::whole(text);
    let mut found = Vec::new();
    for layer in layers {
        Scan::new(Arc::clone(layer)).find(&window, &mut found);
    }
    // Of several at one place the longest gives its name, and then the first by name, so that the
    // order of registration does not matter.
    found.sort_by(|a, b| {
        let by_place = a.start.cmp(&b.start).then_with(|| b.end.cmp(&a.end));
        by_place.then_with(|| a.label.name().cmp(b.label.name()))
    });
    let mut all: Vec<Occurrence> = Vec::new();
    for Mask { start, end, label } in found {
        match all.last_mut() {
            Some(last) if start < last.span.end => last.span.end = last.span.end.max(end),
            _ => all.push(Occurrence {
                name: name(&label),
                span: start..end,
            }),
        }
    }
    all
}

fn name(label: &Label) -> Box<str> {
    label.name().into()
}

#[cfg(test)]
mod tests {
    use crate::{Options, Redactor};

    #[test]
    fn every_occurrence_is_told_with_its_name_and_what_overlaps_is_one() {
        let redactor = Redactor::new();
        for (name, value) in [("b", "battery staple"), ("a", "correct horse battery")] {
            assert!(
                redactor
                    .register(name, value.as_bytes(), Options::default())
                    .is_masked()
            );
        }
        let text = "x battery staple y correct horse battery staple z";
        let found = redactor.find(text.as_bytes());
        let shown: Vec<_> = found.iter().map(|one| (one.name(), one.span())).collect();
        assert_eq!(shown, [("b", 2..16), ("a", 19..47)]);
        assert!(redactor.find(b"").is_empty());
        assert!(Redactor::new().find(text.as_bytes()).is_empty());
    }

    #[test]
    fn what_is_found_is_what_is_hidden() {
        let redactor = Redactor::new();
        let value = "p4ss \"word\" 1";
        assert!(
            redactor
                .register("key", value.as_bytes(), Options::default())
                .is_masked()
        );
        let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
        let text = format!("{value}, {hex}, {value:?}, nothing");
        let mut shown = text.clone().into_bytes();
        for one in redactor.find(text.as_bytes()).iter().rev() {
            shown.splice(one.span(), *b"***");
        }
        assert_eq!(shown, redactor.redact(text.as_bytes()));
    }
}
