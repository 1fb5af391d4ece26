//! Where what belongs to a value's rotation is kept: a secret of its own.

use credchain_core::Reference;

use crate::address::Address;
use crate::config::Settings;

/// What the name ends with, or goes on with. No conventional name has it: it has `-`, and those of
/// credentials have not.
const MARK: &str = "--credchain-rotation";

/// The place beside a secret, or beside one field of it.
pub(crate) fn beside(reference: &Reference, settings: &Settings) -> Option<Reference> {
    let path = reference.path();
    // What cannot be written is not rotated, and what belongs to rotation has no rotation.
    if reference.version().is_some() || path.contains(MARK) {
        return None;
    }
    let name = match reference.field() {
        Some(field) => format!("{path}{MARK}--{}", part(field)),
        None => format!("{path}{MARK}"),
    };
    let place = Reference::new(name).ok()?;
    Address::of(&place, settings).is_ok().then_some(place)
}

/// What belongs to rotation is listed for whoever asks for it.
pub(crate) fn is_listed(reference: &Reference, prefix: &str) -> bool {
    !reference.path().contains(MARK) || prefix.contains(MARK)
}

/// A field's name in characters that Google takes: any other byte is `-` and two hex digits.
fn part(field: &str) -> String {
    let bytes = field.bytes();
    bytes
        .map(|byte| match byte {
            byte if byte.is_ascii_alphanumeric() || byte == b'_' => char::from(byte).to_string(),
            byte => format!("-{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use credchain_core::{LinkName, Setup};

    use super::*;

    #[test]
    fn each_value_has_a_name_of_its_own_that_google_takes() {
        let settings = Settings::new(&Setup::new(LinkName::literal("gcp"))).unwrap();
        let of = |text: &str| {
            let place = beside(&text.parse().unwrap(), &settings);
            place.map(|place| place.to_string())
        };
        for (text, place) in [
            ("p_prod_db", "p_prod_db--credchain-rotation"),
            (
                "/projects/other/secrets/db",
                "/projects/other/secrets/db--credchain-rotation",
            ),
            ("db#password", "db--credchain-rotation--password"),
            ("db#a-b.c", "db--credchain-rotation--a-2Db-2Ec"),
        ] {
            assert_eq!(of(text).as_deref(), Some(place), "{text}");
        }
        let long = "n".repeat(250);
        for text in ["db?version=1", "a/b", "db--credchain-rotation", &long] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
