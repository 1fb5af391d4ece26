//! Where what belongs to a value's rotation is kept: an entry of its own in the same store.

use credchain_core::Reference;

/// What the entry's name ends with, or goes on with.
const MARK: &str = ".credchain-rotation";

/// The place beside an entry, or beside one field of it.
pub(crate) fn beside(reference: &Reference) -> Option<Reference> {
    let path = reference.path();
    // What cannot be written is not rotated, and what belongs to rotation has no rotation.
    if reference.version().is_some() || path.contains(MARK) {
        return None;
    }
    let name = match reference.field() {
        Some(field) => format!("{path}{MARK}/{}", part(field)),
        None => format!("{path}{MARK}"),
    };
    Reference::new(name).ok()
}

/// What belongs to rotation is listed for whoever asks for it.
pub(crate) fn is_listed(path: &str, prefix: Option<&str>) -> bool {
    !path.contains(MARK) || prefix.is_some_and(|prefix| prefix.contains(MARK))
}

/// A field's name as one part of a path: any other byte than these is `=` and two hex digits.
fn part(field: &str) -> String {
    let bytes = field.bytes();
    bytes
        .map(|byte| match byte {
            byte if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') => {
                char::from(byte).to_string()
            }
            byte => format!("={byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_an_entry_of_its_own() {
        let of = |text: &str| beside(&text.parse().unwrap()).map(|place| place.to_string());
        for (text, place) in [
            ("default/db", "default/db.credchain-rotation"),
            ("/db", "/db.credchain-rotation"),
            ("db#password", "db.credchain-rotation/password"),
            ("db#../a=", "db.credchain-rotation/=2E=2E=2Fa=3D"),
        ] {
            assert_eq!(of(text).as_deref(), Some(place), "{text}");
        }
        for text in ["db?version=1", "db.credchain-rotation"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
