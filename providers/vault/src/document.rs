//! What is stored at one path: fields with JSON values.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use credchain_core::{Error, Kind, Lease, Result, Secret, Version};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// How many names of fields an error lists.
const MAX_NAMES: usize = 20;

/// The fields at one path, and what the server says of them. Wiped when dropped.
#[derive(Default)]
pub(crate) struct Document {
    fields: BTreeMap<String, Zeroizing<String>>,
    pub(crate) version: Option<Version>,
    pub(crate) created: Option<SystemTime>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) lease: Option<Lease>,
}

impl Document {
    /// From the object under `data`.
    pub(crate) fn parse(data: &RawValue) -> Result<Self> {
        // Kept as text, so that numbers stay exactly what was stored.
        let raw: BTreeMap<String, Box<RawValue>> = serde_json::from_str(data.get())
            .map_err(|_| Error::new(Kind::Invalid, "what is stored there is no set of fields"))?;
        let text = |value: Box<RawValue>| Zeroizing::new(String::from(Box::<str>::from(value)));
        Ok(Self {
            fields: raw
                .into_iter()
                .map(|(name, value)| (name, text(value)))
                .collect(),
            ..Self::default()
        })
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(String::as_str)
    }

    pub(crate) fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    /// The value of a field, or of the only one: a text as it is, anything else as its JSON.
    pub(crate) fn value(&self, field: Option<&str>) -> Result<Secret> {
        let json = match field {
            Some(name) => self.fields.get(name).ok_or_else(|| self.no_field())?,
            None => match (self.fields.values().next(), self.fields.len()) {
                (Some(only), 1) => only,
                (None, _) => return Err(Error::not_found()),
                _ => return Err(self.several()),
            },
        };
        if !json.starts_with('"') {
            return Ok(Secret::new(json.as_bytes()));
        }
        let text: String = serde_json::from_str(json)
            .map_err(|_| Error::new(Kind::Invalid, "the value is a text that cannot be decoded"))?;
        Ok(Secret::from(text))
    }

    /// The fields with one changed, as a JSON object to be sent; nothing stands for a field that
    /// goes. What is not changed stays as it was written.
    pub(crate) fn with(&self, field: &str, value: Option<&str>) -> Zeroizing<String> {
        let others = self.fields.iter().filter(|(name, _)| *name != field);
        let mut members: Vec<Zeroizing<String>> =
            others.map(|(name, json)| member(name, json)).collect();
        members.extend(value.map(|value| member(field, &quoted(value))));
        let length = members.iter().map(|member| member.len() + 1).sum::<usize>() + 1;
        let mut object = Zeroizing::new(String::with_capacity(length));
        for one in &members {
            let before = if object.is_empty() { '{' } else { ',' };
            object.push(before);
            object.push_str(one);
        }
        object.push_str(if members.is_empty() { "{}" } else { "}" });
        object
    }

    /// Which field a write without one is about.
    pub(crate) fn only_field(&self) -> Result<&str> {
        match (self.names().next(), self.fields.len()) {
            (None, _) => Ok("value"),
            (Some(only), 1) => Ok(only),
            _ => Err(self.several()),
        }
    }

    fn no_field(&self) -> Error {
        let error = Error::new(Kind::NotFound, "there is no such field");
        if self.fields.is_empty() {
            return error;
        }
        error.with_hint(format!("its fields are: {}", self.listed()))
    }

    fn several(&self) -> Error {
        Error::new(Kind::Invalid, "there are several fields, and none is named")
            .with_hint(format!("`#FIELD` names one of: {}", self.listed()))
    }

    fn listed(&self) -> String {
        let names: Vec<&str> = self.names().take(MAX_NAMES).collect();
        let more = if self.fields.len() > MAX_NAMES {
            ", …"
        } else {
            ""
        };
        format!("{}{more}", names.join(", "))
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

fn member(name: &str, json: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("{}:{json}", *quoted(name)))
}

/// A text as JSON.
pub(crate) fn quoted(text: &str) -> Zeroizing<String> {
    // A text always has a JSON form.
    Zeroizing::new(serde_json::to_string(text).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(json: &str) -> Result<Document> {
        Document::parse(&RawValue::from_string(json.to_owned()).unwrap())
    }

    #[test]
    fn a_field_that_is_no_text_is_its_exact_json() {
        let document = document(
            r#"{"n": 12345678901234567890.10, "o": {"b":1,  "a":[]}, "t": "a\u00e4\"\n", "z": null}"#,
        )
        .unwrap();
        for (field, value) in [
            ("n", "12345678901234567890.10"),
            ("o", "{\"b\":1,  \"a\":[]}"),
            ("t", "aä\"\n"),
            ("z", "null"),
        ] {
            assert_eq!(
                document.value(Some(field)).unwrap().expose(),
                value.as_bytes()
            );
        }
    }

    #[test]
    fn without_a_field_the_only_one_is_meant() {
        assert_eq!(
            document(r#"{"a": "1"}"#)
                .unwrap()
                .value(None)
                .unwrap()
                .expose(),
            b"1"
        );
        assert_eq!(
            document("{}").unwrap().value(None).unwrap_err().kind(),
            Kind::NotFound
        );
        let error = document(r#"{"a": "s3cret", "b": 2}"#)
            .unwrap()
            .value(None)
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        let hint = error.hint().unwrap();
        assert!(hint.ends_with("a, b") && !hint.contains("s3cret"), "{hint}");
    }

    #[test]
    fn what_is_no_object_is_invalid() {
        for json in ["[]", "\"a\"", "7", "null"] {
            assert_eq!(document(json).unwrap_err().kind(), Kind::Invalid, "{json}");
        }
    }

    #[test]
    fn a_change_of_one_field_leaves_the_others() {
        let document = document(r#"{"a": "1", "b": {"c": 2.50}}"#).unwrap();
        assert_eq!(
            *document.with("a", Some("x\"")),
            r#"{"b":{"c": 2.50},"a":"x\""}"#
        );
        assert_eq!(*document.with("b", None), r#"{"a":"1"}"#);
        assert_eq!(*Document::default().with("b", None), "{}");
    }
}
