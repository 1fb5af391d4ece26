//! What a tool printed, read as its recipe says.

use std::time::SystemTime;

use credchain_core::{Error, Kind, Listed, Reference, Result, Secret};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::recipe::{Call, Output};
use crate::time::parse_time;

/// One successful answer of a tool, from which any number of references is read.
pub(crate) struct Document<'a> {
    call: &'a Call,
    bytes: Zeroizing<Vec<u8>>,
    fields: Fields,
}

enum Fields {
    None,
    Json(Wiped),
    Lines(Vec<(String, Zeroizing<Vec<u8>>)>),
}

/// A JSON object whose texts are wiped when it is dropped.
struct Wiped(Map<String, Value>);

impl<'a> Document<'a> {
    /// # Errors
    /// [`Kind::Invalid`] if the output is not what the recipe says; [`Kind::NotFound`] if it says
    /// that there is nothing.
    pub(crate) fn parse(call: &'a Call, mut bytes: Zeroizing<Vec<u8>>) -> Result<Self> {
        let fields = match call.output {
            Output::Json => Fields::Json(Wiped(object(&bytes)?)),
            Output::KeyValue => Fields::Lines(key_values(&bytes)),
            Output::Pass => {
                trim_newline(&mut bytes);
                Fields::Lines(pass_fields(&bytes))
            }
            Output::Trimmed => {
                trim_newline(&mut bytes);
                Fields::None
            }
            Output::FirstLine => {
                let end = bytes
                    .iter()
                    .position(|byte| *byte == b'\n')
                    .unwrap_or(bytes.len());
                bytes.truncate(end);
                Fields::None
            }
            Output::Exact | Output::Lines | Output::JsonKeys => Fields::None,
        };
        let document = Self {
            call,
            bytes,
            fields,
        };
        document.check()?;
        Ok(document)
    }

    pub(crate) fn secret(&self, reference: &Reference, field_was_sent: bool) -> Result<Secret> {
        let field = reference.field().filter(|_| !field_was_sent);
        let value = match field.or(self.call.default_field.as_deref()) {
            None => self.bytes.to_vec(),
            Some(field) => self.field(field)?,
        };
        let expires = self.expires()?;
        Ok(Secret::new(value).with_meta(|meta| {
            meta.reference = Some(reference.clone());
            meta.expires = expires;
        }))
    }

    fn check(&self) -> Result<()> {
        let Fields::Json(Wiped(object)) = &self.fields else {
            return Ok(());
        };
        let wrong = self
            .call
            .must_be
            .iter()
            .find(|(key, value)| object.get(*key) != Some(*value));
        if let Some((key, _)) = wrong {
            let message =
                format!("the command's output has another `{key}` than the documented one");
            return Err(Error::new(Kind::Invalid, message));
        }
        let empty = |key: &String| {
            object
                .get(key)
                .is_none_or(|value| value.as_str() == Some(""))
        };
        let keys = &self.call.missing_if_empty;
        if !keys.is_empty() && keys.iter().all(empty) {
            return Err(Error::not_found());
        }
        Ok(())
    }

    fn field(&self, field: &str) -> Result<Vec<u8>> {
        let missing = || {
            Error::new(
                Kind::NotFound,
                format!("the value there has no field `{field}`"),
            )
        };
        match &self.fields {
            Fields::None => Err(
                Error::new(Kind::Unsupported, "the values there have no fields")
                    .with_hint("a reference without `#FIELD` means the whole value"),
            ),
            Fields::Lines(lines) => lines
                .iter()
                .find_map(|(key, value)| (key == field).then(|| value.to_vec()))
                .ok_or_else(missing),
            Fields::Json(Wiped(object)) => match object.get(field) {
                None | Some(Value::Null) => Err(missing()),
                Some(Value::String(text)) => Ok(text.clone().into_bytes()),
                Some(other) => Ok(other.to_string().into_bytes()),
            },
        }
    }

    fn expires(&self) -> Result<Option<SystemTime>> {
        let (Some(key), Fields::Json(Wiped(object))) = (&self.call.expires, &self.fields) else {
            return Ok(None);
        };
        match object.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_str()
                .and_then(parse_time)
                .map(Some)
                .ok_or_else(|| {
                    Error::new(
                        Kind::Invalid,
                        format!("the command's `{key}` is not an RFC 3339 time"),
                    )
                }),
        }
    }
}

/// The places that a tool printed; those that are no references are left out, because nothing
/// could be asked about them.
pub(crate) fn listed(call: &Call, bytes: &[u8], prefix: Option<&str>) -> Result<Vec<Listed>> {
    let paths: Vec<String> = if call.output == Output::JsonKeys {
        let object = Wiped(object(bytes)?);
        object.0.keys().cloned().collect()
    } else {
        String::from_utf8_lossy(bytes)
            .lines()
            .map(str::to_owned)
            .collect()
    };
    let wanted = |path: &String| prefix.is_none_or(|prefix| path.starts_with(prefix));
    let references = paths
        .into_iter()
        .filter(wanted)
        .filter_map(|path| Reference::new(path).ok());
    Ok(references.map(Listed::new).collect())
}

fn object(bytes: &[u8]) -> Result<Map<String, Value>> {
    serde_json::from_slice(bytes)
        .map_err(|_| Error::new(Kind::Invalid, "the command's output is not a JSON object"))
}

fn trim_newline(bytes: &mut Zeroizing<Vec<u8>>) {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
}

fn key_values(bytes: &[u8]) -> Vec<(String, Zeroizing<Vec<u8>>)> {
    bytes
        .split(|byte| *byte == b'\n')
        .filter_map(|line| split_at(line, b"="))
        .collect()
}

fn pass_fields(bytes: &[u8]) -> Vec<(String, Zeroizing<Vec<u8>>)> {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let password = ("password".to_owned(), Zeroizing::new(first.to_vec()));
    std::iter::once(password)
        .chain(lines.filter_map(|line| split_at(line, b": ")))
        .collect()
}

fn split_at(line: &[u8], separator: &[u8]) -> Option<(String, Zeroizing<Vec<u8>>)> {
    let at = line
        .windows(separator.len())
        .position(|window| window == separator)?;
    let key = std::str::from_utf8(&line[..at]).ok()?;
    Some((
        key.to_owned(),
        Zeroizing::new(line[at + separator.len()..].to_vec()),
    ))
}

impl Drop for Wiped {
    fn drop(&mut self) {
        fn wipe(value: &mut Value) {
            match value {
                Value::String(text) => zeroize::Zeroize::zeroize(text),
                Value::Array(items) => items.iter_mut().for_each(wipe),
                Value::Object(object) => object.values_mut().for_each(wipe),
                _ => {}
            }
        }
        self.0.values_mut().for_each(wipe);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(output: Output) -> Call {
        Call {
            output,
            ..Call::default()
        }
    }

    fn read(call: &Call, output: &[u8], reference: &str) -> Result<Vec<u8>> {
        let document = Document::parse(call, Zeroizing::new(output.to_vec()))?;
        Ok(document
            .secret(&reference.parse()?, false)?
            .expose()
            .to_vec())
    }

    #[test]
    fn each_form_of_output_is_read() {
        let json = br#"{"a": "x", "n": 5, "nothing": null}"#;
        for (output, bytes, reference, value) in [
            (Output::Exact, &b"v\n\n"[..], "p", &b"v\n\n"[..]),
            (Output::Trimmed, b"v\n\n", "p", b"v\n"),
            (Output::FirstLine, b"v\nw\n", "p", b"v"),
            (Output::Json, json, "p#a", b"x"),
            (Output::Json, json, "p#n", b"5"),
            (Output::Json, json, "p", json),
            (Output::KeyValue, b"a=b=c\nd=\n", "p#a", b"b=c"),
            (Output::KeyValue, b"a=b=c\nd=\n", "p#d", b""),
            (Output::Pass, b"pw\nuser: me\n", "p#password", b"pw"),
            (Output::Pass, b"pw\nuser: me\n", "p#user", b"me"),
            (Output::Pass, b"pw\nuser: me\n", "p", b"pw\nuser: me"),
        ] {
            assert_eq!(
                read(&call(output), bytes, reference).unwrap(),
                value,
                "{output:?} {reference}"
            );
        }
    }

    #[test]
    fn what_is_not_there_is_not_found_and_what_is_malformed_is_invalid() {
        let kind = |output, bytes: &[u8]| read(&call(output), bytes, "p#x").unwrap_err().kind();
        assert_eq!(kind(Output::Json, br#"{"x": null}"#), Kind::NotFound);
        assert_eq!(kind(Output::Json, b"[]"), Kind::Invalid);
        assert_eq!(kind(Output::Json, b"canary"), Kind::Invalid);
        assert_eq!(kind(Output::KeyValue, b"a=b"), Kind::NotFound);
        assert_eq!(kind(Output::Exact, b"v"), Kind::Unsupported);
    }
}
