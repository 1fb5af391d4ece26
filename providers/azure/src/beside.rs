//! Where what belongs to a value's rotation is kept: a secret of its own.

use credchain_core::Reference;

use crate::address::Address;
use crate::config::Settings;

/// What the name ends with, or goes on with.
const MARK: &str = "--credchain-rotation";

/// The place beside a secret, or beside one field of it.
pub(crate) fn beside(reference: &Reference, settings: &Settings) -> Option<Reference> {
    let path = reference.path();
    // What cannot be written is not rotated, and what belongs to rotation has no rotation.
    if reference.version().is_some() || has_mark(path) {
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
    !has_mark(reference.path()) || has_mark(prefix)
}

/// Key Vault does not tell `a` from `A`.
fn has_mark(path: &str) -> bool {
    path.to_ascii_lowercase().contains(MARK)
}

/// A field's name in characters that Key Vault takes and tells apart: any other byte is `-` and two
/// hex digits.
fn part(field: &str) -> String {
    let bytes = field.bytes();
    bytes
        .map(|byte| match byte {
            byte if byte.is_ascii_lowercase() || byte.is_ascii_digit() => {
                char::from(byte).to_string()
            }
            byte => format!("-{byte:02x}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use credchain_core::{LinkName, Settings as Table, Setup};
    use serde_json::json;

    use super::*;

    #[test]
    fn each_value_has_a_name_of_its_own_that_key_vault_takes_and_tells_apart() {
        let setup = Setup::new(LinkName::literal("azure")).with_settings(Table::from_json(
            json!({"vault": "https://v.vault.azure.net"}),
        ));
        let settings = Settings::new(&setup).unwrap();
        let of = |text: &str| {
            let place = beside(&text.parse().unwrap(), &settings);
            place.map(|place| place.to_string())
        };
        for (text, place) in [
            ("p-prod-api-key", "p-prod-api-key--credchain-rotation"),
            ("/db", "/db--credchain-rotation"),
            ("db#password", "db--credchain-rotation--password"),
            ("db#Aa_b", "db--credchain-rotation---41a-5fb"),
        ] {
            assert_eq!(of(text).as_deref(), Some(place), "{text}");
        }
        let long = "n".repeat(120);
        for text in ["a_b", "db--Credchain-Rotation", &long] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
