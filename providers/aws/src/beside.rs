//! Where what belongs to a value's rotation is kept: a secret or parameter of its own.

use credchain_core::Reference;

use crate::address::Address;
use crate::config::Settings;

/// What the name ends with, or goes on with.
const MARK: &str = ".credchain-rotation";

/// The place beside a secret, or beside one field of it.
pub(crate) fn beside(reference: &Reference, settings: &Settings) -> Option<Reference> {
    let path = reference.path();
    // An ARN names what is there already, perhaps in another account, and nothing can be created
    // by it. What belongs to rotation has no rotation.
    if reference.version().is_some() || path.starts_with("arn:") || path.contains(MARK) {
        return None;
    }
    let name = match reference.field() {
        Some(field) => format!("{path}{MARK}.{}", part(field)),
        None => format!("{path}{MARK}"),
    };
    let place = Reference::new(name).ok()?;
    Address::of(&place, settings).is_ok().then_some(place)
}

/// What belongs to rotation is listed for whoever asks for it.
pub(crate) fn is_listed(reference: &Reference, prefix: &str) -> bool {
    !reference.path().contains(MARK) || prefix.contains(MARK)
}

/// A field's name in characters that both services take: any other byte is `-` and two hex digits.
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
    use credchain_core::{LinkName, Settings as Table, Setup};
    use serde_json::json;

    use super::*;

    #[test]
    fn each_value_has_a_name_of_its_own_that_both_services_take() {
        for service in ["secretsmanager", "ssm"] {
            let setup = Setup::new(LinkName::literal("aws"))
                .with_settings(Table::from_json(json!({"service": service})));
            let settings = Settings::new(&setup).unwrap();
            let of = |text: &str| {
                let place = beside(&text.parse().unwrap(), &settings);
                place.map(|place| place.to_string())
            };
            for (text, place) in [
                ("prod/db", "prod/db.credchain-rotation"),
                ("/prod/db", "/prod/db.credchain-rotation"),
                ("db#password", "db.credchain-rotation.password"),
                ("db#a-b/ä", "db.credchain-rotation.a-2Db-2F-C3-A4"),
            ] {
                assert_eq!(of(text).as_deref(), Some(place), "{service} {text}");
            }
            for text in [
                "db?version=1",
                "a b",
                "db.credchain-rotation",
                "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-AbCdEf",
            ] {
                assert_eq!(of(text), None, "{service} {text}");
            }
        }
    }
}
