//! Where what belongs to a value's rotation is kept: an item of its own, of the same service.

use credchain_core::Reference;

use crate::place::Place;

/// What the user of such an item ends with.
const MARK: &str = ".credchain-rotation";

/// The place beside an item; nothing for what is none, and for what belongs to rotation itself.
pub(crate) fn beside(reference: &Reference, own: &str) -> Option<Reference> {
    if reference.path().ends_with(MARK) || Place::of(reference, own).is_err() {
        return None;
    }
    Reference::new(format!("{}{MARK}", reference.path())).ok()
}

/// What belongs to rotation is listed for whoever asks for it.
pub(crate) fn is_listed(reference: &Reference, prefix: &str) -> bool {
    !reference.path().ends_with(MARK) || prefix.ends_with(MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_has_one_beside_it() {
        let of = |text: &str| {
            let place = beside(&text.parse().unwrap(), "demo");
            place.map(|place| place.to_string())
        };
        for (text, place) in [
            ("api_key", "api_key.credchain-rotation"),
            ("demo/prod/api_key", "demo/prod/api_key.credchain-rotation"),
            ("/demo/api_key", "/demo/api_key.credchain-rotation"),
        ] {
            assert_eq!(of(text).as_deref(), Some(place), "{text}");
        }
        for text in ["demo/", "a#b", "a?version=1", "a.credchain-rotation"] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn it_is_listed_when_it_is_asked_for() {
        let it = Reference::new("a.credchain-rotation").unwrap();
        assert!(!is_listed(&it, "a") && is_listed(&it, "a.credchain-rotation"));
        assert!(is_listed(&Reference::new("a").unwrap(), ""));
    }
}
