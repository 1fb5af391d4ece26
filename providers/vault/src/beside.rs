//! Where what belongs to a value's rotation is kept: a document of its own, because whoever reads
//! the live one reads all its fields, and each write of it is a version of theirs.

use credchain_core::Reference;

use crate::kv::Place;

/// The folder below a document, which has a document for each of its fields.
pub(crate) const FOLDER: &str = ".credchain-rotation";

/// The only field there.
const FIELD: &str = "state";

/// The place beside a field, or beside a document if the reference names none.
pub(crate) fn beside(reference: &Reference) -> Option<Reference> {
    let Place::Kv(path) = Place::of(reference) else {
        return None;
    };
    // What cannot be written is not rotated, and what belongs to rotation has no rotation.
    if reference.version().is_some() || path.split('/').any(|part| part == FOLDER) {
        return None;
    }
    let document = match reference.field() {
        Some(field) => format!("{path}/{FOLDER}/{}", part(field)),
        None => format!("{path}/{FOLDER}"),
    };
    Reference::new(document).ok()?.with_field(FIELD).ok()
}

/// A field's name as one part of a path: any other byte than these is `=` and two hex digits.
fn part(field: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let bytes = field.bytes();
    bytes
        .map(|byte| match byte {
            byte if plain(&byte) => char::from(byte).to_string(),
            byte => format!("={byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<String> {
        beside(&text.parse().unwrap()).map(|place| place.to_string())
    }

    #[test]
    fn each_value_has_a_document_of_its_own_below_the_live_one() {
        for (text, place) in [
            (
                "demo/prod#api_key",
                "demo/prod/.credchain-rotation/api_key#state",
            ),
            (
                "demo/prod#tls.crt",
                "demo/prod/.credchain-rotation/tls=2Ecrt#state",
            ),
            (
                "demo/prod#a/../b=",
                "demo/prod/.credchain-rotation/a=2F=2E=2E=2Fb=3D#state",
            ),
            ("demo/prod", "demo/prod/.credchain-rotation#state"),
        ] {
            assert_eq!(of(text).as_deref(), Some(place), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_written_has_nothing_beside_it() {
        for text in [
            "/database/creds/app#password",
            "demo/prod#a?version=3",
            "demo/prod/.credchain-rotation/a#state",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
