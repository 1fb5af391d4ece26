//! One field of a file that holds a JSON object: `db.json#password`.

use std::borrow::Cow;
use std::fmt;

use credchain_core::{Error, Kind, Result};
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

/// The field's value: a text as its bytes, a whole number or a truth as JSON writes it.
pub(crate) fn field(json: &[u8], name: &str) -> Result<Vec<u8>> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let found = Field(name).deserialize(&mut reader);
    // serde's message could quote the document, so it is not passed on.
    match found.and_then(|found| reader.end().map(|()| found)) {
        Ok(Found::Value(value)) => Ok(value),
        Ok(Found::Nothing) => Err(Error::new(Kind::NotFound, "the document has no such field")),
        Ok(Found::NoScalar) => Err(Error::new(Kind::Invalid, "the field holds no single value")
            .with_hint(
                "a field is a text, a whole number, `true` or `false`; quote anything else",
            )),
        Err(_) => Err(Error::new(Kind::Invalid, "the file is not one JSON object")
            .with_hint("without `#FIELD` the reference gives the whole file")),
    }
}

enum Found {
    Nothing,
    NoScalar,
    Value(Vec<u8>),
}

/// Looks for one field and keeps nothing of the others.
struct Field<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let mut found = Found::Nothing;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key == self.0 {
                found = map.next_value_seed(Scalar)?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

struct Scalar;

impl<'de> DeserializeSeed<'de> for Scalar {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scalar {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Found, E> {
        Ok(Found::Value(text.as_bytes().to_vec()))
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Found, E> {
        self.visit_str(if truth { "true" } else { "false" })
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Found, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Found, E> {
        self.visit_str(&number.to_string())
    }

    // What the document said, digit for digit, is lost by then: a number of twenty digits too.
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Found, E> {
        Ok(Found::NoScalar)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Found, E> {
        Ok(Found::NoScalar)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Found, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Found::NoScalar)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Found::NoScalar)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &[u8] = br#"{"user": "app", "deep": {"password": "no"}, "password": "p\u00e4\n",
        "port": 5432, "ratio": 0.5, "long": 12345678901234567890123, "tls": true, "none": null, "a.b": "dotted"}"#;

    #[test]
    fn a_single_value_is_given_as_its_text() {
        for (name, value) in [
            ("user", "app"),
            ("password", "pä\n"),
            ("port", "5432"),
            ("tls", "true"),
            ("a.b", "dotted"),
        ] {
            assert_eq!(field(JSON, name).unwrap(), value.as_bytes(), "{name}");
        }
    }

    #[test]
    fn a_missing_field_is_a_miss_and_anything_else_is_invalid() {
        assert_eq!(field(JSON, "other").unwrap_err().kind(), Kind::NotFound);
        for name in ["deep", "none", "ratio", "long"] {
            assert_eq!(
                field(JSON, name).unwrap_err().kind(),
                Kind::Invalid,
                "{name}"
            );
        }
        for json in [
            &b"canary"[..],
            b"[1]",
            b"{\"user\": \"canary\"",
            b"{} {}",
            b"",
            b"\xff",
        ] {
            let error = field(json, "user").unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid);
            assert!(!format!("{error:?}").contains("canary"));
        }
    }
}
