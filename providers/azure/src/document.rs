//! One field of a value that is a JSON object: `prod/db#password`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use credchain_core::{Error, Kind, Result, Secret};
use serde_json::value::RawValue;

/// How many names of fields a hint tells.
const NAMES_TOLD: usize = 12;

/// The field's value: a text as its bytes, anything else exactly as the document writes it.
pub(crate) fn field(document: &Secret, name: &str) -> Result<Secret> {
    // The values stay where they are, so that none is copied but the one that is asked for.
    let fields: BTreeMap<Cow<'_, str>, &RawValue> =
        // serde's message could quote the document, so it is not passed on.
        serde_json::from_slice(document.expose()).map_err(|_| no_object())?;
    let Some(value) = fields.get(name) else {
        return Err(Error::new(Kind::NotFound, "the secret has no such field")
            .with_hint(told(fields.keys().map(AsRef::as_ref))));
    };
    let value = match serde_json::from_str::<String>(value.get()) {
        Ok(text) => Secret::from(text),
        Err(_) if value.get().starts_with('"') => return Err(no_text()),
        Err(_) => Secret::new(value.get()),
    };
    Ok(value.with_meta(|meta| *meta = document.meta().clone()))
}

fn told<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = if names.len() > NAMES_TOLD {
        ", …"
    } else {
        ""
    };
    let names: Vec<_> = names
        .take(NAMES_TOLD)
        .map(|name| format!("`{}`", name.chars().take(64).collect::<String>()))
        .collect();
    if names.is_empty() {
        return "its object is empty".to_owned();
    }
    format!("it has {}{more}", names.join(", "))
}

fn no_object() -> Error {
    Error::new(Kind::Invalid, "the secret is not one JSON object")
        .with_hint("without `#FIELD` the reference gives the whole value")
}

/// Half a surrogate pair, which no text can hold.
fn no_text() -> Error {
    Error::new(Kind::Invalid, "the field's text is not Unicode")
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"user": "app", "password": "p\u00e4\n", "port": 5432, "ratio": 0.50,
        "long": 12345678901234567890123, "tls": true, "none": null, "list": [1, "canary"],
        "deep": {"b": 1,  "a": "x"}, "half": "\ud800"}"#;

    fn of(json: &str, name: &str) -> Result<Secret> {
        field(&Secret::new(json), name)
    }

    #[test]
    fn a_text_is_its_bytes_and_anything_else_is_as_it_was_written() {
        for (name, value) in [
            ("user", "app"),
            ("password", "pä\n"),
            ("port", "5432"),
            ("ratio", "0.50"),
            ("long", "12345678901234567890123"),
            ("tls", "true"),
            ("none", "null"),
            ("list", r#"[1, "canary"]"#),
            ("deep", r#"{"b": 1,  "a": "x"}"#),
        ] {
            assert_eq!(of(JSON, name).unwrap().expose(), value.as_bytes(), "{name}");
        }
        assert_eq!(of(JSON, "half").unwrap_err().kind(), Kind::Invalid);
    }

    #[test]
    fn a_missing_field_is_a_miss_that_names_the_others_and_no_value() {
        let error = of(JSON, "pasword").unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        assert!(error.hint().unwrap().contains("`password`"), "{error:?}");
        assert!(!format!("{error:?}").contains("canary"));
        assert_eq!(of("{}", "a").unwrap_err().kind(), Kind::NotFound);
    }

    #[test]
    fn what_is_no_object_is_invalid() {
        for json in [
            "canary",
            "[1]",
            r#""canary""#,
            r#"{"user": "canary""#,
            "{} {}",
            "",
        ] {
            let error = of(json, "user").unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{json}");
            assert!(!format!("{error:?}").contains("canary"));
        }
        assert_eq!(
            field(&Secret::new([0xff]), "a").unwrap_err().kind(),
            Kind::Invalid
        );
    }

    #[test]
    fn the_version_stays_with_the_field() {
        let version = credchain_core::Version::number(3);
        let document = Secret::new(JSON).with_meta(|meta| meta.version = Some(version.clone()));
        assert_eq!(
            field(&document, "user").unwrap().meta().version,
            Some(version)
        );
    }
}
